"""The driver: one process that runs a job to its end and reports on it."""
