"""Tests of `shared/wire`."""
