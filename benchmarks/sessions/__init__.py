"""Benchmarks of sessions: cost by part, how many fit, what ended ones leave behind, how soon killed ones return."""
