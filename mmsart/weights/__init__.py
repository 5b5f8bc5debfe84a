"""Checkpoints of other libraries as weights for our configs."""
