"""Instance segmentation of cells in phase-contrast images, on MMDetection."""
from mmsart.ops import offer_python_operators
from mmsart.utils.numba_cache import provide_numba_cache

__version__ = '0.1.0'

# both before anything imports mmdet
offer_python_operators()
provide_numba_cache()
