"""Figures of data sets, runs and predictions."""
