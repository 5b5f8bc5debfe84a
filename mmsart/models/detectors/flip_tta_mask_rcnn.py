"""Mask R-CNN that looks at an image and its mirror images."""
from collections.abc import Sequence
from typing import Any

from mmdet.models.detectors import MaskRCNN
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from torch import Tensor

from mmsart.models.roi_heads.flip_tta_roi_head import FlippedView, FlipTTARoIHead
from mmsart.structures.orientation import FLIPS
from mmsart.utils import UserError

DIMENSIONS = {name: dims for name, dims in FLIPS.items() if name}


@MODELS.register_module()
class FlipTTAMaskRCNN(MaskRCNN):
    """`MaskRCNN` with test-time flips: boxes, scores and masks are means over mirror images.

    Proposals come from the image as it is; :class:`FlipTTARoIHead` asks all mirror images about
    each of them. mmdet's `DetTTAModel` joins finished detections instead and has no masks.
    Training is that of `MaskRCNN`. All of the network but the proposals runs once per image.

    Args:
        flip_directions: mirror images beside the image itself, of ``horizontal``, ``vertical``
            and ``diagonal`` (both at once); none for the plain test.
        **kwargs: see :class:`mmdet.models.detectors.MaskRCNN`. ``roi_head`` has to be a
            `FlipTTARoIHead`.

    Raises:
        UserError: a direction is unknown or given twice, or the RoI head is another.
    """

    def __init__(
        self, *args: Any, flip_directions: Sequence[str] = ('horizontal', 'vertical', 'diagonal'),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(flip_directions, list | tuple) \
                or sum(name in flip_directions for name in DIMENSIONS) != len(flip_directions):
            raise UserError(f'model.flip_directions: found {flip_directions!r}, expected a list '
                            f'of some of {list(DIMENSIONS)}, each once')
        if not isinstance(self.roi_head, FlipTTARoIHead):
            raise UserError(f'model.roi_head.type: found {type(self.roi_head).__name__}, expected '
                            'FlipTTARoIHead, as the model is a FlipTTAMaskRCNN')
        self.flip_directions = tuple(flip_directions)

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True,
    ) -> SampleList:
        """Detect cells.

        Args:
            batch_inputs: normalised and padded images, (B, 3, H, W).
            batch_data_samples: meta information of each image.
            rescale: give boxes and masks in the original image.

        Returns:
            ``batch_data_samples`` with ``pred_instances``.
        """
        height, width = batch_inputs.shape[-2:]
        views = [FlippedView(self.extract_feat(batch_inputs), (), (height, width))]
        proposals = self.rpn_head.predict(views[0].features, batch_data_samples, rescale=False)
        for direction in self.flip_directions:
            dims = DIMENSIONS[direction]
            features = self.extract_feat(batch_inputs.flip(dims))
            views.append(FlippedView(features, dims, (height, width)))
        results = self.roi_head.predict(views, proposals, batch_data_samples, rescale=rescale)
        return self.add_pred_to_datasample(batch_data_samples, results)
