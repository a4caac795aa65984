"""What a run tells the world: reports, progress, MLflow, Prometheus; none of it may stall training."""
