"""What brings jobs to workers. Each engine keeps the promises of `jobs.Dispatch`; one test suite holds for all."""
