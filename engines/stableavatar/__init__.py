"""StableAvatar: speech and one image to a video of any length, by a diffusion transformer. A clip engine.

`engine` is what the studio sees: a clip's units and how each is done. `layout` says how speech, frames and latent
frames lie to each other, `loop` denoises, `job` does the units, `networks` are the models with their published names.
"""
