"""Drawing of the program's frames: blending, labels, captions, transitions, cut-outs. For services and benchmarks."""
