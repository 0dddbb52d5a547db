"""Tests of `engines/liveportrait`."""
