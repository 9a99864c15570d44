"""gitrelay: one coding agent calls another like a function, and git remembers."""

__version__ = "0.2.0"
