"""Mathematics of the competition scores, free of mmengine."""
