import copy
import weakref
from collections.abc import Sequence
from dataclasses import replace

import pytest

from mmsart.formats.saving import DEFAULT_FORMATS, SAVERS, SaveOptions, check_formats, save_result
from mmsart.formats.submission import merge_submissions, read_submission
from mmsart.formats.summary import summarize_image
from mmsart.structures.mask.rle import bitmap_to_kaggle
from mmsart.utils import UserError
from tests.test_formats.results import bitmaps_of, random_result


def test_every_format_makes_its_file_and_no_other(tmp_path):
    paths = save_result(random_result(0), tmp_path / 'new', 'dish é 1', list(SAVERS))
    assert sorted(paths) == sorted((tmp_path / 'new').iterdir())
    assert all(path.name.startswith('dish é 1') and path.stat().st_size for path in paths)


def test_the_same_result_gives_the_same_bytes(tmp_path):
    for folder in ('a', 'b'):
        save_result(random_result(0, num_t=2), tmp_path / folder, 'x', list(SAVERS))
    for path in (tmp_path / 'a').iterdir():
        assert path.read_bytes() == (tmp_path / 'b' / path.name).read_bytes(), path.name


class OnDemand(Sequence):
    """Frames that nobody keeps; counts how many of them others hold at a time."""

    def __init__(self, frames):
        self._frames, self.alive, self.most = frames, weakref.WeakSet(), 0

    def __len__(self):
        return len(self._frames)

    def __getitem__(self, number):
        frame = self._frames[number]
        masks = copy.copy(frame.detections.masks)
        self.alive.add(masks)
        self.most = max(self.most, len(self.alive))
        return replace(frame, detections=replace(frame.detections, masks=masks))


@pytest.mark.parametrize('name', SAVERS)
def test_a_stack_is_written_frame_by_frame(tmp_path, name):
    whole = random_result(0, num_t=3, num_z=4)
    frames = OnDemand(whole.frames)
    result = replace(whole, frames=frames)
    assert summarize_image(result) == summarize_image(whole)
    found = save_result(result, tmp_path / 'a', 'x', [name], SaveOptions(cellprofiler=True))
    expected = save_result(whole, tmp_path / 'b', 'x', [name], SaveOptions(cellprofiler=True))
    assert [path.read_bytes() for path in found] == [path.read_bytes() for path in expected]
    assert 1 <= frames.most <= 3 < len(frames)


def test_options_reach_their_format(tmp_path):
    [path] = save_result(random_result(0), tmp_path, 'x', ['table'], SaveOptions(cellprofiler=True))
    assert path.read_text().startswith('ImageNumber,')


def test_formats_are_checked():
    assert check_formats(['labels', 'table', 'labels']) == ('labels', 'table')
    assert set(DEFAULT_FORMATS) <= set(SAVERS)
    for formats, found in ((['table', 'exe'], 'exe'), ([], 'nothing')):
        with pytest.raises(UserError, match=f'--save: found {found}, expected one or more of'):
            check_formats(formats)


def test_pictures_of_a_stack_are_one_a_frame(tmp_path):
    paths = save_result(random_result(0, num_t=2, num_z=3), tmp_path, 'x', ['outlines'])
    assert [path.name for path in paths] == [
        f'x_t0{t}_z0{z}_outlines.png' for t in range(2) for z in range(3)]


def test_submissions_are_those_of_kaggle(tmp_path):
    result = random_result(0)
    [path] = save_result(result, tmp_path, 'x', ['submission'])
    submission = read_submission(path)
    assert submission.ids == ['scene'] * result.num_cells
    assert submission.predicted == [
        bitmap_to_kaggle(bitmap) for bitmap in bitmaps_of(result.frames[0])]
    [path] = save_result(random_result(0, num_t=2), tmp_path, 'y', ['submission'])
    assert set(read_submission(path).ids) == {'scene_t00', 'scene_t01'}
    frame, = result.frames
    unnamed = replace(frame, detections=replace(frame.detections, img_id=''))
    [path] = save_result(replace(result, name='dose 0.5 uM', frames=[unnamed]), tmp_path, 'z',
                         ['submission'])
    assert set(read_submission(path).ids) == {'dose 0.5 uM'}


def test_submissions_are_joined(tmp_path):
    paths = [save_result(random_result(0, num_t=num_t), tmp_path, f'{num_t}', ['submission'])[0]
             for num_t in (1, 2)]
    count = merge_submissions(paths, tmp_path / 'submission.csv')
    parts = [read_submission(path) for path in paths]
    whole = read_submission(tmp_path / 'submission.csv')
    assert whole.ids == parts[0].ids + parts[1].ids
    assert whole.predicted == parts[0].predicted + parts[1].predicted
    assert len(whole.ids) == count
    with pytest.raises(UserError, match=r"image 'scene' is in .*1_submission.csv too"):
        merge_submissions([paths[0], save_result(
            random_result(1), tmp_path, 'again', ['submission'])[0]], tmp_path / 'no.csv')
    assert not (tmp_path / 'no.csv').exists()
