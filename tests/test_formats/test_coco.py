import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmsart.formats.coco import merge_coco, to_coco, to_coco_results, write_coco
from mmsart.structures.image_result import ImageResult
from mmsart.utils import UserError
from tests.test_formats.results import CLASSES, bitmaps_of, make_frame, random_result


def read(path):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


@pytest.mark.parametrize('seed', range(5))
def test_pycocotools_reads_the_masks(tmp_path, seed):
    result = random_result(seed)
    write_coco(tmp_path / 'x.json', result)
    coco = read(tmp_path / 'x.json')
    frame = result.frames[0]
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert [cat['name'] for cat in coco.loadCats(coco.getCatIds())] == list(CLASSES)
    assert coco.imgs[1] == {'id': 1, 'file_name': 'scene.tif', 'height': 40, 'width': 56}
    for annotation, bitmap in zip(annotations, bitmaps_of(frame), strict=True):
        np.testing.assert_array_equal(coco.annToMask(annotation), bitmap)
        ys, xs = np.nonzero(bitmap)
        assert annotation['area'] == bitmap.sum()
        assert annotation['bbox'] == [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]
    assert [each['label'] for each in annotations] == list(range(1, len(annotations) + 1))
    np.testing.assert_allclose(
        [each['score'] for each in annotations], frame.detections.scores, atol=1e-6)


def test_results_score_one_against_their_own_annotations(tmp_path):
    result = random_result(1)
    write_coco(tmp_path / 'x.json', result)
    coco = read(tmp_path / 'x.json')
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(coco, coco.loadRes(to_coco_results(to_coco([result]))), 'segm')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


def test_frames_of_a_stack_are_images():
    data = to_coco([random_result(0, num_t=2, num_z=2)])
    assert [(image['id'], image['t'], image['z']) for image in data['images']] == [
        (1, 0, 0), (2, 0, 1), (3, 1, 0), (4, 1, 1)]


def test_merged_files_are_those_of_all_images_at_once(tmp_path):
    results = [random_result(0), random_result(1, num_t=2)]
    for number, result in enumerate(results):
        write_coco(tmp_path / f'{number}.json', result)
    merge_coco([tmp_path / '0.json', tmp_path / '1.json'], tmp_path / 'all.json',
               tmp_path / 'results.json')
    expected = json.loads(json.dumps(to_coco(results)))
    assert json.loads((tmp_path / 'all.json').read_text()) == expected
    assert json.loads((tmp_path / 'results.json').read_text()) == to_coco_results(expected)


def test_what_cannot_be_merged(tmp_path):
    write_coco(tmp_path / 'a.json', random_result(0))
    frame = make_frame(np.zeros((0, 4, 5), bool), np.random.default_rng(0))
    write_coco(tmp_path / 'b.json', ImageResult('x', [frame], ['cell']))
    (tmp_path / 'c.json').write_text('{"images": []}')
    (tmp_path / 'd.json').write_text('[1')
    for name, message in (('b', 'found categories'), ('c', 'found images, expected'),
                          ('d', 'not a JSON')):
        with pytest.raises(UserError, match=rf'{name}.json: {message}'):
            merge_coco([tmp_path / 'a.json', tmp_path / f'{name}.json'], tmp_path / 'all.json')
    assert not (tmp_path / 'all.json').exists()


def test_results_of_other_classes_are_no_data_set():
    frame = make_frame(np.zeros((0, 4, 5), bool), np.random.default_rng(0))
    with pytest.raises(ValueError, match='expected the same for all'):
        to_coco([random_result(0), ImageResult('x', [frame], ['cell'])])
