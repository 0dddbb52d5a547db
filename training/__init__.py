"""Models that are trained inside the project. Nothing here is needed to run the studio."""
