"""The server of the Model Context Protocol: the verbs as tools, for agents that may not run a shell."""
