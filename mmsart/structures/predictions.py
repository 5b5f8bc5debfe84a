"""What a model found in one image beside what is there: what scoring and tuning read."""
from dataclasses import dataclass

from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks


@dataclass
class Predictions:
    """The detections of one image, its truth, and where it comes from.

    Args:
        detections: before post-processing.
        truth: the true instances; None if they are unknown.
        cell_type: name of the true class where all true instances have one, else empty.
        sample_id: the field of view; images that share it show the same cells.

    Raises:
        ValueError: detections and truth belong to images of different sizes.
    """

    detections: Detections
    truth: PatchMasks | None = None
    cell_type: str = ''
    sample_id: str = ''

    def __post_init__(self) -> None:
        if self.truth is not None and (self.truth.height, self.truth.width) != self.size:
            raise ValueError(
                f'image {self.img_id!r}: truth of {self.truth.height} x {self.truth.width} pixels, '
                f'expected {self.size[0]} x {self.size[1]} as the detections')

    @property
    def img_id(self) -> str:
        """Name of the image."""
        return self.detections.img_id

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image in pixels."""
        return self.detections.masks.height, self.detections.masks.width
