"""The engine that needs no weights: the portrait's own face mesh, moved in 3D by the driver's face."""
