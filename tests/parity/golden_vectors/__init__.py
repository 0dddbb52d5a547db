"""Small golden vectors from the originals' own code, one module an engine; the tests of the engines read them."""
