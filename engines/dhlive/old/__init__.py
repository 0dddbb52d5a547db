"""The old 256-pixel network.

It draws the lower half of a face as a small mouth image prescribes, offline and, on a GPU, live.
"""
