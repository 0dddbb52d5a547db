"""The `personalive` engine: a streaming diffusion model that gives a portrait the driver's head pose and expression.

PersonaLive (GVCLab, 2025). A window of 16 frames at four noise levels slides over the driver, four frames at a time.
Every call of the network denoises each chunk by one level, and the oldest chunk leaves the window as frames.
"""
