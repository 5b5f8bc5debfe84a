"""Tell what detectors cost: parameters, operations, and seconds for an image on one CPU thread.

Operations are those of backbone and pyramid for one image, all its flips or tiles, in a test, so of
all members of an ensemble and of a teacher without its student; a multiplication with an addition
counts as two. With --time a detector with random weights looks at an image of noise, so that its
detections fill their limit: an upper bound for a trained one. Seconds are of processor time, from
the loaded image to masks, as in a test.

Example:
  python tools/analysis_tools/model_costs.py configs/sartorius/*_r50.py --time
"""
import argparse
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmsart.utils import UserError, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet

SIZE = (520, 704)


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('configs', nargs='+', help='config files')
    parser.add_argument('--size', nargs=2, type=int, default=SIZE, metavar=('H', 'W'),
                        help='of the image, in pixels')
    parser.add_argument('--time', action='store_true', help='look at an image, which takes a while')
    return parser.parse_args(args)


def noise_sample(config: Any, size: Sequence[int]) -> dict[str, Any]:
    """Bring an image of noise through a config's test pipeline.

    Args:
        config: with ``test_dataloader``.
        size: (h, w) of the image.

    Returns:
        ``inputs`` and ``data_samples`` as a data set gives them.
    """
    import numpy as np
    from mmengine.dataset import Compose

    from mmsart.datasets.nested import find_datasets

    dataset: Any = next(find_datasets(config.test_dataloader))
    picture = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    return Compose([dict(type='LoadImageFromNDArray'), *dataset.pipeline[1:]])(
        dict(img=picture, img_id='noise', img_path='noise', instances=[], cell_type='',
             sample_id=''))


def network_inputs(detector: Any, shown: Sequence[int]) -> tuple[int, tuple[int, int]]:
    """Tell how many images the backbone sees of one, and how large they are.

    Args:
        detector: one that tests images whole, with their mirror images, or by tiles.
        shown: (h, w) of what the test pipeline gives.

    Returns:
        The number, and (h, w) padded as the backbone sees them.
    """
    import mmcv

    if hasattr(detector, 'tile_counts'):
        rows, columns = detector.tile_counts
        width, height = mmcv.rescale_size(detector.tile_size[::-1], detector.tile_scale)
        return rows * columns, (height + -height % 32, width + -width % 32)
    views = 1 + len(getattr(detector, 'flip_directions', ()))
    divisor = getattr(detector.data_preprocessor, 'pad_size_divisor', 1)
    return views, (shown[0] + -shown[0] % divisor, shown[1] + -shown[1] % divisor)


def count_operations(model: Any, shown: Sequence[int]) -> tuple[int, int]:
    """Count a model's weights and its backbones' and pyramids' operations, computing nothing.

    Args:
        model: config of a detector, or of what asks detectors.
        shown: (h, w) of what the test pipeline gives.

    Returns:
        Weights, and operations for one image.

    Raises:
        UserError: it is a `MaskTTA`, whose views differ in size.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from mmsart.models import MaskTTA
    from mmsart.models.detectors.members import detectors_of
    from mmsart.weights import build_without_weights

    network = build_without_weights(model).to('meta').eval()
    if any(isinstance(part, MaskTTA) for part in network.modules()):
        raise UserError('model: found MaskTTA, expected a model without views: count its detector')
    operations = 0
    detector: Any
    for detector in detectors_of(network):
        views, size = network_inputs(detector, shown)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            detector.extract_feat(torch.empty(1, 3, *size, device='meta'))
        operations += views * counter.get_total_flops()
    return sum(weight.numel() for weight in network.parameters()), operations


def time_image(model: Any, sample: dict[str, Any]) -> tuple[float, int]:
    """Have a detector with random weights look at an image, on one thread.

    Args:
        model: config of the detector.
        sample: of :func:`noise_sample`.

    Returns:
        Seconds of processor time, and the number of detections.
    """
    import torch
    from mmdet.registry import MODELS
    from mmengine.dataset import pseudo_collate
    from mmengine.logging import MMLogger

    from mmsart.models.detectors.members import detectors_of, member_configs
    from mmsart.models.fast_inference import fold_for_inference

    MMLogger.get_current_instance().setLevel('WARNING')
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for each in member_configs(model):
        if 'backbone' in each:
            each.backbone.init_cfg = None
    detector = MODELS.build(model).eval()
    member: Any
    for member in detectors_of(detector):
        if hasattr(getattr(member, 'rpn_head', None), 'init_proposal_bboxes'):
            member.rpn_head.init_weights()  # random boxes of queries may end before they begin
    fold_for_inference(detector)
    begin = time.process_time()
    with torch.no_grad():
        found = detector.test_step(pseudo_collate([sample]))[0].pred_instances
    return time.process_time() - begin, len(found)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    if min(options.size) < 1:
        raise UserError(f'--size: found {options.size[0]} {options.size[1]}, expected two numbers '
                        'above 0')
    import_mmdet()
    from mmengine.registry import init_default_scope

    import mmsart.registration  # noqa: F401  registers our parts
    from mmsart.apis.config import load_config

    init_default_scope('mmdet')
    timed: dict[str, str] = {}
    print(f'{options.size[0]} x {options.size[1]} pixels, {_processor()}')
    print('| config | parameters, M | GFLOPs | s | detections |\n|---|---|---|---|---|')
    for path in options.configs:
        config = load_config(path)
        sample = noise_sample(config, options.size)
        try:
            weights, operations = count_operations(config.model, sample['inputs'].shape[-2:])
        except UserError as error:
            raise UserError(f'{path}: {error}') from error
        key = repr((config.model, sample['inputs'].shape))
        if options.time and key not in timed:  # variants of a training share their detector
            seconds, found = time_image(config.model, sample)
            timed[key] = f'{seconds:.1f} | {found}'
        print(f'| {Path(path).stem} | {weights / 1e6:.1f} | {operations / 1e9:.0f} '
              f'| {timed.get(key, " | ")} |', flush=True)
    return 0


def _processor() -> str:
    """Name the processor and its widest instructions."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text(encoding='ascii').splitlines() if info.is_file() else []
    values = {line.split(':')[0].strip(): line.split(':')[1].strip()
              for line in lines if ':' in line}
    flags = [flag for flag in ('avx2', 'avx512f', 'avx512_bf16')
             if flag in values.get('flags', '').split()]
    return ' '.join(['one thread of', values.get('model name', platform.processor()), *flags])


if __name__ == '__main__':
    raise SystemExit(main())
