"""Steps from a driver to composited frames: tracking, engine, drawing."""
