"""`CellSegmenter`, and that every way from an image to cells gives the same cells."""
import csv
import dataclasses
import json
import os
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from PIL import Image

from mmsart.apis import CellSegmenter
from mmsart.apis.inference import Request, choose_device
from mmsart.apis.models import Tiles
from mmsart.apis.prediction_pictures import write_pictures
from mmsart.formats.predictions import load_predictions
from mmsart.imaging.read_options import ReadOptions
from mmsart.imaging.tiles import tile_grid
from mmsart.postprocessing import complete_config
from mmsart.utils import MissingFileError, UserError
from mmsart.visualization.draw import draw_instances
from tests.run_tool import run_tool
from tests.sample_data import write_sample
from tests.test_apis.tiny_model import CONFIG, SMALL, write_checkpoint


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_sample(tmp_path_factory.mktemp('sample') / 'data', 15)


@pytest.fixture(scope='module')
def segmenter(checkpoint):
    return CellSegmenter(checkpoint, 'cpu')


def noise(*shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)


def test_predict_test_submission_and_pictures_show_the_same_cells(data, checkpoint, tmp_path):
    """By the settings beside the weights, mask thresholds included."""
    checkpoint = shutil.copy(checkpoint, tmp_path)
    write_settings(tmp_path / 'postprocess.json', dict(score_thr=0.0, min_area=4, mask_thr=0.6))
    segmenter = CellSegmenter(checkpoint, 'cpu')
    options = ['--cfg-options', f'data_root={data}', *SMALL]
    code, out, err = run_tool(
        'test', CONFIG, str(checkpoint), '--work-dir', str(tmp_path / 'work'), '--out',
        str(tmp_path / 'p.pkl'), '--submission', str(tmp_path / 'tested.csv'), *options)
    assert code == 0, err
    tested = next(line for line in out.splitlines() if line.startswith('sartorius/mAP: '))
    predictions = load_predictions(tmp_path / 'p.pkl').images
    assert all(image.detections.mask_probs is not None for image in predictions)
    images = tmp_path / 'images'
    images.mkdir()
    for image in predictions:
        shutil.copy(data / 'train' / f'{image.img_id}.png', images)

    code, _, err = run_tool('predict', str(images), '--out', str(tmp_path / 'out'), '--weights',
                            str(checkpoint), '--device', 'cpu', '--save', 'submission,labels,coco')
    assert code == 0, err
    submission = tmp_path / 'out' / 'submission.csv'
    assert submission.read_bytes() == (tmp_path / 'tested.csv').read_bytes()
    code, out, err = run_tool('score_submission', '--truth', str(data / 'train.csv'),
                              '--submission', str(submission), '--json')
    assert code == 0, err
    assert f'{json.loads(out)["mAP"]:.6f}' == tested.split(': ')[1]

    for image in predictions:
        image.truth = None  # otherwise it would be drawn beside them
    write_pictures(predictions, segmenter.source.classes, images, tmp_path / 'pictures',
                   segmenter.source.postprocess, every=True)
    for image in predictions:
        path = images / f'{image.img_id}.png'
        result = segmenter(path)
        assert len(result) > 5
        masks = result.frames[0].detections.masks
        picture = draw_instances(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), masks)
        np.testing.assert_array_equal(
            cv2.imread(str(tmp_path / 'pictures' / path.name))[..., ::-1], picture)
        np.testing.assert_array_equal(
            tifffile.imread(tmp_path / 'out' / f'{image.img_id}_masks.tif'), result.masks)
        with open(submission) as file:
            rows = [row['predicted'] for row in csv.DictReader(file) if row['id'] == image.img_id]
        assert len(rows) == len(result)


def test_a_mask_threshold_beside_the_weights_cuts_the_masks(checkpoint, tmp_path):
    areas = []
    for thr in (0.3, 0.6):
        settings = write_settings(tmp_path / 'p.json', dict(remove_overlap=False, mask_thr=thr))
        result = CellSegmenter(checkpoint, 'cpu', postprocess=settings)(noise(96, 96))
        areas.append(result.frames[0].detections.masks.areas.sum())
    assert areas[0] > areas[1] > 0


def test_what_a_result_holds(segmenter, tmp_path):
    cv2.imwrite(str(tmp_path / 'a b.png'), noise(90, 100))
    result = segmenter(tmp_path / 'a b.png')
    count = len(result)
    assert count == len(result.scores) == len(result.labels) == result.masks.max()
    assert result.masks.shape == (90, 100)
    assert result.classes == ('shsy5y', 'astro', 'cort')
    assert (np.diff(result.scores) <= 0).all()
    table = result.to_dataframe()
    assert table['label'].tolist() == list(range(1, count + 1))
    assert table['area_px'].tolist() == np.bincount(result.masks.ravel())[1:].tolist()
    files = result.save(tmp_path / 'out', ['table', 'labels'])
    assert [path.name for path in files] == ['a b_cells.csv', 'a b_masks.tif']
    assert len(pd.read_csv(files[0])) == count


def test_files_arrays_and_lists(segmenter, tmp_path):
    image = noise(90, 100)
    tifffile.imwrite(tmp_path / 'a.tif', image)
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    first, second, third = segmenter([tmp_path / 'a.tif', str(tmp_path / 'a.png'), image])
    np.testing.assert_array_equal(first.masks, second.masks)
    np.testing.assert_array_equal(first.masks, third.masks)
    assert (first.name, second.name, third.name) == ('a.tif', 'a.png', 'array')


def test_no_result_of_a_list_takes_the_files_of_another(segmenter, tmp_path):
    image = noise(64, 64)
    accents = ('x/\u00e9.png', 'y/e\u0301.png')  # that some disks take for one name
    for name in ('x/a.png', 'y/A.png', 'b.tif', 'a_0.bmp', *accents):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), image)
    images = [tmp_path / 'x/a.png', image, tmp_path / 'y/A.png', image, tmp_path / 'b.tif',
              tmp_path / 'a_0.bmp', *(tmp_path / name for name in accents)]
    results = segmenter(images)
    files = [path.name for result in results for path in result.save(tmp_path / 'out', ['labels'])]
    assert files == [f'{stem}_masks.tif' for stem in (
        'a_0_', 'array_1', 'A_2', 'array_3', 'b', 'a_0', '\u00e9_6', 'e\u0301_7')]
    named = segmenter([image, image], name=['dish 1.tif', 'dish 2'])
    assert [result.name for result in named] == ['dish 1.tif', 'dish 2']
    assert [result.save(tmp_path, ['labels'])[0].name for result in named] == [
        'dish 1_masks.tif', 'dish 2_masks.tif']
    doses = [segmenter(image, name=f'dose {dose} uM') for dose in (0.5, 0.1)]
    assert [dose.save(tmp_path / 'doses', ['labels'])[0].name for dose in doses] == [
        'dose 0.5 uM_masks.tif', 'dose 0.1 uM_masks.tif']
    alone = segmenter(image, name='plate 2/dish 1')
    assert (alone.name, alone.save(tmp_path, ['labels'])[0].name) == (
        'plate 2/dish 1', 'dish 1_masks.tif')
    assert alone.save(tmp_path, ['labels'], stem='mine')[0].name == 'mine_masks.tif'
    for wrong in ('a', ['a'], ['a', 'b', 'c']):
        with pytest.raises(UserError, match='for 2 images, expected one for each'):
            segmenter([image, image], name=wrong)
    with pytest.raises(UserError, match='name: found list, expected a text for one image'):
        segmenter(image, name=['a'])


def test_results_of_an_image_of_several_in_a_file(segmenter, tmp_path):
    with tifffile.TiffWriter(tmp_path / 'a.tif') as writer:
        for size in (64, 70):
            writer.write(noise(64, size))
    found = [segmenter(tmp_path / 'a.tif', series=number) for number in range(2)]
    assert [result.name for result in found] == ['a.tif#0', 'a.tif#1']
    assert [result.save(tmp_path, ['labels'])[0].name for result in found] == [
        'a_s0_masks.tif', 'a_s1_masks.tif']


def test_results_of_single_pictures_hold_no_file_open(segmenter, tmp_path):
    """A list may be longer than the number of files that may be open."""
    for name, options in (('a.tif', {}), ('b.tif', {'compression': 'zlib'})):
        tifffile.imwrite(tmp_path / name, noise(64, 64), **options)
    before = len(os.listdir('/dev/fd'))
    results = segmenter([tmp_path / 'a.tif', tmp_path / 'b.tif'] * 2)
    assert len(os.listdir('/dev/fd')) == before
    assert [result.to_dataframe()['intensity_mean'].max() > 0 for result in results] == [True] * 4
    results[0].close()


def test_where_white_is_zero_the_picture_is_no_negative(segmenter, tmp_path):
    image = noise(90, 100)
    for folder, array, kind in (('x', image, 'minisblack'), ('y', 255 - image, 'miniswhite')):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / 'a.tif', array, photometric=kind)
    black, white = segmenter([tmp_path / 'x' / 'a.tif', tmp_path / 'y' / 'a.tif'])
    assert len(black) > 3
    np.testing.assert_array_equal(black.plot(), white.plot())
    np.testing.assert_allclose(white.to_dataframe()['intensity_mean'],
                               255 - black.to_dataframe()['intensity_mean'])


def test_a_stack_is_its_frames(segmenter, tmp_path):
    frames = noise(3, 80, 90)
    tifffile.imwrite(tmp_path / 'a.tif', frames, photometric='minisblack')
    with pytest.raises(UserError, match='--axes TYX'):
        segmenter(tmp_path / 'a.tif')
    result = segmenter(tmp_path / 'a.tif', axes='TYX', pixel_size=0.5)
    assert result.masks.shape == (3, 80, 90)
    assert (result.pixel_size, result.pixel_size_source) == (0.5, 'option')
    for number, frame in enumerate(result.frames):
        np.testing.assert_array_equal(segmenter(frames[number]).masks, result.masks[number])
        np.testing.assert_array_equal(np.asarray(frame.image), frames[number])
    assert len(result) == sum(result.masks.max((1, 2)))
    result.close()
    np.testing.assert_array_equal(np.asarray(result.frames[2].image), frames[2])  # opens it again
    result.close()


def test_measurements_are_of_the_grey_values_in_the_file(segmenter, tmp_path):
    image = noise(90, 100, dtype=np.uint16) * 16 + 100
    tifffile.imwrite(tmp_path / 'a.tif', image)
    result = segmenter(tmp_path / 'a.tif')
    table = result.to_dataframe()
    assert len(table) > 3
    for number, mean in zip(table['label'], table['intensity_mean'], strict=True):
        assert mean == pytest.approx(image[result.masks == number].mean())
    assert result.display_range == pytest.approx(np.percentile(image, (0.1, 99.9)))


def test_batches_give_the_same_cells(checkpoint, segmenter):
    images = [noise(90, 100, seed=1), noise(90, 100, seed=2), noise(80, 90), noise(90, 100)]
    together = CellSegmenter(checkpoint, 'cpu', batch_size=3)
    batched = together.stream(Request(image) for image in images)
    for alone, (_, found) in zip(segmenter(images), batched, strict=True):
        assert len(alone) == len(found)
        assert (alone.masks == found.masks).mean() > 0.999


def test_a_large_image_is_looked_at_tile_by_tile(checkpoint, segmenter):
    """Far from seams the cells are those of the tile by itself."""
    image = noise(160, 250)
    found = CellSegmenter(checkpoint, 'cpu', tile_size=128, tile_overlap=64)(image)
    grid = tile_grid((160, 250), (128, 128), 64)
    assert len(grid) == 6
    masks = found.frames[0].detections.masks
    assert masks.areas.sum() == masks.union().sum()  # no pixel belongs to two
    assert len({tuple(box) for box in masks.boxes.tolist()}) == len(masks)
    assert found.masks.shape == (160, 250)
    assert any('max_per_img' in note for note in found.warnings)


def test_the_tiles_of_an_image_are_of_its_type(checkpoint, tmp_path):
    """As a vote over the detections of all cores says, each counted where its centre lies."""
    settings = tmp_path / 'settings.json'
    settings.write_text(json.dumps(dict(vote='relabel', min_area=4)))
    voting = CellSegmenter(checkpoint, 'cpu', tile_size=128, tile_overlap=64,
                           postprocess=str(settings), keep=0.0)
    image = noise(160, 250)
    asked = []
    hold = voting._predictor._post_processor.hold_votes
    voting._predictor._post_processor.hold_votes = lambda tiles: asked.append(tiles) or hold(tiles)
    found = voting(image)
    assert len(found) > 10
    assert len(set(found.labels.tolist())) == 1
    tiles, = asked
    assert len(tiles) == 6
    total = sum((np.bincount(tile.labels, tile.scores, 3) for tile in tiles), np.zeros(3))
    assert set(found.labels.tolist()) == {int(np.argmax(total))}
    kept, = found.kept
    again = kept.finish(found.classes, voting.source.postprocess)
    np.testing.assert_array_equal(again.labels, found.labels)
    np.testing.assert_array_equal(again.scores, found.scores)


def test_flips_can_be_left_out(tmp_path):
    flips = ['model.type=FlipTTAMaskRCNN', 'model.roi_head.type=FlipTTARoIHead']
    write_checkpoint(tmp_path / 'a.pth', *flips)
    image = noise(96, 96)
    with_flips = CellSegmenter(tmp_path / 'a.pth', 'cpu')
    without = CellSegmenter(tmp_path / 'a.pth', 'cpu', flips=False)
    assert with_flips._predictor.model.flip_directions == (
        'horizontal', 'vertical', 'diagonal')
    assert without._predictor.model.flip_directions == ()
    assert with_flips.source.fingerprint() != without.source.fingerprint()
    assert not np.array_equal(with_flips(image).scores, without(image).scores)


def test_settings_beside_the_weights_are_used(checkpoint, tmp_path):
    shutil.copy(checkpoint, tmp_path / 'a.pth')
    settings = dict(score_thr=1.0)
    (tmp_path / 'postprocess.json').write_text(json.dumps(settings))
    assert len(CellSegmenter(tmp_path / 'a.pth', 'cpu')(noise(96, 96))) == 0
    (tmp_path / 'mine.json').write_text(json.dumps(dict(score_thr=0.0)))
    mine = CellSegmenter(tmp_path / 'a.pth', 'cpu', postprocess=str(tmp_path / 'mine.json'))
    assert len(mine(noise(96, 96))) > 0


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(weights='no-such-model'), 'no-such-model: no such file, expected a checkpoint'),
    (dict(device='cuda:99'), '--device: found'), (dict(device='abacus'), '--device: found'),
    (dict(batch_size=0), '--batch-size: found 0'), (dict(keep=2), 'keep: found 2'),
    (dict(tile_size=200), 'tiles: found 200 pixels with an overlap of 192')])
def test_wrong_arguments(checkpoint, arguments, message):
    with pytest.raises(UserError, match=message):
        CellSegmenter(**{'weights': checkpoint, 'device': 'cpu', **arguments})(noise(40, 40))


@pytest.mark.parametrize('image', [
    Image.new('L', (40, 40)), torch.zeros(40, 40), b'a.png', 5, None, [[0, 1], [2, 3]]])
def test_what_is_no_image_is_named(checkpoint, image):
    with pytest.raises(UserError, match=r'image: found \w+, expected a file, an array \(numpy'):
        CellSegmenter(checkpoint, 'cpu')(image)


@pytest.mark.parametrize('normalize', ['all', (1,), (1, 'b'), 5, (5, 2), (0, np.inf)])
def test_wrong_limits_are_refused(normalize):
    with pytest.raises(UserError, match=r'--normalize: found .*, expected '):
        ReadOptions(normalize=normalize)


def test_a_checkpoint_without_a_config_asks_for_it(checkpoint, tmp_path):
    content = torch.load(checkpoint)
    content['meta'].pop('cfg')
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(UserError, match='found no config in the checkpoint, expected --config'):
        CellSegmenter(tmp_path / 'a.pth', 'cpu')
    found = CellSegmenter(tmp_path / 'a.pth', 'cpu', config=CONFIG, cfg_options=SMALL)
    np.testing.assert_array_equal(
        found(noise(96, 96)).masks, CellSegmenter(checkpoint, 'cpu')(noise(96, 96)).masks)


def test_a_missing_file_is_a_missing_file(segmenter):
    with pytest.raises(MissingFileError):
        segmenter('none.png')


def test_the_device_that_is_there():
    assert choose_device('cpu').type == 'cpu'


def test_colours_are_looked_at_as_opencv_loads_them(segmenter, tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), noise(80, 90, 3))
    by_file = segmenter(tmp_path / 'a.png')
    by_array = segmenter(np.ascontiguousarray(noise(80, 90, 3)[..., ::-1]))
    np.testing.assert_array_equal(by_file.masks, by_array.masks)
    assert not np.array_equal(by_file.masks, segmenter(noise(80, 90, 3)).masks)


def test_images_unlike_the_training_ones_are_told(checkpoint):
    segmenter = CellSegmenter(checkpoint, 'cpu')
    segmenter.source.facts['training_images'] = dict(brightness=[100.0, 150.0])
    assert not any('darker' in note for note in segmenter(noise(80, 90)).warnings)
    assert any('darker than the training images' in note
               for note in segmenter(noise(80, 90) // 8).warnings)
    stack = segmenter(np.stack([noise(80, 90) // by for by in (8, 16, 1)]), axes='TYX')
    line, = (note for note in stack.warnings if 'darker' in note)
    assert 'mean grey value 7 to 15, there' in line
    assert line.endswith('(in 2 of 3 frames)')


def test_kept_detections_give_the_cells_of_other_thresholds(checkpoint, tmp_path):
    """What the page's sliders choose is what a prediction with these settings finds."""
    settings = dict(score_thr=0.3, min_area=20, nms_iou_thr=0.5, vote='relabel',
                    vote_min_score=0.2)
    other = settings | dict(score_thr=0.2, min_area=60, max_area=900)
    images = [noise(96, 96), noise(160, 250, seed=1)]  # whole, and in tiles
    keeps, asked = (write_settings(tmp_path / f'{number}.json', each)
                    for number, each in enumerate((settings, other)))
    tiles = dict(tile_size=128, tile_overlap=64)
    keeping = CellSegmenter(checkpoint, 'cpu', postprocess=keeps, keep=0.5, **tiles)
    for image in images:
        result = keeping(image)
        assert_same_cells(result, CellSegmenter(checkpoint, 'cpu', postprocess=keeps,
                                                **tiles)(image).frames[0].detections)
        kept, = result.kept
        assert len(kept) > len(result)
        again = kept.finish(keeping.classes, keeping.source.postprocess)
        assert_same_cells(result, again)
        assert len(np.unique(again.ids)) == len(again)
        expected = CellSegmenter(checkpoint, 'cpu', postprocess=asked, **tiles)(image)
        assert 0 < len(expected) != len(result)
        assert_same_cells(expected, kept.finish(
            keeping.classes, complete_config(other, keeping.classes)))


def write_settings(path, settings):
    path.write_text(json.dumps(settings))
    return str(path)


def assert_same_cells(result, detections):
    found = result.frames[0].detections
    assert np.array_equal(found.scores, detections.scores)
    assert np.array_equal(found.labels, detections.labels)
    assert found.masks.to_rles() == detections.masks.to_rles()


def test_limits_grow_with_the_tile(checkpoint):
    """A tile of twice the area of a training image may hold twice the cells."""
    small = CellSegmenter(checkpoint, 'cpu', tile_size=128, tile_overlap=64)
    tiles = Tiles((128, 128), (128, 128), 64, image_size=(64, 128))
    large = CellSegmenter(checkpoint, 'cpu')
    large._predictor.source = dataclasses.replace(large.source, tiles=tiles)
    image = noise(128, 200)
    counts = [[len(found.detections) for found in each._predictor.detect(
        each._predictor.cut(image, 'a', None))] for each in (small, large)]
    assert set(counts[0]) == {60}
    assert min(counts[1]) > 60
    assert large.source.fingerprint() == CellSegmenter(checkpoint, 'cpu').source.fingerprint()


def test_a_plot_shows_the_cells(segmenter):
    result = segmenter(noise(80, 90))
    plain, numbered = result.plot(), result.plot(numbers=True)
    assert plain.dtype == np.uint8
    assert plain.shape == numbered.shape
    assert (plain[..., 0] != plain[..., 2]).any()
    assert (plain != numbered).any()
