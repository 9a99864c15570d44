"""Who wrote a line: the exchanges that added it, told from the trees that are kept of each. It only reads."""
