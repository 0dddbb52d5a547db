"""The default engine, which needs no weights: it moves the portrait's own face mesh in 3D with the driver's face."""
