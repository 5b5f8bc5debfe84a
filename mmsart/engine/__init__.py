"""Training loops, hooks and runner parts."""
