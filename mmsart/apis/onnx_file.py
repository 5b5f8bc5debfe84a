"""A trained model as one ONNX file, for programs that have no torch."""
from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from scipy.spatial import cKDTree

from mmsart.apis.models import ModelSource
from mmsart.datasets.input_size import input_size
from mmsart.datasets.synthetic.generator import generate_image
from mmsart.models.detectors.members import detectors_of
from mmsart.models.exportable import ExportableDetector
from mmsart.utils import UserError, as_user_error, atomic_write, check_target

OPSET = 17
SAME_CELL = 0.5  # pixels between the corners of a cell's two boxes, at most
UNPAIRED = 0.01  # of the cells: NMS decides otherwise where an overlap meets its threshold
OUTPUTS = ('boxes', 'scores', 'labels', 'masks')
TOLERANCES = {'cells': UNPAIRED, 'boxes': 1e-4, 'scores': 1e-4, 'labels': 0, 'masks': 1e-3}
"""Greatest differences from mmdet: of boxes in parts of the longer side, and masks are kept in half
precision there."""
TINTS = (1.0, 0.9, 0.8)
"""Of red, green and blue, so that channels in another order find other cells."""


def native_size(source: ModelSource) -> tuple[int, int]:
    """Return the size of image that a model is made for.

    Args:
        source: the model.

    Returns:
        (h, w): what its test pipeline makes of an image of the training images' size.
    """
    with as_user_error(f'{source.name}: pipeline'):
        return input_size(source.pipeline, *source.tiles.image_size)


def export_onnx(source: ModelSource, path: str | os.PathLike,
                size: tuple[int, int] | None = None) -> dict[str, float]:
    """Write a detector as an ONNX file and compare it with mmdet.

    The file takes ``image``, float32 (1, 3, h, w), RGB from 0 to 255, of the size that the test
    pipeline resizes to, and gives what the detector finds in one view of it before
    post-processing: ``boxes`` (n, 4) xyxy in pixels, ``scores`` (n,), ``labels`` (n,) and
    ``masks`` (n, 28, 28), probabilities on the grids of the boxes. Its properties name the classes
    and the settings of post-processing.

    Args:
        source: the trained model, Mask R-CNN or `CascadeMaskRoIHead`.
        path: the file to write.
        size: (h, w) of the images, which is fixed; :func:`native_size` if None.

    Returns:
        Greatest differences from the detector's own test on a generated image, by output, of boxes
        in parts of the image's longer side; and the share of ``cells`` that only one of the two
        has found.

    Raises:
        UserError: `path` has another ending or cannot be written, onnx or onnxruntime is missing,
            the model is of another kind, or what the file gives differs from the detector's own
            test.
    """
    check_target(path, '.onnx', [source.weights])
    onnx, onnxruntime = _import_libraries()
    height, width = size or native_size(source)
    if min(height, width) < 32:
        raise UserError(f'--size: found {height} {width}, expected at least 32 pixels each way')
    detectors = detectors_of(source.build('cpu'))
    if len(detectors) > 1:
        raise UserError(f'{source.name}: found an ensemble of {len(detectors)} models, expected '
                        'one: export its members')
    module = ExportableDetector(detectors[0]).eval()
    image = _picture(height, width)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, 'model.onnx')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of the tracer, on sizes that are meant to be fixed
            # The exporter that takes operators by name; the newer one has none for NMS.
            torch.onnx.export(
                module, (image,), written, dynamo=False, opset_version=OPSET,
                input_names=['image'], output_names=list(OUTPUTS),
                dynamic_axes={name: {0: 'cells'} for name in OUTPUTS})
        model = onnx.load(written)
    onnx.helper.set_model_props(model, {
        'classes': json.dumps(source.classes), 'postprocess': json.dumps(source.postprocess),
        'colours': 'RGB, 0 to 255', 'model': source.name})
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    differences = _compare(detectors[0], onnxruntime, content, image)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    return differences


def _import_libraries() -> tuple:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise UserError(f'{error.name}: found no such package, expected those of the extra export: '
                        "pip install 'mmsart[export]', or onnx onnxruntime") from None
    return onnx, onnxruntime


def _picture(height: int, width: int) -> torch.Tensor:
    """Generate an image of cells, float32 (1, 3, h, w)."""
    made = generate_image('shsy5y', np.random.default_rng(0), height, width)
    image = torch.from_numpy(made.image).float()
    return torch.stack([(image * tint).round() for tint in TINTS])[None]


def _compare(detector: Any, onnxruntime: Any, model: bytes,
             image: torch.Tensor) -> dict[str, float]:
    session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
    found = session.run(None, {'image': image.numpy()})
    differences = _differences(found, _test(detector, image), max(image.shape))
    for name, value in differences.items():
        if not value <= TOLERANCES[name]:
            raise UserError(f'ONNX: {name}: found a difference from torch of {value:.2g}, expected '
                            f'at most {TOLERANCES[name]:g}')
    return differences


@torch.no_grad()
def _test(detector: Any, image: torch.Tensor) -> list[np.ndarray]:
    """Find the cells of one view as a test does, in the form of the file's outputs."""
    detector.flip_directions = ()  # of FlipTTAMaskRCNN
    detector.roi_head.test_cfg.keep_mask_logits = True
    size = tuple(image.shape[-2:])
    sample = DetDataSample(metainfo=dict(
        img_id='generated', ori_shape=size, img_shape=size, scale_factor=(1.0, 1.0)))
    bgr = image[0].flip(0)  # as mmcv reads files
    found = detector.test_step(dict(inputs=[bgr], data_samples=[sample]))[0].pred_instances
    masks = found.mask_probs if len(found) else torch.zeros(0, 1, 1)
    return [each.float().numpy() for each in (found.bboxes, found.scores, found.labels, masks)]


def _differences(found: Sequence[np.ndarray], expected: Sequence[np.ndarray],
                 side: int) -> dict[str, float]:
    """Compare cells with their partners, as scores that are all but equal may change places.

    Args:
        found: the outputs of the file.
        expected: those of mmdet.
        side: of the image, in pixels.

    Returns:
        Greatest differences by output; ``cells`` is the share of those without a partner.
    """
    tree = cKDTree(_places(expected))
    distances, partners = tree.query(_places(found), distance_upper_bound=SAME_CELL)
    paired = np.isfinite(distances)
    most = max(len(found[0]), len(expected[0]))
    differences = {'cells': (most - len(np.unique(partners[paired]))) / max(most, 1)}
    for name, one, other, scale in zip(
            OUTPUTS, found, expected, (1 / side, 1, 1, 1), strict=True):
        step = np.abs(one[paired] - other[partners[paired]])
        differences[name] = float(step.max(initial=0) * scale)
    return differences


def _places(outputs: Sequence[np.ndarray]) -> np.ndarray:
    """Return where cells lie, those of different classes far apart, (n, 5)."""
    boxes, _, labels, _ = outputs
    return np.column_stack([boxes, labels * 1e6])
