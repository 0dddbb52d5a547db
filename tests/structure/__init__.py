"""Tests of the tree: what lies where, and what imports what."""
