"""Loading of images that remembers their pixels, for all workers together."""
import mmap
import multiprocessing
from hashlib import blake2b
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmdet.registry import TRANSFORMS

from mmsart.datasets.image_file import read_header
from mmsart.utils import UserError

_ENTRY = np.dtype([('key', np.uint64), ('begin', np.int64), ('shape', np.int64, 3)])


class SharedImageCache:
    """Keep decoded images in memory that forked processes share.

    The memory is reserved when the cache is made and taken from the machine page by page as it
    fills; nothing is written to a file or to /dev/shm. A copy, or a process that is spawned rather
    than forked, begins with an empty cache of its own.

    Args:
        max_mb: upper limit in units of 2**20 bytes; images that no longer fit are not kept.
        max_images: number of places.
    """

    def __init__(self, max_mb: int, max_images: int) -> None:
        self.max_mb, self.max_images = max_mb, max_images
        self._lock = multiprocessing.Lock()
        self._pixels = np.frombuffer(mmap.mmap(-1, max_mb << 20), np.uint8)
        table = mmap.mmap(-1, max_images * _ENTRY.itemsize)
        self._entries = np.frombuffer(table, _ENTRY)
        self._used = np.frombuffer(mmap.mmap(-1, 8), np.int64)  # bytes of pixels handed out

    def __reduce__(self) -> tuple:
        return SharedImageCache, (self.max_mb, self.max_images)

    def get(self, place: int, name: str) -> np.ndarray | None:
        """Look up an image.

        Args:
            place: its number in its dataset.
            name: its path.

        Returns:
            uint8 as it was put, to be read only; None if the place holds no image of this name.
        """
        if not 0 <= place < self.max_images:
            return None
        with self._lock:
            entry = self._entries[place]
            if entry['key'] != _key(name):
                return None
            begin, shape = int(entry['begin']), [side for side in entry['shape'].tolist() if side]
        return self._pixels[begin:begin + int(np.prod(shape))].reshape(shape)

    def put(self, place: int, name: str, image: np.ndarray) -> None:
        """Keep an image, if its place is free and there is room.

        Args:
            place: its number in its dataset.
            name: its path.
            image: uint8 (h, w) or (h, w, c), not empty.
        """
        if not 0 <= place < self.max_images:
            return
        with self._lock:
            begin = int(self._used[0])
            if self._entries[place]['key'] or begin + image.size > len(self._pixels):
                return
            self._used[0] += image.size
        # Copied without the lock: only this process knows the place in memory. Should another
        # put the same image at the same time, the later entry stands and a little room is lost.
        self._pixels[begin:begin + image.size] = image.ravel()
        with self._lock:
            self._entries[place] = (_key(name), begin, (*image.shape, 0)[:3])


@TRANSFORMS.register_module()
class LoadCachedImage(LoadImageFromFile):
    """Load an image from its file the first time and from shared memory from then on.

    Decoding a PNG is the larger part of what an image costs once masks are kept in their boxes.
    Grey images are kept with one channel, at a third of the memory: 606 of 520 x 704 pixels take
    222 MB. Stands in for `LoadImageFromFile`; needs ``sample_idx``, which every dataset of
    mmengine provides.

    Args:
        max_mb: memory limit of the cache of this pipeline, in units of 2**20 bytes.
        max_images: images of the dataset beyond this number are not kept.
        **kwargs: see mmcv's `LoadImageFromFile`.
    """

    def __init__(self, max_mb: int = 2048, max_images: int = 65536, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cache = SharedImageCache(max_mb, max_images)
        self._by_pillow = LoadImageFromFile(**{**kwargs, 'imdecode_backend': 'pillow'})

    def transform(self, results: dict) -> dict | None:
        """Put ``img``, ``img_shape`` and ``ori_shape`` into the results.

        Raises:
            MissingFileError: the file is gone.
            UserError: the file is damaged, would be loaded as something else, or has not the size
                that the dataset gives; see :func:`mmsart.datasets.image_file.read_header`.
        """
        place, name = results.get('sample_idx', -1), results['img_path']
        kept = self.cache.get(place, name)
        if kept is None:
            loaded = self._decode(results, name)
            if loaded is not None and loaded['img'].dtype == np.uint8:
                self.cache.put(place, name, self._thin(loaded['img']))
            return loaded
        thinned = self.color_type == 'color' and kept.ndim == 2
        results['img'] = cv2.cvtColor(kept, cv2.COLOR_GRAY2BGR) if thinned else kept.copy()
        results['img_shape'] = results['ori_shape'] = kept.shape[:2]
        return results

    def _decode(self, results: dict, name: str) -> dict | None:
        decode = super().transform
        if self.backend_args is None and '://' not in name:  # else it is elsewhere
            header = read_header(name)
            if self.imdecode_backend == 'cv2' and header.backend == 'pillow':
                decode = self._by_pillow.transform
        try:
            loaded = decode(results)
        except (AssertionError, cv2.error, OSError) as error:  # what a damaged file gives
            raise UserError(f'{name}: the image cannot be decoded, expected a whole '
                            f'{name.rpartition(".")[2]} file') from error
        _check_size(loaded, name)
        return loaded

    def _thin(self, image: np.ndarray) -> np.ndarray:
        """Drop two channels of a colour image whose three channels are the same."""
        grey = self.color_type == 'color' and (image == image[..., :1]).all()
        return image[..., 0] if grey else image


def _check_size(results: dict | None, name: str) -> None:
    """Refuse another size than the dataset's: masks are run-length codes of that many pixels."""
    if results is None or not results.get('height') or not results.get('width'):
        return
    height, width = results['ori_shape']
    if (height, width) != (results['height'], results['width']):
        raise UserError(f'{name}: found {height} x {width} pixels, expected {results["height"]} x '
                        f'{results["width"]}')


def _key(name: str) -> np.uint64:
    """Hash a name to a number that is not 0."""
    digest = blake2b(name.encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, 'little') | 1)
