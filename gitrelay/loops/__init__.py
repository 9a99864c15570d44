"""Work that goes on in rounds until it passes: build, check, review, as ordinary exchanges of a session."""
