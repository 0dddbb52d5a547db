"""The networks that find faces, their 478 points and people, run by LiteRT: their files, and the code around them."""
