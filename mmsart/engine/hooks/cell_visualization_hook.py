"""Pictures of the final cells, in validation and test."""
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.registry import HOOKS
from mmdet.structures import DetDataSample
from mmengine.dist import is_main_process
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmsart.datasets.image_file import read_grey
from mmsart.formats.overlay import draw_overlay
from mmsart.imaging import open_image
from mmsart.postprocessing import PostProcessor, load_postprocess
from mmsart.structures.data_samples import to_detections
from mmsart.structures.image_result import FrameResult, ImageResult
from mmsart.utils import UserError
from mmsart.utils.pictures import write_picture


@HOOKS.register_module()
class CellVisualizationHook(Hook):
    """Draw the cells that are left after post-processing, so those of the score and submission.

    mmdet's `DetVisualizationHook` draws what the detector gave, with a threshold of its own.

    Args:
        draw: whether to draw at all.
        interval: iterations between two pictures in validation; a test draws every image.
        show: show pictures in a window.
        wait_time: seconds that a window stays open.
        test_out_dir: folder for the pictures of a test, ``<image>.png``, in folders as the images
            are; without it and without `show` they go to the visualizer's backends, as those of a
            validation do.
        postprocess: settings of :class:`mmsart.postprocessing.PostProcessor` or the path of a
            postprocess.json; None for those of the first metric that has some.
    """

    def __init__(self, draw: bool = False, interval: int = 50, show: bool = False,
                 wait_time: float = 0., test_out_dir: str | os.PathLike | None = None,
                 postprocess: Mapping[str, Any] | str | os.PathLike | None = None) -> None:
        self.draw, self.interval = draw, interval
        self.show, self.wait_time = show, wait_time
        self.test_out_dir = None if test_out_dir is None else Path(test_out_dir)
        self.postprocess = postprocess
        self._drawn = 0
        self._folder: Path | None = None  # that all images of a test are below

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                       outputs: Sequence[DetDataSample] | None = None) -> None:
        """Draw the first image of every `interval` batches."""
        step = runner.iter + batch_idx  # of the training, so that pictures of epochs differ
        if self.draw and outputs and step % self.interval == 0 and is_main_process():
            self._give(runner, outputs[0], runner.val_loop.evaluator, 'val_img', step)

    def before_test(self, runner: Runner) -> None:
        """Find the folder of all images, below which several may have one name."""
        dataset = runner.test_dataloader.dataset
        if self.draw and self.test_out_dir is not None and hasattr(dataset, 'get_data_info'):
            paths = [dataset.get_data_info(index)['img_path'] for index in range(len(dataset))]
            self._folder = common_folder(paths)

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                        outputs: Sequence[DetDataSample] | None = None) -> None:
        """Draw every image of a batch."""
        if not self.draw:
            return
        for sample in outputs or ():
            self._drawn += 1
            self._give(runner, sample, runner.test_loop.evaluator, 'test_img', self._drawn)

    def _give(self, runner: Runner, sample: DetDataSample, evaluator: Evaluator, name: str,
              step: int) -> None:
        picture = self._draw(sample, evaluator, runner.visualizer.dataset_meta)
        file = Path(sample.metainfo['img_path'])
        if self.show:
            runner.visualizer.show(picture, win_name=file.name, wait_time=self.wait_time)
        if name == 'test_img' and self.test_out_dir is not None:
            # The ending of other kinds stays in the name: a.png and a.tif are two images.
            target = file.name if file.suffix == '.png' else f'{file.name}.png'
            folder = self.test_out_dir
            if self._folder is not None:
                folder /= os.path.relpath(file.parent, self._folder)
            write_picture(folder / target, picture)
        elif not self.show:
            runner.visualizer.add_image(name, picture, step)

    def _draw(self, sample: DetDataSample, evaluator: Evaluator, meta: Mapping[str, Any],
              ) -> np.ndarray:
        """Draw a data sample: uint8 (h, w, 3), RGB."""
        cells = self._post_processor(evaluator, meta['classes'])(to_detections(sample))
        path = sample.metainfo['img_path']
        raw, display_range = _read_raw(path)
        frame = FrameResult(cells, raw)
        result = ImageResult(path, [frame], meta['classes'], meta.get('palette'),
                             display_range=display_range)
        return draw_overlay(frame, result)

    def _post_processor(self, evaluator: Evaluator, classes: Sequence[str]) -> PostProcessor:
        if self.postprocess is None:
            for metric in evaluator.metrics:
                if hasattr(metric, 'post_processor'):
                    return metric.post_processor
        return PostProcessor(classes, **load_postprocess(self.postprocess, classes))


def common_folder(paths: Iterable[str | os.PathLike]) -> Path:
    """Find the folder that all images are below, whose folders those of a test's pictures mirror.

    Args:
        paths: files, at least one.

    Returns:
        The folder, absolute.
    """
    return Path(os.path.commonpath({os.path.dirname(os.path.abspath(path)) for path in paths}))


def _read_raw(path: str) -> tuple[np.ndarray, tuple[float, float] | None]:
    """Read grey values of any depth, and which of them are black and white.

    Where that fails, they are read as the model's input is.
    """
    try:
        with open_image(path) as stack:
            return stack[0].raw, stack.display_range
    except UserError:  # such as a damaged end, which other libraries do not mind
        return read_grey(path), None
