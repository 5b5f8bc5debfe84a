"""Scoring of submission files, and what Kaggle would refuse."""
import json

import pytest

from tests.run_tool import run_tool


@pytest.fixture
def truth(write_table):
    # images of 8 x 10; cells of 4 and 6 pixels
    root = write_table([
        dict(id='a', annotation='1 4'), dict(id='a', annotation='21 6'),
        dict(id='b', annotation='1 4', cell_type='astro')])
    return root / 'train.csv'


def score(truth, tmp_path, rows, *flags):
    (tmp_path / 's.csv').write_text('id,predicted\n' + ''.join(f'{row}\n' for row in rows))
    code, out, err = run_tool('score_submission', '--truth', str(truth), '--submission',
                              str(tmp_path / 's.csv'), '--json', *flags)
    return code, json.loads(out) if code == 0 else err


def test_scores_are_those_worked_out(truth, tmp_path):
    # a: one of two cells, exactly: 1 / 2; b: 3 of 4 pixels, IoU 0.75, not above 0.75: 5 of 10
    code, scores = score(truth, tmp_path, ['a,1 4', 'b,1 3'])
    assert code == 0
    assert scores['mAP'] == pytest.approx((0.5 + 0.5) / 2)
    assert scores['mAP_cort'] == scores['mAP_astro'] == pytest.approx(0.5)
    assert (scores['TP'], scores['FP'], scores['FN']) == (2, 0, 1)


def test_only_named_images_count_and_that_is_said(truth, tmp_path):
    code, scores = score(truth, tmp_path, ['b,1 4'])
    assert (code, scores['mAP'], scores['images'], scores['of']) == (0, 1.0, 1, 2)
    code, err = score(truth, tmp_path, ['b,1 4'], '--complete')
    assert code == 2
    assert "image 'a': no row" in err


def test_an_empty_prediction_counts_as_zero(truth, tmp_path):
    code, scores = score(truth, tmp_path, ['a,', 'b,1 4'])
    assert (code, scores['mAP']) == (0, 0.5)


@pytest.mark.parametrize(('prediction', 'expected'), [('', 1.0), ('1 1', 0.5)])
def test_an_image_without_cells_is_judged_by_what_is_invented(
        write_table, tmp_path, prediction, expected):
    root = write_table([dict(id='a', annotation=''), dict(id='b', annotation='1 4')])
    code, scores = score(root / 'train.csv', tmp_path, [f'a,{prediction}', 'b,1 4'], '--complete')
    assert (code, scores['mAP']) == (0, expected)


def test_images_of_more_pixels_than_32_bits_count(write_table, tmp_path):
    """pycocotools' counts end at 2^32: these masks would be empty and tiny."""
    size = dict(width='70000', height='70000')
    root = write_table([
        dict(id='a', annotation=f'1 {2**32}', **size),
        dict(id='a', annotation=f'{2**32 + 1} 100', **size)], images=False)
    rows = [f'a,1 {2**32 - 1}', f'a,{2**32 + 1} 60']  # IoU of nearly 1, and of .6
    code, scores = score(root / 'train.csv', tmp_path, rows)
    assert code == 0
    assert (scores['AP50'], scores['AP75']) == (1.0, 1 / 3)


def test_classes_are_those_of_the_table(write_table, tmp_path):
    root = write_table([dict(cell_type='round'), dict(id='b', cell_type='long')])
    code, scores = score(root / 'train.csv', tmp_path, ['a,1 3', 'b,'])
    assert code == 0
    assert (scores['mAP'], scores['mAP_round'], scores['mAP_long']) == (0.5, 1.0, 0.0)


@pytest.mark.parametrize(('rows', 'problem'), [
    (['a,1 4', 'a,4 2'], 'shares pixel'),
    (['a,1 4 3'], 'expected an even number'),
    (['a,80 2'], 'ends past the image of 80 pixels'),
    (['a,9 1 1 1'], 'expected sorted runs'),
    (['zz,1 4'], 'unknown id'),
    ([], 'no rows'),
])
def test_what_kaggle_refuses_is_refused_by_row(truth, tmp_path, rows, problem):
    code, err = score(truth, tmp_path, rows)
    assert code == 2
    assert problem in err
    assert len([line for line in err.splitlines() if line]) == 1
