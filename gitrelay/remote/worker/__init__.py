"""The side that answers: one process takes jobs and runs them, one after the other."""
