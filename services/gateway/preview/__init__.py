"""The program in a browser, as full frames or as the changed part of the plate."""
