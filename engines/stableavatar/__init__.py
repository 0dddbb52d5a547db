"""StableAvatar, a clip engine: a diffusion transformer makes a video of any length from speech and one image.

`engine` is the interface to the studio: a clip's units and how each is run. `layout` relates speech, frames and latent
frames to each other, `loop` denoises, `job` runs the units, and `networks` contains the models with their published
names.
"""
