"""LIVECell's files in each of their layouts."""
import json

import pytest

from mmsart.datasets.livecell import LIVECellDataset
from mmsart.utils import UserError
from tests.livecell_cells import IMAGES, TRAIN, TYPES, write_livecell


def read(root, **kwargs):
    return LIVECellDataset(
        ann_file=TRAIN, data_root=str(root), data_prefix=dict(img=IMAGES), pipeline=[], **kwargs)


@pytest.mark.parametrize('keyed', [True, False])
@pytest.mark.parametrize('folders', [True, False])
def test_each_image_shows_the_type_of_its_name(tmp_path, keyed, folders):
    dataset = read(write_livecell(tmp_path / 'data', keyed=keyed, folders=folders))
    assert dataset.metainfo['classes'] == tuple(name.lower() for name in TYPES)
    assert len(dataset) == 8
    for number in range(8):
        sample = dataset.get_data_info(number)
        assert {each['bbox_label'] for each in sample['instances']} == {number}
        assert len(sample['instances']) == 3
        assert (f'/{TYPES[number]}/' in sample['img_path']) == folders


def test_some_types_alone(tmp_path):
    dataset = read(write_livecell(tmp_path / 'data'), metainfo=dict(classes=('shsy5y', 'bv2')),
                   filter_cfg=dict(filter_empty_gt=True))
    labels = [dataset.get_data_info(i)['instances'][0]['bbox_label'] for i in range(len(dataset))]
    assert labels == [1, 0]


@pytest.mark.parametrize('keyed', [True, False])
def test_images_of_other_types_are_left_out(tmp_path, keyed):
    """Each would be an image without cells, which scores 1 if nothing is found there."""
    with pytest.warns(UserWarning, match=r'train\.json: 7 images of a172, .* left out: '
                                         r'metainfo\.classes names bv2'):
        dataset = read(write_livecell(tmp_path / 'data', keyed=keyed), test_mode=True,
                       metainfo=dict(classes=('bv2',)))
    assert len(dataset) == 1
    sample = dataset.get_data_info(0)
    assert 'BV2_' in sample['img_path']
    assert [each['bbox_label'] for each in sample['instances']] == [0, 0, 0]


def test_one_class_of_all(tmp_path):
    dataset = read(write_livecell(tmp_path / 'data'), metainfo=dict(classes=('cell',)))
    assert {each['bbox_label'] for i in range(8)
            for each in dataset.get_data_info(i)['instances']} == {0}


def test_an_unknown_type_is_named(tmp_path):
    root = write_livecell(tmp_path / 'data')
    path = root / TRAIN
    path.write_text(path.read_text().replace('BV2_', 'RatC6_'))
    with pytest.raises(UserError) as error:
        read(root)
    assert "livecell_coco_train.json: image 'RatC6_Phase_A7_1_00d00h00m_3.tif'" in str(error.value)
    assert "found the type 'ratc6' in its name, expected one of" in str(error.value)


def test_a_missing_image_is_named(tmp_path):
    root = write_livecell(tmp_path / 'data')
    next((root / IMAGES / 'BV2').iterdir()).unlink()
    with pytest.raises(UserError, match='BV2_Phase_A7_1_00d00h00m_3'):
        read(root)


@pytest.mark.parametrize(('part', 'change', 'message'), [
    ('images', dict(file_name=None), 'file_name'),
    ('images', dict(id=[1]), r'id: found \[1\], expected a number or text'),
    ('annotations', dict(image_id={}), 'image_id: found {}, expected a number or text'),
    ('categories', dict(name=['cell']), r"name: found \['cell'\], expected a text")])
def test_records_without_a_name_or_id_are_errors_of_the_file(tmp_path, part, change, message):
    root = write_livecell(tmp_path / 'data', keyed=False)
    content = json.loads((root / TRAIN).read_text())
    content[part][0].update(change)
    (root / TRAIN).write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        read(root)
