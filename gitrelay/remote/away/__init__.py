"""The side that asks: a call is sent to a remote, its answer checked and taken."""
