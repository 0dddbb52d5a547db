"""The LiteRT networks that find faces, their 478 points and people: the models' files and the code that runs them."""
