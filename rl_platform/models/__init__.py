"""Policies: networks written once over a small set of operations, run by numpy, torch or ONNX."""
