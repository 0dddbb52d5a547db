"""The body video's own face, moved in place: the lower face of each frame is redrawn from the face's points in it."""
