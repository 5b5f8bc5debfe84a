"""Instance segmentation of cells in phase-contrast images, on MMDetection."""
from mmsart.utils.numba_cache import provide_numba_cache

__version__ = '0.1.0'

provide_numba_cache()  # before anything imports mmdet
