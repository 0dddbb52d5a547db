"""The worker process: Celery app, supervision, caretaker, probes, metrics."""
