import json

import numpy as np
import pytest

from mmsart.cli.tune import main
from mmsart.datasets.classes import CLASSES
from mmsart.evaluation.functional import score_image
from mmsart.formats.predictions import load_annotated, load_predictions, save_predictions
from mmsart.postprocessing import PostProcessor, load_postprocess
from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.predictions import Predictions

CONFIG = "test_evaluator = dict(type='SartoriusMetric', postprocess=dict(score_thr={thr}))\n"


def save_images(path, truth=True, cell_type=None):
    """Four images of two cells, found with high scores among three wrong ones."""
    raws = []
    for n in range(4):
        bitmaps = np.zeros((5, 20, 30), np.uint8)
        for i, bitmap in enumerate(bitmaps):
            bitmap[2 + i:8 + i, 6 * i:6 * i + 5] = 1
        scores = np.array([0.9, 0.8, 0.4, 0.3, 0.2])
        masks = PatchMasks.from_bitmaps(bitmaps)
        raws.append(Predictions(
            Detections(scores, np.full(5, n % 2), masks, masks.boxes, f'image{n}'),
            masks[:2] if truth else None, cell_type or ('shsy5y', 'astro')[n % 2], f'well{n}'))
    save_predictions(path, raws, CLASSES)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'config.py').write_text(CONFIG.format(thr=0.3))
    save_images(tmp_path / 'predictions.pkl')
    return tmp_path


def run(folder, *options):
    return main([
        str(folder / 'config.py'), str(folder / 'predictions.pkl'), '--out',
        str(folder / 'postprocess.json'), '--trials', '6', '--folds', '2', *options])


def test_settings_are_written_and_score_what_is_printed(folder, capsys):
    assert run(folder) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    row = next(line for line in table if line[0] == 'mAP')
    assert row[1] == '4'
    assert float(row[3]) == float(row[4]) == 1.0
    assert float(row[2]) < 1
    process = PostProcessor(CLASSES, **load_postprocess(folder / 'postprocess.json', CLASSES))
    for image in load_annotated(str(folder / 'predictions.pkl')).images:
        final = process(image.detections)
        assert score_image(final.masks.to_runs(), image.truth.to_runs()).precision.mean() == 1.0


def test_settings_for_other_classes_are_named_with_both_files(folder, capsys):
    (folder / 'config.py').write_text(CONFIG.format(thr="dict(cell=0.5)"))
    assert run(folder) == 2
    err = capsys.readouterr().err
    assert err.startswith(f'error: {folder}/config.py: postprocess: score_thr: expected a value')
    assert err.endswith(f'; classes are those of {folder}/predictions.pkl\n')


def test_classes_without_image_keep_the_config(folder):
    assert run(folder) == 0
    written = json.loads((folder / 'postprocess.json').read_text())
    assert written['score_thr']['cort'] == 0.3


@pytest.mark.parametrize(('break_it', 'words'), [
    (lambda folder: (folder / 'config.py').unlink(), ['config.py', 'no such file']),
    (lambda folder: (folder / 'predictions.pkl').unlink(), ['predictions.pkl', 'no such file']),
    (lambda folder: (folder / 'config.py').write_text(CONFIG.format(thr=2)), ['score_thr', '2']),
    (lambda folder: save_images(folder / 'predictions.pkl', truth=False), ['image0', 'no truth']),
    (lambda folder: (folder / 'config.py').write_text('x = ('), ['config.py', 'SyntaxError']),
    (lambda folder: save_predictions(
        folder / 'predictions.pkl', [], CLASSES), ['found no image']),
])
def test_bad_input_is_one_line(folder, capsys, break_it, words):
    break_it(folder)
    assert run(folder) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('error: ')
    for word in words:
        assert word in error
    assert not (folder / 'postprocess.json').exists()


def test_options_are_checked(folder, capsys):
    assert run(folder, '--trials', '0') == 2
    assert capsys.readouterr().err == 'error: --trials: found 0, expected at least 1\n'
    assert run(folder, '--seed', '-1') == 2
    assert '--seed: found -1' in capsys.readouterr().err


def test_loaded_predictions_keep_their_order(folder):
    raws = load_predictions(folder / 'predictions.pkl').images
    images = load_annotated(str(folder / 'predictions.pkl')).images
    assert [image.detections.img_id for image in images] == [raw.img_id for raw in raws]
