"""gitrelay: one coding agent calls another like a function, and git remembers."""

__version__ = "0.1.0"
