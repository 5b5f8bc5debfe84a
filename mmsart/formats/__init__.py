"""Files of results: one module a format, both directions where that makes sense."""
