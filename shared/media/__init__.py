"""Reading and writing pictures, video and sound."""
