"""The search for the post-processing that scores best, its fast score and its report."""
from mmsart.tuning.search import TuningResult, tune

__all__ = ['TuningResult', 'tune']
