"""Reinforcement learning on Kubernetes."""
