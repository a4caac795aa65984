"""The operator: a TrainingJob becomes a running, recoverable training on KubeRay. Start at `reconcile`."""
