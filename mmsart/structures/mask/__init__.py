"""Mask structures: run-length codes and box-local masks."""
