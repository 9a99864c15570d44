"""What differs between agents."""
