"""What is recorded, as values and as bytes. No I/O."""
