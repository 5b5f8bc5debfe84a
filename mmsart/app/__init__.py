"""The page for people who do not type commands: drop pictures, look, decide, correct, export.

A server for this computer alone, with a queue that one thread works through, and a page without a
build step or anything from elsewhere.
"""
