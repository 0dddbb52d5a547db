"""Tests of `shared/avatar/film`."""
