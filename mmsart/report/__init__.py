"""A page about a folder of results: counts, pictures, what to doubt, and errors where truth is."""

MAX_PICTURES = 100
"""Frames whose pictures a page holds, unless told otherwise."""
