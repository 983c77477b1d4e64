"""Shipped separators (ONNX files). Imports nothing, so that a run-time install needs no torch."""
