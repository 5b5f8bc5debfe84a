import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models.task_modules.prior_generators import AnchorGenerator
from mmdet.structures.bbox import bbox_overlaps

from mmsart.evaluation.functional.anchor_recall import best_anchor_ious, count_anchors
from tests.coco_cells import write_coco_cells
from tools.analysis_tools.anchor_recall import main

HEADER = ('id,annotation,width,height,cell_type,plate_time,sample_date,sample_id,'
          'elapsed_timedelta\n')
CONFIG = """
default_scope = 'mmdet'
model = dict(
    rpn_head=dict(anchor_generator=dict(
        type='AnchorGenerator', scales=[2], ratios=[1.0], strides=[4])),
    train_cfg=dict(rpn=dict(assigner=dict(pos_iou_thr=0.7, min_pos_iou=0.3))))
test_dataloader = dict(dataset=dict(
    type='SartoriusDataset', data_root='{root}', ann_file='train.csv', pipeline=[
        dict(type='LoadImageFromFile'), dict(type='Resize', scale_factor={scale})]))
"""


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.5, 0.7]))
def test_equals_all_anchors(seed, thr):
    """Only near copies are looked at; mmdet's whole grid gives the same."""
    rng = np.random.default_rng(seed)
    generator = AnchorGenerator(strides=[2, 8], ratios=[0.5, 1.0, 2.0], scales=[4, 6])
    grids = [(20, 16), (5, 4)]
    corner = rng.uniform(-4, 36, (9, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(2, 40, (9, 2))], 1)
    levels = [(anchors.double().numpy(), stride, grid) for anchors, stride, grid in zip(
        generator.base_anchors, generator.strides, grids, strict=True)]
    everything = torch.cat(generator.grid_priors(grids, torch.float64, 'cpu'))
    ious = bbox_overlaps(torch.from_numpy(boxes), everything).numpy()
    np.testing.assert_allclose(best_anchor_ious(boxes, levels), ious.max(1), atol=1e-12)
    at_edge = (np.abs(ious - thr) < 1e-9).any(1)
    counts = count_anchors(boxes, levels, thr)
    assert (counts == (ious >= thr).sum(1))[~at_edge].all()


def run(tmp_path, scale, *options):
    """Two boxes in an image of 16 x 16, 8 x 8 on an anchor and 2 x 2 in its corner, and no more."""
    whole = ' '.join(f'{y * 16 + 5} 8' for y in range(4, 12))
    (tmp_path / 'train.csv').write_text(
        HEADER + f'a,{whole},16,16,cort,,,s,\na,1 2 17 2,16,16,cort,,,s,\n'
        'b,,16,16,astro,,,t,\n')
    (tmp_path / 'config.py').write_text(CONFIG.format(root=tmp_path, scale=scale))
    return main([str(tmp_path / 'config.py'), *options])


@pytest.mark.parametrize(('scale', 'row'), [
    # 8 x 8 anchors every 4 pixels: one fits the large box, none the small one
    (1.0, ['2', '0.500', '0.500', '0.531', '0', '0.000', '0.500']),
    # enlarged twice: an anchor is a quarter of either box
    (2.0, ['2', '0.000', '0.000', '0.250', '0', '0.000', '1.000']),
    ((4.0, 1.0), ['2', '0.000', '0.000', '0.250', '0', '0.000', '1.000']),
])
def test_table(tmp_path, capsys, scale, row):
    assert run(tmp_path, scale) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert not any('astro' in line for line in lines)  # its image has no cell
    assert next(line for line in lines if line and line[0] == 'cort')[1:] == row
    assert [line[0] for line in lines if line].count('all') == 2


def test_classes_of_any_name(tmp_path, capsys):
    run(tmp_path, 1.0)
    table = tmp_path / 'train.csv'
    table.write_text(table.read_text().replace('cort', 'round'))
    capsys.readouterr()
    assert main([str(tmp_path / 'config.py')]) == 0
    assert next(line.split()[1] for line in capsys.readouterr().out.splitlines()
                if line.startswith('round')) == '2'


def test_boxes_of_a_coco_data_set(tmp_path, capsys):
    write_coco_cells(tmp_path)
    (tmp_path / 'config.py').write_text(CONFIG.format(root=tmp_path, scale=1.0).replace(
        "type='SartoriusDataset'", "type='CheckedCocoDataset', data_prefix=dict(img='images'), "
        "metainfo=dict(classes=('cell',))").replace('train.csv', 'val.json'))
    assert main([str(tmp_path / 'config.py')]) == 0
    count = len(json.loads((tmp_path / 'val.json').read_text())['annotations'])
    assert next(line.split()[1] for line in capsys.readouterr().out.splitlines()
                if line.startswith('cell')) == str(count)


def test_bad_input(tmp_path, capsys):
    assert main([str(tmp_path / 'nowhere.py')]) == 2
    assert 'nowhere.py' in capsys.readouterr().err
    (tmp_path / 'config.py').write_text('a = 1\n')
    assert main([str(tmp_path / 'config.py')]) == 2
    assert 'model.rpn_head' in capsys.readouterr().err
    (tmp_path / 'config.py').write_text('x = (')
    assert main([str(tmp_path / 'config.py')]) == 2
    assert 'config.py: SyntaxError' in capsys.readouterr().err
    assert run(tmp_path, 1.0, '--truth', str(tmp_path / 'other.csv')) == 2
    assert 'other.csv' in capsys.readouterr().err
