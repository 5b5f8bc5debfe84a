"""High-level use: images in, instances out."""
