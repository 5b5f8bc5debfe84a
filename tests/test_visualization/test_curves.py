import numpy as np
import pytest

from mmsart.visualization.curves import draw_curves, write_curves
from mmsart.visualization.run_logs import RunLog


def make_run(name='run', staged=True):
    """Four epochs of two iterations; the loss falls by one each iteration."""
    run = RunLog(name, '.', stages=['heads', 'all'])
    for iteration in range(1, 9):
        epoch = (iteration + 1) // 2
        first = staged and epoch <= 2
        run.train.append({
            'iter': iteration, 'epoch': epoch, 'lr': 7.0, 'loss': 10.0 - iteration,
            'loss_mask': 1.0, 'lr/backbone_lr': 0.0 if first else 1e-5, 'lr/neck_lr': 1e-3,
            'lr/head_lr': 1e-3, **({'stage': int(not first)} if staged else {})})
        if iteration % 2 == 0:
            run.val.append({'iter': iteration, 'val_loss/loss': 11.0 - iteration,
                            'sartorius/mAP': iteration / 100, 'sartorius/mAP_cort': 0.5})
    return run


def panels(figure):
    return {ax.get_title(): ax for ax in figure.axes if ax.get_visible()}


def test_panels_and_values():
    axes = panels(draw_curves([make_run()]))
    assert list(axes) == ['loss', 'loss_mask', 'learning rate', 'sartorius/mAP',
                          'sartorius/mAP_cort']
    training, validation, border = axes['loss'].lines
    assert training.get_xdata() == pytest.approx(np.arange(1, 9) / 2)
    assert training.get_ydata().tolist() == [9, 8, 7, 6, 5, 4, 3, 2]
    assert validation.get_xdata().tolist() == [1, 2, 3, 4]
    assert validation.get_ydata().tolist() == [9, 7, 5, 3]
    assert border.get_xdata() == [2, 2]  # after the second epoch
    assert [text.get_text() for text in axes['loss'].texts] == ['all']
    assert axes['sartorius/mAP'].lines[0].get_ydata().tolist() == [0.02, 0.04, 0.06, 0.08]


def test_rates_of_parts():
    """Parts of equal rates share a line; while a part is frozen its line has a gap."""
    ax = panels(draw_curves([make_run()]))['learning rate']
    lines = {line.get_label(): line.get_ydata() for line in ax.lines[:2]}
    assert list(lines) == ['backbone', 'neck, head']
    assert np.isnan(lines['backbone']).tolist() == [True] * 4 + [False] * 4
    assert ax.get_yscale() == 'log'


def test_values_on_the_edge_are_whole():
    """Constant curves, such as a score of 0 or a loss that does not move."""
    run = make_run()
    for record in run.train:
        record['loss'] = 3.0
    for record in run.val:
        record.update({'val_loss/loss': 3.0, 'sartorius/mAP': 0.0})
    axes = panels(draw_curves([run]))
    low, high = axes['loss'].get_ylim()
    assert low < 0 < 3 < high < 3.5
    low, high = axes['sartorius/mAP'].get_ylim()
    assert low < 0 < high


def test_several_runs():
    axes = panels(draw_curves([make_run('a'), make_run('b', staged=False)]))
    colours = [line.get_color() for line in axes['sartorius/mAP'].lines]
    assert colours == ['C0', 'C0', 'C1']  # a and its border, b
    labels = [text.get_text() for text in axes['learning rate'].get_legend().get_texts()]
    assert labels == ['a: backbone', 'a: neck, head', 'b: backbone', 'b: neck, head']


def test_iterations_where_a_run_has_no_epochs():
    run = make_run(staged=False)
    for record in run.train:
        del record['epoch']
    axes = panels(draw_curves([run]))
    assert axes['loss'].lines[1].get_xdata().tolist() == [2, 4, 6, 8]
    assert axes['sartorius/mAP_cort'].get_xlabel() == 'iteration'


def test_other_metrics():
    """Runs without this project's metric show what ends in mAP."""
    run = make_run()
    for record in run.val:
        record['coco/segm_mAP'] = record.pop('sartorius/mAP')
        record['coco/segm_mAP_50'] = record.pop('sartorius/mAP_cort')
    assert 'coco/segm_mAP' in panels(draw_curves([run]))
    assert 'coco/segm_mAP_50' not in panels(draw_curves([run]))


def test_validation_only_and_training_only():
    run = make_run()
    run.train = []
    assert 'sartorius/mAP' in panels(draw_curves([run]))
    run = make_run()
    run.val = []
    assert list(panels(draw_curves([run]))) == ['loss', 'loss_mask', 'learning rate']


def test_equal_logs_give_equal_files(tmp_path):
    first, second = (write_curves([make_run()], tmp_path / name) for name in 'ab')
    assert [path.name for path in first] == ['curves.png', 'curves.svg']
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
