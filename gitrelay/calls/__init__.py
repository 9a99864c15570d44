"""One call, from its words to its record."""
