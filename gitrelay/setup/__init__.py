"""Sets gitrelay up and says what is missing."""
