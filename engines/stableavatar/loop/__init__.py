"""The denoising loop: noise levels, guidance, reuse of predictions, and blending of windows."""
