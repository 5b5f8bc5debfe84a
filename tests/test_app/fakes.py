"""A segmenter that needs no network: bright discs on a dark ground are cells."""
import threading
from types import SimpleNamespace

import cv2
import numpy as np

from mmsart.apis.inference import Segmentation
from mmsart.imaging.raw_plane import RawPlane
from mmsart.postprocessing import PostProcessor, complete_config
from mmsart.postprocessing.kept import KeptCrop, KeptFrame
from mmsart.structures.detections import Detections
from mmsart.structures.image_result import FrameResult
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.utils import UserError

CLASSES = ('round', 'long')
POSTPROCESS = dict(score_thr=dict(round=0.4, long=0.4), min_area=10, max_area=5_000,
                   nms_iou_thr=0.5, remove_overlap=True)
STEPS = 3  # into which it divides its work on an image, for progress


def draw_discs(side=256, count=12, seed=0):
    """Draw discs that do not touch; gives the picture and how many there are."""
    rng = np.random.default_rng(seed)
    image = rng.integers(20, 40, (side, side)).astype(np.uint8)
    columns = int(np.ceil(np.sqrt(count)))
    pitch = side / columns
    for number in range(count):
        centre = ((number % columns + 0.5) * pitch, (number // columns + 0.5) * pitch)
        radius = int(rng.uniform(0.22, 0.4) * pitch)
        cv2.circle(image, tuple(int(value) for value in centre), radius,
                   int(rng.integers(120, 250)), -1)
    return image, count


class DiscSegmenter:
    """Find discs; a disc's brightness is its score. `gate` holds it up, as a large image does.

    `failure` is what comes of an image in place of cells; `warnings` are said of each.
    """

    keep = 0.5

    def __init__(self):
        self.source = SimpleNamespace(
            name='discs', classes=CLASSES, palette=None,
            postprocess=complete_config(POSTPROCESS, CLASSES))
        self.method = dict(
            mmsart='1.2.3', model=dict(name='discs', weights_sha256='0123456789abcdef'),
            inference=dict(views=[dict(flip='')], device='cpu', precision='float32', tiles=dict(
                largest_px=[99, 98], size_px=[97, 96], overlap_px=5)),
            postprocessing=dict(source='discs'))
        self.gate = threading.Event()
        self.gate.set()
        self.failure = None
        self.warnings = ()

    def stream(self, requests, watch=None):
        for request in requests:
            try:
                stack = request.read.open(request.image)
            except UserError as error:
                yield request, error
                continue
            for step in range(STEPS):
                if watch is not None:
                    watch(request, step, STEPS)
                while not self.gate.wait(0.01):
                    if watch is not None:
                        watch(request, step, STEPS)
            if self.failure is not None:
                yield request, self.failure
                continue
            kept = [self._find(frame.image, request.shown_id) for frame in stack]
            found = [each.finish(CLASSES, self.source.postprocess) for each in kept]
            places = np.ndindex(stack.sizes.get('T', 1), stack.sizes.get('Z', 1))
            yield request, Segmentation(
                name=request.shown_name, classes=CLASSES, stack=stack, kept=tuple(kept),
                frames=[FrameResult(cells, RawPlane(stack, number), *place)
                        for number, (cells, place) in enumerate(zip(found, places, strict=True))],
                display_range=stack.display_range, seconds=0.1, axes=stack.file_axes,
                channel=stack.channel, scaling=stack.normalization.source, date='2026-01-02',
                normalization=stack.normalization,
                warnings=self.warnings)

    def _find(self, image, img_id):
        grey = image if image.ndim == 2 else image.max(2)
        count, numbered = cv2.connectedComponents((grey > 60).astype(np.uint8))
        bitmaps = numbered == np.arange(1, count)[:, None, None]
        masks = PatchMasks.from_bitmaps(bitmaps)
        scores = np.array([grey[bitmap].mean() / 255 for bitmap in bitmaps])
        worse = masks[::2]  # each other cell is found twice, a little less surely
        detections = Detections(
            np.concatenate([scores, scores[::2] * 0.9]), np.zeros(len(masks) + len(worse)),
            PatchMasks.cat([masks, worse]), np.concatenate([masks.boxes, worse.boxes]), img_id)
        prepared = PostProcessor(CLASSES, **self.source.postprocess).prepare(detections)
        return KeptFrame.number([KeptCrop(prepared)], grey.shape, img_id)
