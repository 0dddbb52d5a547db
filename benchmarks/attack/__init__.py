"""Attacks on a studio on the loopback interface, and a table of what was lost, which processes died and what grew."""
