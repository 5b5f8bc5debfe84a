"""Files of results: one module per format, both directions where that makes sense."""
