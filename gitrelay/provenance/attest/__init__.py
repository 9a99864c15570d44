"""What is recorded as signed statements that others can check."""
