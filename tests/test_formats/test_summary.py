import csv
from dataclasses import replace

import numpy as np
import pytest

from mmsart.formats.summary import (
    failed_image,
    read_colours,
    summarize_image,
    summary_columns,
    write_colours,
    write_summary,
)
from mmsart.structures.image_result import OKABE_ITO, ImageResult
from tests.test_formats.results import CLASSES, bitmaps_of, make_frame, random_result


def test_a_stack_is_summed_up():
    result = random_result(1, num_t=3, pixel_size=0.5)
    row = summarize_image(result)
    bitmaps = [bitmaps_of(frame) for frame in result.frames]
    areas = np.concatenate([each.sum(axis=(1, 2)) for each in bitmaps])
    labels = np.concatenate([frame.detections.labels for frame in result.frames])
    assert (row['frames'], row['height'], row['width']) == (3, 40, 56)
    assert row['cells'] == len(areas)
    assert [row[f'cells_{name}'] for name in CLASSES] == np.bincount(labels).tolist()
    assert row['confluence'] == pytest.approx(areas.sum() / (3 * 40 * 56))
    assert row['cells_per_mm2'] == pytest.approx(len(areas) / 3 / (40 * 56 * 0.25e-6))
    assert row['median_area_px'] == np.median(areas)
    assert row['median_area_um2'] == np.median(areas) / 4
    assert (row['pixel_size_um'], row['pixel_size_source'], row['status']) == (0.5, 'test', 'ok')


def test_what_a_hand_has_done_is_counted_over_frames():
    frames = random_result(1, num_t=2).frames
    made = [['drawn', 'changed', 'drawn'] + ['found'] * (len(frame.detections) - 3)
            for frame in frames]
    row = summarize_image(ImageResult('x', [
        replace(frame, made=ways, removed=number) for number, (frame, ways) in enumerate(
            zip(frames, made, strict=True), 3)], CLASSES))
    hand = ('drawn_by_hand', 'changed_by_hand', 'removed_by_hand')
    assert [row[name] for name in hand] == [4, 2, 7]
    assert [summarize_image(random_result(1))[name] for name in hand] == [0, 0, 0]


def test_how_a_file_was_read_is_told(tmp_path):
    result = replace(random_result(0), axes='CYX', channel='DAPI', display_range=(4095.0, 17.0),
                     scaling='option', date='2026-01-02T03:04:05+00:00')
    plain = replace(random_result(0), axes='YX', scaling='8 bits')
    write_summary(tmp_path / 'x.csv', [summarize_image(result), summarize_image(plain),
                                       failed_image('b', 'cut')], CLASSES)
    with (tmp_path / 'x.csv').open(newline='', encoding='utf-8') as file:
        rows = [[row[name] for name in ('axes', 'channel', 'black', 'white', 'scaling', 'date')]
                for row in csv.DictReader(file)]
    assert rows == [['CYX', 'DAPI', '4095', '17', 'option', '2026-01-02T03:04:05+00:00'],
                    ['YX', '', '', '', '8 bits', ''], [''] * 6]


def test_the_file(tmp_path):
    empty = make_frame(np.zeros((0, 4, 5), bool), np.random.default_rng(0))
    write_summary(tmp_path / 'summary.csv', [
        summarize_image(random_result(0)),
        summarize_image(ImageResult('empty', [empty], CLASSES, seconds=1.5,
                                    warnings=['dark', 'flat'])),
        failed_image('broken.tif', 'found text, expected an image')], CLASSES)
    with (tmp_path / 'summary.csv').open(newline='', encoding='utf-8') as file:
        found, nothing, failed = csv.DictReader(file)
    assert list(found) == summary_columns(CLASSES)
    assert found['cells'] == '7'  # and not 7.0, though a row has none
    assert found['pixel_size_um'] == found['cells_per_mm2'] == found['seconds'] == ''
    assert (nothing['cells'], nothing['confluence'], nothing['median_area_px']) == ('0', '0', '')
    assert (nothing['seconds'], nothing['warnings']) == ('1.5', 'dark; flat')
    assert failed['cells'] == ''
    assert failed['status'] == 'failed: found text, expected an image'


def test_a_folder_may_begin_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_summary('~root/summary.csv', [failed_image('a.tif', 'cut')], CLASSES)
    write_colours('~root', ('flat', 'round'), [(1, 2, 3), (4, 5, 6)])
    assert (tmp_path / '~root' / 'summary.csv').is_file()
    assert read_colours('~root', ('round',)) == [(4, 5, 6)]


def test_colours_are_kept_by_class(tmp_path):
    assert read_colours(tmp_path, CLASSES) == list(OKABE_ITO[:3])
    write_colours(tmp_path, ('flat', 'round'), [(1, 2, 3), (4, 5, 6)])
    assert read_colours(tmp_path, CLASSES) == [(4, 5, 6), (1, 2, 3), OKABE_ITO[2]]
