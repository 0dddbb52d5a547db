"""Tests of `shared/media/display`."""
