"""Run-length codes against pixels."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from mmsart.structures.mask.rle import (
    bitmap_to_kaggle,
    decode_rles,
    kaggle_to_bitmap,
    parse_rles,
    runs_to_coco,
    runs_to_texts,
)
from mmsart.structures.mask.runs import BadRleError, Runs, find_bad_runs, run_boxes

bitmaps = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(
    lambda size: arrays(np.uint8, size, elements=st.integers(0, 1)))


@given(bitmaps)
def test_text_and_bitmap_are_inverse(mask):
    assert (kaggle_to_bitmap(bitmap_to_kaggle(mask), mask.shape) == mask).all()


@given(bitmaps)
def test_coco_code_is_pycocotools_own_of_the_transpose(mask):
    text = bitmap_to_kaggle(mask)
    code, = runs_to_coco(parse_rles([text]), *mask.shape)
    assert code == coco_mask.encode(np.asfortranarray(mask.T))
    as_text = {**code, 'counts': code['counts'].decode()}
    assert runs_to_texts(decode_rles([code, as_text])) == [text, text]


@given(st.lists(bitmaps, max_size=6))
def test_boxes_and_areas_are_those_of_the_pixels(masks):
    runs = parse_rles([bitmap_to_kaggle(mask) for mask in masks])
    boxes, areas = run_boxes(runs, np.array([mask.shape[1] for mask in masks], int))
    for mask, box, area in zip(masks, boxes, areas, strict=True):
        assert area == mask.sum()
        rows, columns = np.nonzero(mask)
        expected = ([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                    if len(rows) else [0, 0, 0, 0])
        assert box.tolist() == expected


@given(st.lists(bitmaps, min_size=1, max_size=5), st.data())
def test_selected_masks_are_those_parsed_alone(masks, data):
    texts = [bitmap_to_kaggle(mask) for mask in masks]
    chosen = data.draw(st.lists(st.integers(0, len(masks) - 1), max_size=6))
    selected = parse_rles(texts).select(np.array(chosen, int))
    alone = parse_rles([texts[i] for i in chosen])
    for name in ('starts', 'lengths', 'splits'):
        assert (getattr(selected, name) == getattr(alone, name)).all()


def test_rows_run_left_to_right_and_count_from_one():
    # 2 x 3 image: pixel 4 of Kaggle is the first of the second row
    assert kaggle_to_bitmap('4 2', (2, 3)).tolist() == [[0, 0, 0], [1, 1, 0]]


def test_touching_runs_become_one():
    in_three, in_one = runs_to_coco(parse_rles(['1 2 3 2 5 1', '1 5']), 3, 3)
    assert in_three == in_one


def test_a_run_over_a_line_end_spans_the_width():
    boxes, areas = run_boxes(parse_rles(['3 2']), 3)  # last of row 0, first of row 1
    assert boxes.tolist() == [[0, 0, 3, 2]]
    assert areas.tolist() == [2]


@pytest.mark.parametrize('text', ['', ' '])
def test_the_empty_text_is_the_empty_mask(text):
    runs = parse_rles([text])
    assert len(runs.starts) == len(runs.lengths) == 0
    assert runs_to_texts(runs) == ['']
    assert runs_to_coco(runs, 2, 3) == [coco_mask.encode(np.zeros((3, 2), np.uint8, 'F'))]


@pytest.mark.parametrize(('text', 'problem'), [
    ('1 2 3', '3 run values, expected an even number'),
    ('a 1', "found 'a', expected whole numbers"),
    ('1.5 2', "found '1.5', expected whole numbers"),
    ('1 --2', "found '--2', expected whole numbers"),
    ('９ 1', "found '９', expected whole numbers"),  # a full-width digit
    ('1 0', 'run length 0, expected at least 1'),
    ('1 -2', 'run length -2, expected at least 1'),
    ('0 3', 'run start 0, expected at least 1'),
    ('8 3', 'run 8 3 ends past the image of 9 pixels, expected an end of at most 9'),
    ('5 9223372036854775807', 'found 9223372036854775807, expected numbers of at most 10 digits'),
    ('5 99999999999999999999999', 'expected numbers of at most 10 digits'),
    ('-99999999999999999999999 1', 'expected numbers of at most 10 digits'),
    ('12345678901 1', 'found 12345678901, expected numbers of at most 10 digits'),
    ('9' * 5000 + ' 1', 'expected numbers of at most 10 digits'),
    ('5 9999999999', 'run 5 9999999999 ends past the image of 9 pixels'),
    ('5 2 1 1', 'run 1 1 begins before the end of the run before it'),  # unsorted
    ('1 3 3 1', 'run 3 1 begins before the end of the run before it'),  # overlapping
])
def test_bad_text_is_named(text, problem):
    with pytest.raises(BadRleError, match='mask 0') as caught:
        kaggle_to_bitmap(text, (3, 3))
    assert problem in caught.value.problem


def test_the_bad_one_of_many_is_found():
    with pytest.raises(BadRleError) as caught:
        parse_rles(['1 2', '3 4', '5', '6 7'])
    assert caught.value.index == 2
    problem = find_bad_runs(parse_rles(['9 1', '9 1', '9 1']), np.array([9, 8, 9]))
    assert problem is not None
    assert problem.index == 1
    assert find_bad_runs(parse_rles(['9 1', '1 9']), 9) is None


def test_runs_whose_end_is_beyond_int64_are_found():
    huge = np.iinfo(np.int64).max
    runs = Runs(np.array([4]), np.array([huge]), np.array([0, 1]))
    problem = find_bad_runs(runs, 9)
    assert problem is not None
    assert 'ends past the image' in problem.problem
