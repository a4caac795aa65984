"""What experience looks like: trees of arrays, the spaces they belong to, trajectories of lanes."""
