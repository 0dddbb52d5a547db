"""Tests of the console and the viewers' page in a real browser."""
