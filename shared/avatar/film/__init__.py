"""Analysis of a filmed body, done once: content of each frame, parts that can be shown, and the loop."""
