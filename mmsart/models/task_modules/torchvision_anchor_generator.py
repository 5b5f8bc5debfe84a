"""Anchors exactly as torchvision's detectors have them."""
import torch
from mmdet.models.task_modules import AnchorGenerator
from mmdet.registry import TASK_UTILS
from torch import Tensor


@TASK_UTILS.register_module()
class TorchvisionAnchorGenerator(AnchorGenerator):
    """`AnchorGenerator` with torchvision's two roundings.

    torchvision rounds the corners of its base anchors to whole pixels, and takes as stride of a
    level the padded image's side divided by the level's, rounded down. The second differs from
    the nominal stride where a side is no multiple of it: 800 px give 13 cells of 61 px, not of
    64 px, at the coarsest level.
    """

    strides: list[tuple[int, int]]

    def gen_single_level_base_anchors(
        self, base_size: int | float, scales: Tensor, ratios: Tensor,
        center: tuple[float, float] | None = None,
    ) -> Tensor:
        """Return the anchors around the origin, float32 (scales * ratios, 4), whole numbers."""
        return super().gen_single_level_base_anchors(base_size, scales, ratios, center).round()

    def grid_priors(
        self, featmap_sizes: list[tuple[int, int]], dtype: torch.dtype = torch.float32,
        device: str | torch.device = 'cuda',
    ) -> list[Tensor]:
        """Return the anchors of all levels, (h * w * anchors, 4) each, xyxy in the padded image.

        Args:
            featmap_sizes: (h, w) of each level; the first divides the padded image evenly.
            dtype: of the anchors.
            device: of the anchors.
        """
        nominal = self.strides
        width, height = (size * stride for size, stride in zip(
            featmap_sizes[0][::-1], nominal[0], strict=True))
        self.strides = [(width // w, height // h) for h, w in featmap_sizes]
        try:
            return super().grid_priors(featmap_sizes, dtype, device)
        finally:
            self.strides = nominal
