"""Instance segmentation of cells in phase-contrast images, on MMDetection."""
__version__ = '0.1.0'
