"""Tests of the tests: where they lie and what they import."""
