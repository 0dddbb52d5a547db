"""The `personalive` engine: a streaming diffusion model that lends a portrait the driver's head pose and expression.

PersonaLive (GVCLab, 2025). A window of 16 frames at four noise levels slides over the driver, four frames at a time;
every call of the network cleans each chunk by one level and the oldest leaves as frames.
"""
