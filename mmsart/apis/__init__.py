"""Configs, checks, training and testing runs: what tools, the command and the page call."""
