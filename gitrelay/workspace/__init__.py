"""A working tree of its own for one call: a repository that borrows the caller's objects, and copies of the files."""
