"""Sessions shared through a git remote: compared, pushed, fetched, taken."""
