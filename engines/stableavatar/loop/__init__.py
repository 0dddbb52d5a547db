"""The denoising loop: noise levels, guidance, which predictions are reused, and how windows pass into each other."""
