"""Checkpoints: whole or absent, on a local disk or any store that fsspec reaches."""
