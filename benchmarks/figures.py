"""What a benchmark returns."""

from typing import Any

BenchmarkFigures = dict[str, Any]
"""Figures by name, ready for JSON."""
