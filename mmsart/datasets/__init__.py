"""Readers of cell images and their annotations."""
from mmsart.datasets.classes import CLASSES, COMPETITION_IMAGES, PALETTE

__all__ = ['CLASSES', 'COMPETITION_IMAGES', 'PALETTE']
