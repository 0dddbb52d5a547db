"""Processes of a worker: Celery app, supervision, caretaker, probes, metrics."""
