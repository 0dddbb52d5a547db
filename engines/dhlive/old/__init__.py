"""The old 256-pixel network.

A face whose lower half is drawn under a small mouth image, offline and, on a GPU, live.
"""
