"""Duix-Avatar: a stand-in for its service, material for its clients, and clients that can be killed."""
