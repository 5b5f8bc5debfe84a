"""COCO files that are odd or broken: read as they are meant, or refused before anything is written.

Each kind of fault has a test of its own, with what a config's ``CocoDataset`` is here and with a
class of somebody's own that loads as mmdet does.
"""
import copy
import gzip
import json
import warnings

import numpy as np
import pytest
import tifffile
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from PIL import Image

import mmsart.registration  # noqa: F401
from mmsart.apis.checks import check_data
from mmsart.apis.config import load_config
from mmsart.datasets.checked_coco import CheckedCocoDataset
from mmsart.datasets.coco_file import read_coco
from mmsart.datasets.coco_missing import fill_in
from mmsart.utils import UserError
from tests.run_tool import run_tool
from tests.test_cases.coco_files import APPEND, BOX, CLASSES, DELETE, GOOD, H, W, write_folder


@DATASETS.register_module()
class OwnCocoDataset(CocoDataset):
    """Loads as mmdet's class does."""


KINDS = ['CocoDataset', 'OwnCocoDataset']
PIPELINE = [dict(type='LoadCachedImage', max_mb=1), dict(type='LoadCroppedAnnotations')]


def build(kind=CheckedCocoDataset, folder=None, pipeline=PIPELINE, **kwargs):
    return kind(**{**dict(ann_file=str(folder / 'coco.json'), data_prefix=dict(img=str(folder)),
                          metainfo=dict(classes=CLASSES), pipeline=pipeline), **kwargs})


def write_config(folder, kind='CocoDataset', pipeline=PIPELINE, classes=CLASSES, rest=''):
    path = folder / 'config.py'
    path.write_text(
        f'train_dataloader = dict(batch_size=1, num_workers=0, dataset=dict(type={kind!r}, '
        f'ann_file={str(folder / "coco.json")!r}, data_prefix=dict(img={str(folder)!r}), '
        f'metainfo=dict(classes={classes!r}), filter_cfg=dict(filter_empty_gt=True), '
        f'pipeline={pipeline!r}))\nval_dataloader = train_dataloader\n{rest}\n')
    return path


def masks_of(dataset):
    return {dataset[i]['img_id']: dataset[i]['gt_masks'].to_ndarray() for i in range(len(dataset))}


def assert_good(dataset, labels=(0, 2)):
    masks = masks_of(dataset)
    assert list(masks) == [1, 2]
    first, second = np.zeros((2, H, W), np.uint8)
    first[10:40, 20:60] = 1
    second[2:4, 1:3] = 1
    np.testing.assert_array_equal(masks[1], first[None])
    np.testing.assert_array_equal(masks[2], second[None])
    assert [dataset[i]['gt_bboxes_labels'].tolist() for i in (0, 1)] == [[each] for each in labels]


def check(folder, kind='CocoDataset', **kwargs):
    check_data(load_config(str(write_config(folder, kind, **kwargs))), ('train_dataloader',))


BAD = {
    # segmentations; every kind of them is in tests/test_structures/test_coco_segmentations.py
    'start-length pairs': (
        dict(annotations__1__segmentation__counts=[2890, 20, 2986, 20, 3082, 20]),
        'image b.png, annotation 2: segmentation: found counts of 9018 pixels, expected 7680'),
    'an RLE with height and width swapped': (
        dict(annotations__1__segmentation__size=[W, H]),
        f'image b.png, annotation 2: segmentation: found an RLE of size [{W}, {H}], expected '
        f'[{H}, {W}]'),
    'NaN': (dict(annotations__0__segmentation=[[float('nan'), *BOX[1:]]]),
            'image a.png, annotation 1: segmentation: polygon 0: found nan'),
    'far away': (dict(annotations__0__segmentation=[[0.0, 0.0, 1e9, 0.0, 1e9, 1e9]]),
                 'image a.png, annotation 1: segmentation: polygon 0: found the coordinate 1e+09'),
    'a line': (dict(annotations__0__segmentation=[BOX[:4]]),
               'image a.png, annotation 1: segmentation: polygon 0: found 4 numbers'),
    'no polygon': (dict(annotations__0__segmentation=[]), 'segmentation: found no polygon'),
    'no segmentation': (dict(annotations__0__segmentation=DELETE),
                        'image a.png, annotation 1: segmentation: found None'),
    'null': (dict(annotations__0__segmentation=None), 'segmentation: found None'),
    # boxes
    'null as a box': (dict(annotations__0__bbox=None), 'annotation 1: bbox: found None, expected'),
    'a box of NaN': (dict(annotations__0__bbox=[20, 10, float('nan'), 30]), 'annotation 1: bbox'),
    'a box of texts': (dict(annotations__0__bbox=['20', '10', '40', '30']), 'annotation 1: bbox'),
    'a box of infinity': (dict(annotations__0__bbox=[20, 10, float('inf'), 30]), '1: bbox: found'),
    'a box of 3': (dict(annotations__0__bbox=[20, 10, 40]), '1: bbox: found [20, 10, 40]'),
    'a box inside out': (dict(annotations__0__bbox=[60, 40, -40, -30]), 'annotation 1: bbox'),
    'corners': (dict(annotations__0__bbox=[20, 10, 80, 96]),  # x1, y1, x2, y2 of another cell
                'annotation 1: bbox: found [20, 10, 80, 96], expected about [20, 10, 40, 30]'),
    'its own corners': (dict(annotations__0__bbox=[20, 10, 60, 40]), 'bbox: found [20, 10, 60, 40] '
                        'as x1, y1, x2, y2, expected about [20, 10, 40, 30]'),
    'a box elsewhere': (dict(annotations__1__bbox=[60, 60, 9, 9]),
                        'annotation 2: bbox: found [60, 60, 9, 9], expected about [1, 2, 2, 2]'),
    # records
    'an area of NaN': (dict(annotations__0__area=float('nan')), 'annotation 1: area: found nan'),
    'an area as text': (dict(annotations__0__area='1200'), "annotation 1: area: found '1200'"),
    'crowd as text': (dict(annotations__0__iscrowd='0'), "annotation 1: iscrowd: found '0'"),
    'an unknown image': (dict(annotations__0__image_id=7),
                         'annotation 1: image_id: found 7, expected the id of one of the 2 images'),
    'an image as text': (dict(annotations__0__image_id='1'), "image_id: found '1', expected the"),
    'a list for an image': (dict(annotations__0__image_id=[1]), 'image_id: found [1], expected'),
    'no image': (dict(annotations__0__image_id=DELETE), 'annotation 1: image_id: found none'),
    'an unknown category': (dict(annotations__0__category_id=0),
                            'image a.png, annotation 1: category_id: found 0, expected the id of'),
    'no category': (dict(annotations__0__category_id=DELETE), 'category_id: found none'),
    'an id twice': (dict(annotations__1__id=1),
                    'image b.png, annotation 1: id: found 1 twice, expected each once'),
    'the same annotation twice': (dict(annotations__0=APPEND), 'annotation 1: id: found 1 twice'),
    'an annotation that is none': (dict(annotations__0=5),
                                   'annotations: number 0, from 0: found 5, expected a dict'),
    # images and categories
    'images twice': (dict(images__1__id=1), 'image b.png: id: found 1 twice'),
    'no width': (dict(images__0__width=DELETE), 'image a.png: width: found none'),
    'a height of 0': (dict(images__0__height=0), 'image a.png: height: found 0, expected a whole'),
    'a height of 9.5': (dict(images__0__height=9.5), 'image a.png: height: found 9.5'),
    'a width as text': (dict(images__0__width='80'), "image a.png: width: found '80'"),
    'a width of true': (dict(images__0__width=True), 'image a.png: width: found True'),
    'no file name': (dict(images__0__file_name=DELETE), 'file_name: found none, expected a name'),
    'a zero byte in a name': (dict(images__0__file_name='a\0.png'),
                              "file_name: found 'a\\x00.png', expected a name"),
    'a category twice': (dict(categories__1__id=1), 'categories: found the id 1 2 times'),
    'a name twice': (dict(categories__0__name='cort'), "categories: found the name 'cort' 2 times"),
    'no name': (dict(categories__1__name=DELETE), 'category number 1, from 0: name: found none'),
    'none of the classes': (dict(categories=[dict(id=1, name='glia'), dict(id=3, name='HeLa')]),
                            'categories: found glia, HeLa, expected one of the classes shsy5y'),
    'no images': (dict(images=DELETE), 'images: found None, expected a list'),
    'no categories': (dict(categories=DELETE), 'categories: found None, expected a list'),
    'no annotations': (dict(annotations=DELETE), 'annotations: found none, expected some'),
    'images as text': (dict(images='a.png'), "images: found 'a.png', expected a list"),
}


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('case', BAD)
def test_a_bad_record_is_named_with_file_image_and_annotation(tmp_path, case, kind):
    changes, problem = BAD[case]
    path = write_folder(tmp_path, **changes)
    with pytest.raises(UserError) as caught:
        check(tmp_path, kind)
    for line in caught.value.problems:
        assert line.startswith(f'{path}: ')
        assert '\n' not in line
    assert problem in str(caught.value)


@pytest.mark.parametrize('content', [
    json.dumps(GOOD)[:-100],  # cut off
    json.dumps(GOOD)[:500],
    '', '[]', '5', 'null', 'no JSON', '{"images": [' * 5000,
    json.dumps(GOOD).replace('1200', '1' * 5000),  # a number beyond Python's limit of digits
    json.dumps(GOOD).encode()[:-1] + b'\xff}',
    gzip.compress(json.dumps(GOOD).encode())[:-20]], ids=range(11))
@pytest.mark.parametrize('kind', KINDS)
def test_what_is_no_coco_file_is_named(tmp_path, content, kind):
    path = write_folder(tmp_path, content)
    with pytest.raises(UserError) as caught:
        check(tmp_path, kind)
    assert str(caught.value).startswith(f'{path}: ')
    assert '\n' not in str(caught.value)


def test_all_bad_annotations_are_named_at_once(tmp_path):
    write_folder(tmp_path, annotations__0__segmentation=[BOX[:5]], annotations__1__bbox=None,
                 images__0__file_name='', categories__1__id=1)
    with pytest.raises(UserError) as caught:
        build(folder=tmp_path)
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize('kind', KINDS)
def test_a_good_file_is_read_as_by_mmdet(tmp_path, kind):
    write_folder(tmp_path)
    check(tmp_path, kind)
    assert_good(build(DATASETS.get(kind), tmp_path))
    ours, stock = build(folder=tmp_path), build(CocoDataset, tmp_path)
    for i in range(2):
        info = ours.get_data_info(i)
        assert info.pop('image_name') == 'ab'[i]
        assert info == stock.get_data_info(i)


def keyed(content):
    return {**content, 'annotations': {str(each['id']): {
        key: value for key, value in each.items() if key != 'id'}
        for each in content['annotations']}}


@pytest.mark.parametrize('change', [
    lambda text: json.dumps(keyed(json.loads(text))).encode(),  # LIVECell's own layout
    lambda text: b'\xef\xbb\xbf' + text.encode(), lambda text: text.encode('utf-16'),
    lambda text: gzip.compress(text.encode())])
def test_layouts_that_only_ours_reads(tmp_path, change):
    write_folder(tmp_path, change(json.dumps(GOOD)))
    assert_good(build(folder=tmp_path))
    check(tmp_path)
    with pytest.raises(UserError, match=r"coco\.json: .*type='CocoDataset' reads it"):
        check(tmp_path, 'OwnCocoDataset')


@pytest.mark.parametrize('change', [
    lambda text: text.replace(', ', ',\r\n'), lambda text: text.replace('1200', '1200.0'),
    lambda text: text.replace('"id": 1,', '"id": 1.0,'), lambda text: text + '\n \n',
    lambda text: text.replace('"height": 96', '"height": 96.0').replace('[96, 80]', '[96.0, 80]'),
    lambda text: text.replace('"iscrowd": 0', '"iscrowd": false')])
def test_other_spellings_are_read(tmp_path, change):
    write_folder(tmp_path, change(json.dumps(GOOD)))
    check(tmp_path)
    assert_good(build(folder=tmp_path))


def test_labels_go_by_name(tmp_path):
    """mmdet's go by the order of the file: in silence another class."""
    write_folder(tmp_path)
    classes = ('cort', 'astro', 'shsy5y')
    assert_good(build(folder=tmp_path, metainfo=dict(classes=classes)), labels=(2, 0))
    with pytest.raises(UserError, match='found shsy5y, astro, cort in this order, expected cort'):
        check(tmp_path, 'OwnCocoDataset', classes=classes)


def test_a_class_that_the_file_lacks_keeps_its_label(tmp_path):
    write_folder(tmp_path, categories=[dict(id=1, name='shsy5y'), dict(id=3, name='cort')])
    assert_good(build(folder=tmp_path))
    with pytest.raises(UserError, match='categories: found shsy5y, cort in this order, expected'):
        check(tmp_path, 'OwnCocoDataset')


@pytest.mark.parametrize('kind', [CocoDataset, CheckedCocoDataset])
def test_a_subset_of_classes_and_a_filter_act_as_in_mmdet(tmp_path, kind):
    write_folder(tmp_path)
    only = build(kind, tmp_path, metainfo=dict(classes=('cort',)))
    assert [len(each['instances']) for each in only] == [0, 1]
    assert only[1]['gt_bboxes_labels'].tolist() == [0]
    for filter_cfg, expected in ((dict(filter_empty_gt=True), [2]), (dict(min_size=80), [1, 2])):
        kept = build(kind, tmp_path, metainfo=dict(classes=('cort',)), filter_cfg=filter_cfg)
        assert [each['img_id'] for each in kept] == expected


def test_a_filter_that_leaves_nothing_is_named(tmp_path):
    write_folder(tmp_path)
    with pytest.raises(UserError, match=r'filter_cfg and metainfo\.classes: found no image left'):
        build(folder=tmp_path, filter_cfg=dict(min_size=81))


def test_what_mmdet_leaves_out_is_said(tmp_path):
    write_folder(tmp_path, annotations__1__bbox=[1, 2, 0.5, 2])
    with pytest.warns(UserWarning, match='1 annotations left out, .* the first is 2'):
        dataset = build(folder=tmp_path)
    assert [len(each['instances']) for each in dataset] == [1, 0]


@pytest.mark.parametrize('kind', KINDS)
def test_a_file_of_which_nothing_is_left_is_refused(tmp_path, kind):
    write_folder(tmp_path, annotations__1__bbox=[1, 2, 0.5, 2], annotations__0__iscrowd=1)
    with (pytest.warns(UserWarning, match='left out'), pytest.raises(UserError, match=(
            r'found 2, but all of them are left out, .* cells of shsy5y, astro, cort to'))):
        check(tmp_path, kind)
    write_folder(tmp_path, annotations__1__category_id=1)
    with pytest.raises(UserError, match='of other classes, expected cells of cort to'):
        check(tmp_path, kind, classes=('cort',))


def test_an_area_of_0_is_that_of_the_mask(tmp_path):
    write_folder(tmp_path, annotations__0__area=0, annotations__1__area=0.0)
    with pytest.warns(UserWarning, match='annotations without an area above 0: 2; boxes and areas'):
        dataset = build(folder=tmp_path)
    assert_good(dataset)
    filled = fill_in(read_coco(tmp_path / 'coco.json')).annotations
    assert [each['area'] for each in filled] == [30 * 40, 4]


def with_a_third(**changes):
    content = copy.deepcopy(GOOD)
    content['annotations'].append(dict(content['annotations'][0], id=3))
    for number, change in changes.items():
        content['annotations'][int(number[1:])].update(change)
    return json.dumps(content)


def test_crowds_and_ignored_annotations_act_as_in_mmdet(tmp_path):
    write_folder(tmp_path, with_a_third(
        _0=dict(iscrowd=1), _1=dict(ignore=1, segmentation=None, bbox=None)))
    with pytest.warns(UserWarning, match=(
            r"coco\.json: 1 of 2 annotations are crowds \(iscrowd 1\), .*: crowds='cells'")):
        dataset = build(folder=tmp_path)
    assert dataset[0]['gt_ignore_flags'].tolist() == [True, False]
    assert len(dataset[1]['gt_bboxes']) == 0


@pytest.mark.parametrize('kind', KINDS)
def test_a_file_of_nothing_but_crowds_is_refused_unless_they_are_cells(tmp_path, kind):
    """CVAT's masks painted with a brush: there would be nothing to train on or to score."""
    write_folder(tmp_path, annotations__0__iscrowd=1, annotations__1__iscrowd=1)
    with pytest.raises(UserError, match=r"coco\.json: annotations: found iscrowd 1 in each of the "
                                        r"2, .* CVAT .*: crowds='cells' in a CheckedCocoDataset"):
        check(tmp_path, kind)
    dataset = build(folder=tmp_path, crowds='cells')
    assert_good(dataset)
    assert [dataset[i]['gt_ignore_flags'].tolist() for i in (0, 1)] == [[False], [False]]
    with pytest.raises(UserError, match="crowds: found 'cell', expected ignored or cells"):
        build(folder=tmp_path, crowds='cell')


def test_the_file_of_cocos_metric_has_no_crowds_that_are_cells(tmp_path):
    path = write_folder(tmp_path, with_a_third(_0=dict(iscrowd=1)))
    config = write_config(tmp_path, rest=f"""
val_dataloader['dataset']['crowds'] = 'cells'
val_evaluator = dict(type='CroppedCocoMetric', ann_file={str(path)!r})""")
    with pytest.raises(UserError, match=(
            r'found iscrowd 1, which the data set reads as cells .*; without ann_file the')):
        check_data(load_config(str(config)), ('val_dataloader',))


def test_the_crowds_of_a_file_are_counted_once_for_data_set_and_metric(tmp_path):
    path = write_folder(tmp_path, with_a_third(_0=dict(iscrowd=1)))
    config = write_config(tmp_path, rest=f"""
val_evaluator = dict(type='CroppedCocoMetric', ann_file={str(path)!r})""")
    with pytest.warns(UserWarning, match='are crowds') as warned:
        check_data(load_config(str(config)), ('val_dataloader',))
    assert len([each for each in warned if 'are crowds' in str(each.message)]) == 1


def test_a_file_of_cocos_metric_has_more_than_crowds(tmp_path):
    (tmp_path / 'val').mkdir()
    write_folder(tmp_path)
    other = write_folder(tmp_path / 'val', annotations__0__iscrowd=1, annotations__1__iscrowd=1)
    config = write_config(tmp_path, rest=f"""
val_evaluator = dict(type='CroppedCocoMetric', ann_file={str(other)!r})""")
    with pytest.raises(UserError, match=(
            r"val/coco\.json: annotations: found iscrowd 1 in each of the 2, .*; with crowds='")):
        check_data(load_config(str(config)), ('val_dataloader',))


def ids_of(dataset):
    return [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))]


def write_many(folder, count=10, empty=(1, 3)):
    """Write a file of images 0, 1, ..., of which some have no cells."""
    content = copy.deepcopy(GOOD)
    content['images'] = [dict(GOOD['images'][0], id=number) for number in range(count)]
    content['annotations'] = [dict(GOOD['annotations'][0], id=number, image_id=number)
                              for number in range(count) if number not in empty]
    write_folder(folder, json.dumps(content))


def test_indices_are_positions_in_the_file_whatever_is_filtered(tmp_path):
    """Else training, which leaves out images without cells, would see those of the validation."""
    write_many(tmp_path)
    train = dict(folder=tmp_path, filter_cfg=dict(filter_empty_gt=True))
    val = dict(folder=tmp_path, test_mode=True)
    assert ids_of(build(**train, indices=8)) == [0, 2, 4, 5, 6, 7]
    assert ids_of(build(**val, indices=-2)) == [8, 9]
    assert ids_of(build(**train, indices=[*range(2, 10)])) == [2, 4, 5, 6, 7, 8, 9]
    assert ids_of(build(**val, indices=2)) == [0, 1]
    assert ids_of(build(**val, indices=[-1, 3])) == [9, 3]


@pytest.mark.parametrize(('indices', 'problem'), [
    ([1, 10], r'coco\.json: indices: found 10, expected positions from 0 to 9, of its 10 images'),
    (0, 'indices: found 0, expected a number of images other than 0'),
    ('3', "indices: found '3', expected a number"), ([], r'indices: found \[\], expected')])
def test_indices_that_name_no_image_are_refused(tmp_path, indices, problem):
    write_many(tmp_path)
    with pytest.raises(UserError, match=problem):
        build(folder=tmp_path, indices=indices)


def test_joined_data_sets_that_number_alike_share_no_file_of_cocos_metric(tmp_path):
    path = write_folder(tmp_path)
    config = write_config(tmp_path, rest=f"""
one = val_dataloader['dataset']
val_dataloader['dataset'] = dict(type='ConcatDataset', datasets=[one, one])
val_evaluator = dict(type='CroppedCocoMetric', ann_file={str(path)!r})""")
    with pytest.raises(UserError, match=r'coco\.json: found the image id 1 in several data sets'):
        check_data(load_config(str(config)), ('val_dataloader',))


def test_boxes_alone_need_no_mask(tmp_path):
    boxes = [dict(type='LoadAnnotations', with_bbox=True)]
    write_folder(tmp_path, annotations__0__segmentation=[], annotations__1__segmentation=DELETE)
    assert len(build(folder=tmp_path, pipeline=boxes)) == 2
    check(tmp_path, pipeline=boxes)


def test_a_test_set_needs_no_annotations(tmp_path):
    write_folder(tmp_path, annotations=DELETE)
    assert len(build(folder=tmp_path, test_mode=True)) == 2


def test_polygons_over_the_border_are_read(tmp_path):
    shape = [-15.5, -8.0, 30.0, -8.0, 30.0, 20.25, -15.5, 20.25]
    write_folder(tmp_path, annotations__0__segmentation=[shape],
                 annotations__0__bbox=[-15.5, -8, 45.5, 28.25])
    check(tmp_path)
    assert masks_of(build(folder=tmp_path))[1].sum() == 30 * 20


MISSING = dict(annotations__0__bbox=DELETE, annotations__0__area=DELETE,
               annotations__1__area=DELETE, annotations__1__id=DELETE)


def test_boxes_areas_and_ids_that_are_missing_come_from_the_masks(tmp_path):
    write_folder(tmp_path, **MISSING)
    with pytest.warns(UserWarning, match=(
            r'coco\.json: annotations without bbox: 1, area: 2, id: 1; boxes and areas are those')):
        dataset = build(folder=tmp_path)
    assert_good(dataset)
    assert [dataset.get_data_info(i)['instances'][0]['bbox'] for i in (0, 1)] == [
        [20, 10, 60, 40], [1, 2, 3, 4]]
    filled = fill_in(read_coco(tmp_path / 'coco.json')).annotations
    assert [each['area'] for each in filled] == [30 * 40, 4]
    assert [each['id'] for each in filled] == [1, 2]
    with pytest.raises(UserError, match='annotation 1: bbox: found none'):
        check(tmp_path, 'OwnCocoDataset')  # which has no use for them


def test_the_file_of_cocos_metric_has_them(tmp_path):
    path = write_folder(tmp_path, **MISSING)
    config = write_config(tmp_path, rest='val_evaluator = dict('
                          f'type="CroppedCocoMetric", ann_file={str(path)!r})')
    with (pytest.warns(UserWarning, match='annotations without'),
          pytest.raises(UserError, match=r'annotations: found 2 without bbox, area, id, which '
                                         r'pycocotools needs; without ann_file the metric takes')):
        check_data(load_config(str(config)), ('val_dataloader',))


@pytest.mark.parametrize('segmentation', [None, [BOX[:4]]])
def test_a_bad_mask_measures_nothing(tmp_path, segmentation):
    write_folder(tmp_path, annotations__0__bbox=DELETE, annotations__0__segmentation=segmentation)
    with (pytest.warns(UserWarning, match='without bbox: 1'),
          pytest.raises(UserError, match='annotation 1: bbox: found none')):
        build(folder=tmp_path)


def test_a_category_without_annotations_may_have_the_name_of_another(tmp_path):
    """As where Roboflow puts the project in front."""
    write_folder(tmp_path, categories__1__name='cort')
    check(tmp_path)
    assert_good(build(folder=tmp_path))
    with pytest.raises(UserError, match='found shsy5y, cort, cort in this order, expected shsy5y'):
        check(tmp_path, 'OwnCocoDataset')


@pytest.mark.parametrize('kind', KINDS)
def test_bad_images_are_named_all_of_them(tmp_path, kind):
    write_folder(tmp_path)
    (tmp_path / 'a.png').unlink()
    Image.fromarray(np.zeros((W, H), np.uint8)).save(tmp_path / 'b.png')
    with pytest.raises(UserError) as caught:
        check(tmp_path, kind)
    assert [line.split(':')[0] for line in caught.value.problems] == [
        str(tmp_path / name) for name in ('a.png', 'b.png')]
    assert 'found 80 x 96 pixels (height x width), expected 96 x 80' in caught.value.problems[1]


def test_images_that_are_filtered_out_need_no_file(tmp_path):
    write_folder(tmp_path, annotations__1__image_id=1, annotations__1__bbox=[1, 2, 2, 2])
    (tmp_path / 'b.png').unlink()
    assert len(build(folder=tmp_path, filter_cfg=dict(filter_empty_gt=True))) == 1
    check(tmp_path)


def test_damaged_pixels_are_named_before_the_run(tmp_path):
    write_folder(tmp_path)
    for name in ('a.png', 'b.png'):
        data = bytearray((tmp_path / name).read_bytes())
        data[50] ^= 0xFF
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError) as caught:
        check(tmp_path)
    assert len(caught.value.problems) == 2


def test_inside_wrappers_too(tmp_path):
    write_folder(tmp_path, annotations__0__bbox=None)
    path = write_config(tmp_path)
    path.write_text(path.read_text() + """
inner = train_dataloader['dataset']
train_dataloader['dataset'] = dict(type='RepeatDataset', times=2, dataset=dict(
    type='ConcatDataset', datasets=[inner]))
""")
    with pytest.raises(UserError, match='annotation 1: bbox'):
        check_data(load_config(str(path)), ('train_dataloader',))


@pytest.mark.parametrize(('changes', 'problem'), [
    (dict(annotations__0__bbox=None), 'annotation 1: bbox'),
    (dict(categories=[dict(id=3, name='cort'), dict(id=1, name='shsy5y')]), 'in this order')])
def test_the_file_of_cocos_metric_is_checked_too(tmp_path, changes, problem):
    write_folder(tmp_path)
    (tmp_path / 'val').mkdir()
    other = write_folder(tmp_path / 'val', **changes)
    path = write_config(tmp_path, rest='val_evaluator = [dict('
                        f'type="CroppedCocoMetric", ann_file={str(other)!r})]')
    with pytest.raises(UserError, match=rf'val/coco\.json: .*{problem}'):
        check_data(load_config(str(path)), ('val_dataloader',))


def test_nothing_is_written_and_each_fault_has_a_line(tmp_path):
    write_folder(tmp_path, annotations__0__segmentation=[BOX[:4]], annotations__1__bbox=None)
    before = sorted(tmp_path.iterdir())
    config = write_config(tmp_path)
    code, out, error = run_tool('train', config, '--work-dir', tmp_path / 'work')
    assert (code, out) == (2, '')
    assert [line[:7] for line in error.splitlines()] == ['error: '] * 2
    assert sorted(tmp_path.iterdir()) == sorted([*before, config])


def test_images_that_opencv_changes_need_our_loading(tmp_path):
    """OpenCV multiplies colours by their transparency; Pillow gives them as they are."""
    write_folder(tmp_path, images__1__file_name='b.tif')
    tifffile.imwrite(tmp_path / 'b.tif', np.full((H, W, 4), 99, np.uint8), photometric='rgb',
                     extrasamples=['unassalpha'])
    check(tmp_path)
    stock = [dict(type='LoadImageFromFile'), PIPELINE[1]]
    with pytest.raises(UserError, match=r'b\.tif: .* expected LoadCachedImage in the place of'):
        check(tmp_path, pipeline=stock)


@pytest.mark.parametrize('kind', ['SartoriusDataset', 'SyntheticDataset'])
def test_mmdets_loading_of_masks_is_named_before_the_run(tmp_path, write_table, kind):
    """It does not know Kaggle's run-length codes and would fail at the first batch."""
    root = write_table([{}])
    path = tmp_path / 'config.py'
    path.write_text(f"""train_dataloader = dict(batch_size=1, dataset=dict(
        type={kind!r}, data_root={str(root)!r}, data_prefix=dict(img='train/'), pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True)]))""")
    with pytest.raises(UserError, match=r'dataset\.pipeline\.1: found LoadAnnotations with masks, '
                       rf'.* of {kind}, expected LoadCroppedAnnotations'):
        check_data(load_config(str(path)), ('train_dataloader',))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        cfg = load_config(str(path), ['train_dataloader.dataset.pipeline.1.with_mask=False'])
    check_data(cfg, ('train_dataloader',))
