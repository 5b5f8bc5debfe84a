"""mmdet's own visualizer draws box-local masks."""
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.structures import InstanceData

from mmsart.structures.mask.cropped_masks import CroppedMasks


def drawn(masks: object) -> np.ndarray:
    visualizer = DetLocalVisualizer()
    visualizer.dataset_meta = dict(classes=('a', 'b'), palette=[(255, 0, 0), (0, 255, 0)])
    sample = DetDataSample(pred_instances=InstanceData(
        bboxes=torch.tensor([[5.0, 5.0, 30.0, 20.0]] * 3), labels=torch.tensor([0, 1, 1]),
        scores=torch.tensor([0.9, 0.8, 0.1]), masks=masks))
    np.random.seed(0)  # the visualizer jitters its colours
    visualizer.add_datasample(
        'name', np.zeros((40, 50, 3), np.uint8), sample, draw_gt=False, pred_score_thr=0.3)
    return visualizer.get_image()


def test_same_picture_as_with_bitmaps() -> None:
    bitmaps = np.zeros((3, 40, 50), np.uint8)
    bitmaps[0, 5:15, 5:30] = bitmaps[1, 10:20, 10:28] = bitmaps[2, 30:35, 40:45] = 1
    ours = drawn(CroppedMasks.from_bitmaps(bitmaps))
    np.testing.assert_array_equal(ours, drawn(torch.from_numpy(bitmaps).bool()))
    assert ours.any()
