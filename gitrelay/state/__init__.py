"""This machine's folder, `<git common dir>/relay/`."""
