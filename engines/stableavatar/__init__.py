"""StableAvatar: speech and one image to a video of any length, by a diffusion transformer. A clip engine.

`engine` is what the studio sees: a clip's units and how each is run. `layout` relates speech, frames and latent
frames to each other, `loop` denoises, `job` runs the units, `networks` are the models with their published names.
"""
