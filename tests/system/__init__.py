"""Tests of a whole channel, started as a user starts it."""
