"""Training loops and runner parts."""
