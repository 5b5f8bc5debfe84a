"""Data structures for dense instance masks."""
