"""Duix-Avatar, formerly HeyGem: a closed service that the user runs, reached over its HTTP interface."""
