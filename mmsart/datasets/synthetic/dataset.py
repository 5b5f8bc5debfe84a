"""Generated images as an mmdet dataset without files."""
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from mmdet.datasets import BaseDetDataset
from mmdet.registry import DATASETS

from mmsart.datasets.classes import CLASSES, COMPETITION_IMAGES, PALETTE, class_names
from mmsart.datasets.synthetic.generator import generate_image
from mmsart.utils.errors import UserError


@DATASETS.register_module()
class SyntheticDataset(BaseDetDataset):
    """Generate images when they are asked for, in the loader's workers, with nothing on disk.

    Image i depends on (seed, i) alone. A sample is that of `SartoriusDataset` with the image in
    ``img`` (uint8 (h, w, 3), three equal channels) instead of a path; the pipeline begins with
    mmdet's `LoadImageFromNDArray`.

    Args:
        length: images per epoch. As nothing is stored, it may be larger than any training, so
            that no image is seen twice.
        size: (h, w) in pixels, at least 32 x 32. The number of cells follows the area.
        seed: of all chance.
        type_weights: how often each cell type is drawn, in any unit; the competition's images
            a type if None.
        **kwargs: of :class:`mmdet.datasets.BaseDetDataset`, such as ``pipeline``.

    Raises:
        UserError: an argument is out of range.
    """

    METAINFO = dict(classes=CLASSES, palette=PALETTE)

    def __init__(self, *args: Any, length: int = 1_000_000, size: tuple[int, int] = (520, 704),
                 seed: int = 0, type_weights: Mapping[str, float] | None = None,
                 **kwargs: Any) -> None:
        if length < 1 or seed < 0:
            raise UserError(f'length: found {length}, seed: found {seed}, expected a length of at '
                            'least 1 and a seed of at least 0')
        weights = dict(COMPETITION_IMAGES if type_weights is None else type_weights)
        if (not weights or not set(weights) <= set(CLASSES) or min(weights.values()) < 0
                or not sum(weights.values()) > 0):
            raise UserError(f'type_weights: found {weights}, expected numbers of at least 0, not '
                            f'all 0, for some of {", ".join(CLASSES)}')
        self.length = length
        self.size = size
        self.seed = seed
        self.types = list(weights)
        self.shares = np.array(list(weights.values()), float) / sum(weights.values())
        super().__init__(*args, serialize_data=False, **kwargs)
        self._choose_types()

    def _choose_types(self) -> None:
        """Generate cells of the classes alone."""
        classes = class_names(self.metainfo)
        kept = [kind in classes for kind in self.types]
        if all(kept):
            return
        if not self.shares[kept].sum() > 0:
            raise UserError(f'metainfo.classes: found {", ".join(classes)}, expected one of the '
                            f'generated types {", ".join(self.types)}')
        self.types = [kind for kind, keep in zip(self.types, kept, strict=True) if keep]
        self.shares = self.shares[kept] / self.shares[kept].sum()

    def load_data_list(self) -> range:
        """List the images' numbers: nothing is kept in memory."""
        return range(self.length)

    def filter_data(self) -> range:
        """Keep every image: all have cells and one size.

        Returns:
            The data list.

        Raises:
            UserError: ``filter_cfg`` asks for larger images.
        """
        min_size = 0 if self.test_mode else (self.filter_cfg or {}).get('min_size', 0)
        if min(self.size) < min_size:
            raise UserError(f'filter_cfg.min_size: found {min_size}, expected at most the '
                            f'{min(self.size)} pixels that images are generated with')
        return self.data_list

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Generate one image.

        Args:
            idx: its number, 0 <= idx < length.

        Returns:
            The sample, see the class.
        """
        number = self.data_list[idx]
        rng = np.random.default_rng([self.seed, number])
        cell_type = str(rng.choice(self.types, p=self.shares))
        sample = generate_image(cell_type, rng, *self.size)
        label = class_names(self.metainfo).index(cell_type)
        name = f'generated_{self.seed}_{number}'
        return dict(
            img=cv2.cvtColor(sample.image, cv2.COLOR_GRAY2BGR),
            img_id=name,
            height=self.size[0],
            width=self.size[1],
            cell_type=cell_type,
            sample_id=name,
            sample_idx=number,
            instances=[
                dict(bbox=box, bbox_label=label, ignore_flag=0, mask=text)
                for box, text in zip(sample.boxes.astype(float).tolist(), sample.texts(),
                                     strict=True)
            ])
