"""A file in, a finished video out: jobs, their units, and the workers that do them.

`studio render` does the same units in one process.
"""
