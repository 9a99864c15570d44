"""What every other package uses and that knows nothing of gitrelay: text, durations, cheap value classes."""
