"""The studio under attack, on loopback alone: what was tried, and whether anything was lost, died or grew."""
