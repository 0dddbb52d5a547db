"""Small golden vectors from the originals' own code, one module per engine; the tests of the engines read them."""
