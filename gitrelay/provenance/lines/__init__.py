"""Who wrote a line: what each exchange added, matched with the lines of a file."""
