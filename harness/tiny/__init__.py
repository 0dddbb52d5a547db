"""Minimal stand-ins for the weights and files of engines, one module per engine; their values are deterministic."""
