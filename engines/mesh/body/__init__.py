"""The body video's own face moved where it is: from its points in each frame to that frame's lower face, redrawn."""
