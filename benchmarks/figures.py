"""Type of a benchmark's result."""

from typing import Any

BenchmarkFigures = dict[str, Any]
"""Figures by name, ready for JSON."""
