"""A page about a folder of results: counts, pictures, what to doubt, and errors where truth is."""
from mmsart.report.page import MAX_PICTURES, write_report

__all__ = ['MAX_PICTURES', 'write_report']
