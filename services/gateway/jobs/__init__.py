"""The gateway's part of render jobs: list, inbox, submission, metrics."""
