"""Pictures in validation and test show the cells of the score, in the house's own form."""
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tifffile
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmsart.engine.hooks import CellVisualizationHook
from mmsart.formats.overlay import draw_overlay
from mmsart.imaging import open_image
from mmsart.postprocessing import PostProcessor
from mmsart.structures.data_samples import to_detections
from mmsart.structures.image_result import FrameResult, ImageResult
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.utils import UserError

META = dict(classes=('round', 'long'), palette=[(255, 0, 0), (0, 255, 0)])
# Leaves the first of three: the second lies on it, the third is unlikely.
PROCESS = PostProcessor(META['classes'], score_thr=0.5, remove_overlap=True, max_lost_share=0.3)
SIZE = (40, 60)


def sample(path, image=None):
    image = np.random.default_rng(0).integers(60, 200, SIZE, np.uint8) if image is None else image
    assert cv2.imwrite(str(path), image)
    bitmaps = np.zeros((3, *SIZE), np.uint8)
    bitmaps[0, 5:20, 5:20] = bitmaps[1, 7:20, 7:20] = bitmaps[2, 25:35, 40:50] = 1
    return DetDataSample(
        metainfo=dict(img_id=path.stem, img_path=str(path), ori_shape=SIZE),
        pred_instances=InstanceData(
            scores=torch.tensor([.9, .8, .3]), labels=torch.tensor([0, 1, 1]),
            bboxes=torch.tensor([[5., 5, 20, 20]] * 3), masks=CroppedMasks.from_bitmaps(bitmaps)))


def picture_of(sample, process):
    cells = process(to_detections(sample))
    image = cv2.imread(sample.img_path, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    frame = FrameResult(cells, image)
    return draw_overlay(frame, ImageResult(sample.img_path, [frame], **META)), len(cells)


@pytest.fixture
def runner():
    shown = []
    evaluator = SimpleNamespace(metrics=[object(), SimpleNamespace(post_processor=PROCESS)])
    loop = SimpleNamespace(evaluator=evaluator)
    return SimpleNamespace(
        iter=100, val_loop=loop, test_loop=loop, shown=shown, visualizer=SimpleNamespace(
            dataset_meta=META,
            add_image=lambda name, image, step: shown.append((name, image, step)),
            show=lambda image, win_name, wait_time: shown.append((win_name, image, wait_time))))


def test_a_validation_draws_final_cells_at_its_interval(runner, tmp_path):
    hook = CellVisualizationHook(draw=True, interval=2)
    batch = [sample(tmp_path / 'a.png'), sample(tmp_path / 'b.png')]
    for number in range(3):
        hook.after_val_iter(runner, number, outputs=batch)
    expected, count = picture_of(batch[0], PROCESS)
    assert count == 1  # of three
    assert [(name, step) for name, _, step in runner.shown] == [('val_img', 100), ('val_img', 102)]
    for _, picture, _ in runner.shown:
        np.testing.assert_array_equal(picture, expected)


@pytest.mark.parametrize(('name', 'written'), [
    ('a.png', 'a.png'), ('a.tif', 'a.tif.png'), ('ä 1.jpg', 'ä 1.jpg.png')])
def test_a_test_writes_every_image(name, written, runner, tmp_path):
    hook = CellVisualizationHook(draw=True, interval=7, test_out_dir=tmp_path / 'new' / 'pictures')
    batch = [sample(tmp_path / name), sample(tmp_path / 'last.png')]
    hook.after_test_iter(runner, 0, outputs=batch)
    assert {path.name for path in (tmp_path / 'new' / 'pictures').iterdir()} == {
        written, 'last.png'}
    picture = cv2.imread(str(tmp_path / 'new' / 'pictures' / written))[..., ::-1]
    np.testing.assert_array_equal(picture, picture_of(batch[0], PROCESS)[0])
    assert runner.shown == []


def test_images_of_one_name_in_several_folders_have_a_picture_each(runner, tmp_path):
    files = [tmp_path / 'in' / folder / '1.png' for folder in ('a', 'b')]
    for file in files:
        file.parent.mkdir(parents=True)
    batch = [sample(file) for file in files]
    runner.test_dataloader = SimpleNamespace(dataset=Images([str(file) for file in files]))
    hook = CellVisualizationHook(draw=True, test_out_dir=tmp_path / 'out')
    hook.before_test(runner)
    hook.after_test_iter(runner, 0, outputs=batch)
    assert sorted((tmp_path / 'out').rglob('*.png')) == [
        tmp_path / 'out/a/1.png', tmp_path / 'out/b/1.png']


class Images(list):
    """A data set of files."""

    def get_data_info(self, index):
        return dict(img_path=self[index])


def test_without_a_folder_pictures_of_a_test_go_to_the_backends(runner, tmp_path):
    hook = CellVisualizationHook(draw=True)
    batch = [sample(tmp_path / 'a.png'), sample(tmp_path / 'b.png')]
    hook.after_test_iter(runner, 0, outputs=batch)
    assert [(name, step) for name, _, step in runner.shown] == [('test_img', 1), ('test_img', 2)]


def test_windows(runner, tmp_path):
    hook = CellVisualizationHook(draw=True, show=True, wait_time=3)
    hook.after_test_iter(runner, 0, outputs=[sample(tmp_path / 'a.png')])
    assert [(name, wait) for name, _, wait in runner.shown] == [('a.png', 3)]


def test_settings_of_its_own_go_before_those_of_a_metric(runner, tmp_path):
    everything = dict(score_thr=0.0, remove_overlap=False)
    hook = CellVisualizationHook(draw=True, postprocess=everything)
    one = sample(tmp_path / 'a.png')
    hook.after_test_iter(runner, 0, outputs=[one])
    expected, count = picture_of(one, PostProcessor(META['classes'], **everything))
    assert count == 3
    np.testing.assert_array_equal(runner.shown[0][1], expected)


def test_deep_images_are_drawn(runner, tmp_path):
    image = np.random.default_rng(0).integers(1000, 3000, SIZE, np.uint16)
    one = sample(tmp_path / 'deep.tif', image)
    CellVisualizationHook(draw=True).after_test_iter(runner, 0, outputs=[one])
    np.testing.assert_array_equal(runner.shown[0][1], picture_of(one, PROCESS)[0])


def test_where_white_is_zero_the_model_and_its_pictures_have_it_so(runner, tmp_path):
    one = sample(tmp_path / 'a.tif')
    image = cv2.imread(one.img_path, cv2.IMREAD_GRAYSCALE)
    tifffile.imwrite(one.img_path, 255 - image, photometric='miniswhite')
    np.testing.assert_array_equal(cv2.imread(one.img_path, cv2.IMREAD_GRAYSCALE), image)
    CellVisualizationHook(draw=True).after_test_iter(runner, 0, outputs=[one])
    np.testing.assert_array_equal(runner.shown[0][1], picture_of(one, PROCESS)[0])


def test_a_file_that_the_model_was_given_is_drawn(runner, tmp_path):
    """OpenCV does not miss the last bytes of a compressed strip, tifffile does."""
    path = tmp_path / 'a.tif'
    one = sample(path)
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    tifffile.imwrite(path, image, compression='zlib', photometric='minisblack')
    with tifffile.TiffFile(path) as tif:
        end = tif.pages.first.dataoffsets[0] + tif.pages.first.databytecounts[0]
    content = bytearray(path.read_bytes())
    content[end - 4:end] = bytes(4)  # the check sum
    path.write_bytes(content)
    with pytest.raises(UserError, match='cannot be read'):
        open_image(path)
    CellVisualizationHook(draw=True).after_test_iter(runner, 0, outputs=[one])
    np.testing.assert_array_equal(runner.shown[0][1], picture_of(one, PROCESS)[0])


def test_nothing_is_drawn_unasked(runner, tmp_path):
    hook = CellVisualizationHook()
    hook.after_val_iter(runner, 0, outputs=[sample(tmp_path / 'a.png')])
    hook.after_test_iter(runner, 0, outputs=[sample(tmp_path / 'a.png')])
    assert runner.shown == []
