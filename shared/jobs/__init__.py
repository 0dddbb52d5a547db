"""Jobs: offline renders, on disk for everybody who works on them."""
