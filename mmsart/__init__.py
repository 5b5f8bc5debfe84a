"""Instance segmentation of cells in phase-contrast images, on MMDetection."""
import os

from mmsart.ops import offer_python_operators
from mmsart.utils.numba_cache import provide_numba_cache

__version__ = '0.1.0'

# Large tensors in large pages of memory, where the kernel offers them: maps of a network are new
# for each image, and a page of 4 kB each costs more time than to compute what goes into it.
os.environ.setdefault('THP_MEM_ALLOC_ENABLE', '1')

# both before anything imports mmdet
offer_python_operators()
provide_numba_cache()
