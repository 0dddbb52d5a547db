"""Reading and writing images, video and sound."""
