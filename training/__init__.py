"""Training of models inside the project. Running the studio needs nothing from this package."""
