"""Offline rendering of a driver file to a finished video: jobs, their units, and the workers that process them.

`studio render` processes the same units in a single process.
"""
