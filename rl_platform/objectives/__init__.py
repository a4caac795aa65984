"""Targets and losses as pure functions of trajectories and tensors."""
