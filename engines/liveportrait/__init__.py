"""The LivePortrait engine: keypoints move a portrait's feature volume, a decoder draws it (arXiv 2407.03168)."""
