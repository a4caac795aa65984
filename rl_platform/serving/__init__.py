"""Trained policies outside training: bundles, the model registry, and loading by URI."""
