"""Phase-contrast-like images of the three cell types, with their masks."""
from dataclasses import dataclass

import numpy as np

from mmsart.datasets.classes import CLASSES
from mmsart.datasets.synthetic.astro import grow_astro
from mmsart.datasets.synthetic.canvas import Canvas
from mmsart.datasets.synthetic.cort import grow_cort
from mmsart.datasets.synthetic.shsy5y import grow_shsy5y
from mmsart.structures.mask.rle import runs_to_texts
from mmsart.structures.mask.runs import Runs
from mmsart.utils.errors import UserError

_GROW = {'shsy5y': grow_shsy5y, 'astro': grow_astro, 'cort': grow_cort}
_FIELD = 520 * 704  # pixels of the competition's images, for which the counts are given
_COUNTS = {  # mean, spread of the logarithm, least and most cells
    'shsy5y': (337, 0.45, 49, 790),
    'astro': (80, 0.60, 5, 594),
    'cort': (33.7, 0.45, 4, 108),
}


@dataclass(frozen=True)
class GeneratedImage:
    """One generated image.

    Attributes:
        image: uint8 (h, w), grey.
        cell_type: one of :data:`mmsart.datasets.CLASSES`.
        boxes: int32 (N, 4), the half-open pixel boxes xyxy that hold the masks.
        patches: N masks within their boxes, uint8 0/1.
    """

    image: np.ndarray
    cell_type: str
    boxes: np.ndarray
    patches: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.patches)

    @property
    def areas(self) -> np.ndarray:
        """int64 (N,): pixels of each mask."""
        return np.array([int(patch.sum()) for patch in self.patches], np.int64)

    def runs(self) -> Runs:
        """Compute the row-major runs of the masks."""
        width = self.image.shape[1]
        starts, lengths, counts = [], [], [0]
        for (x1, y1, _, _), patch in zip(self.boxes.tolist(), self.patches, strict=True):
            padded = np.zeros((patch.shape[0], patch.shape[1] + 2), np.int8)
            padded[:, 1:-1] = patch
            rows, edges = np.nonzero(np.diff(padded, axis=1))
            begin, end = edges[::2], edges[1::2]
            starts.append((rows[::2] + y1) * width + begin + x1)
            lengths.append(end - begin)
            counts.append(len(begin))
        empty = np.zeros(0, np.int64)
        return Runs(np.concatenate([empty, *starts]), np.concatenate([empty, *lengths]),
                    np.cumsum(counts))

    def texts(self) -> list[str]:
        """Write the masks in Kaggle's run-length code."""
        return runs_to_texts(self.runs())


def draw_count(cell_type: str, rng: np.random.Generator, height: int = 520,
               width: int = 704) -> int:
    """Draw how many cells an image of a type has.

    Args:
        cell_type: one of :data:`mmsart.datasets.CLASSES`.
        rng: source of chance.
        height: image height in pixels.
        width: image width in pixels.

    Returns:
        A number after the competition's means and ranges, scaled with the image's area; >= 1.
    """
    mean, spread, least, most = _COUNTS[cell_type]
    number = np.clip(mean * np.exp(rng.normal(-spread ** 2 / 2, spread)), least, most)
    return max(1, round(float(number) * height * width / _FIELD))


def generate_image(cell_type: str, rng: np.random.Generator, height: int = 520,
                   width: int = 704, num_cells: int | None = None,
                   frame_rng: np.random.Generator | None = None) -> GeneratedImage:
    """Generate an image that looks like phase contrast, and the masks of its cells.

    The same state of the sources of chance gives the same image.

    Args:
        cell_type: one of :data:`mmsart.datasets.CLASSES`.
        rng: source of chance.
        height: image height in pixels, at least 32.
        width: image width in pixels, at least 32.
        num_cells: cells to place; drawn by :func:`draw_count` if None. Fewer are placed where
            there is no more room.
        frame_rng: source of chance for what differs between two pictures of one field, the
            cells' small movements and the noise; `rng` if None. Equal `rng` and different
            `frame_rng` give pictures of one field.

    Returns:
        The image and its masks; at least one.

    Raises:
        UserError: the type is unknown or the size too small.

    Example:
        >>> sample = generate_image('cort', np.random.default_rng(0), 128, 128, num_cells=3)
        >>> sample.image.shape, len(sample)
        ((128, 128), 3)
    """
    if cell_type not in CLASSES:
        raise UserError(f'cell_type: found {cell_type!r}, expected one of {", ".join(CLASSES)}')
    if min(height, width) < 32:
        raise UserError(f'size: found {height} x {width}, expected at least 32 x 32 pixels')
    if num_cells is None:
        num_cells = draw_count(cell_type, rng, height, width)
    canvas = Canvas(height, width, rng, rng if frame_rng is None else frame_rng)
    _GROW[cell_type](canvas, rng, num_cells)
    image = canvas.develop(sharpness=rng.uniform(0.3, 0.45), halo=rng.uniform(1.2, 1.7),
                           noise=rng.uniform(1.3, 2.1))
    boxes = np.array(canvas.boxes, np.int32).reshape(-1, 4)
    return GeneratedImage(image, cell_type, boxes, canvas.patches)
