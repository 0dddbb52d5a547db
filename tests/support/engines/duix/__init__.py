"""Duix-Avatar: a stand-in for its service, what its clients need, and clients to be killed."""
