"""Render jobs inside the gateway: list, inbox, submission, metrics."""
