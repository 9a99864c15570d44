"""Other machines: sessions that are shared, and calls that another machine answers."""
