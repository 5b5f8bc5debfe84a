import json

import numpy as np
import pytest

from mmsart.utils import MissingFileError, UserError
from mmsart.visualization.run_logs import read_run


def write(root, records, session='20260101_000000', log=None):
    folder = root / session / 'vis_data'
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'scalars.json').write_text('\n'.join(json.dumps(record) for record in records))
    if log:
        (root / session / f'{session}.log').write_text(log)
    return root


def train(iteration, epoch=1, **values):
    return dict(iter=iteration, epoch=epoch, step=iteration, **values)


def test_series_and_place_of_validations(tmp_path):
    run = read_run(write(tmp_path, [
        train(2, loss=3.0), train(4, loss=2.0), dict(step=1, mAP=0.1),
        train(6, 2, loss=1.0), train(8, 2, loss=float('nan')), dict(step=2, mAP=0.2)]))
    assert run.series('train', 'loss').iterations.tolist() == [2, 4, 6, 8]
    assert run.series('train', 'loss').values[:3].tolist() == [3, 2, 1]
    assert run.series('val', 'mAP').iterations.tolist() == [4, 8]
    assert run.keys('val') == ['step', 'mAP', 'iter']
    assert run.epochs(np.array([0, 2, 4, 6, 8])).tolist() == [0, 0.5, 1, 1.5, 2]


def test_epochs_of_different_length(tmp_path):
    """Stages may have epochs of their own; the last epoch here is broken off at a quarter."""
    run = read_run(write(tmp_path, [train(4), train(5, 2), train(6, 2), train(7, 3)]))
    assert run.epochs(np.array([2, 4, 5, 6, 7])).tolist() == [0.5, 1, 1.5, 2, 2.5]


def test_run_without_epochs(tmp_path):
    run = read_run(write(tmp_path, [dict(iter=5, loss=1.0), dict(iter=10, loss=1.0)]))
    assert not run.counts_epochs
    assert run.epochs(np.array([5, 10])).tolist() == [5, 10]


def test_resumed_run_replaces_what_it_repeats(tmp_path):
    write(tmp_path, [train(2, loss=1.0), dict(mAP=0.1), train(4, loss=1.0), train(6, loss=1.0),
                     dict(mAP=0.2)])
    write(tmp_path, [train(4, loss=2.0), train(6, loss=2.0), dict(mAP=0.3)], '20260101_000001')
    run = read_run(tmp_path)
    assert run.series('train', 'loss').values.tolist() == [1, 2, 2]
    assert run.series('val', 'mAP').values.tolist() == [0.1, 0.3]
    assert run.series('val', 'mAP').iterations.tolist() == [2, 6]


def test_run_started_anew_hides_the_old_one(tmp_path):
    write(tmp_path, [train(2, loss=1.0), dict(mAP=0.1)])
    write(tmp_path, [train(2, loss=2.0), dict(mAP=0.2)], '20260101_000001')
    assert read_run(tmp_path).series('val', 'mAP').values.tolist() == [0.2]


def test_time_is_the_sum_of_the_sessions(tmp_path):
    line = '{} - mmengine - INFO - x\n{}\n'
    write(tmp_path, [train(2)], log=line.format(
        '2026/01/01 10:00:00', '2026/01/01 10:01:30 - mmengine - INFO - y'))
    write(tmp_path, [train(4)], '20260101_000001', line.format('2026/01/02 10:00:00', 'a table'))
    assert read_run(tmp_path).seconds == 90


def test_stages_take_their_names_from_the_config(tmp_path):
    write(tmp_path, [train(2, stage=0), train(4, stage=0), train(6, 2, stage=1),
                     train(8, 3, stage=2)])
    (tmp_path / '20260101_000000' / 'vis_data' / 'config.py').write_text(
        "train_cfg = dict(stages=[dict(name='heads'), dict(name='all')])\n")
    assert read_run(tmp_path).borders() == [(4, 'all'), (6, 'stage 3')]


def test_line_cut_by_a_kill(tmp_path):
    write(tmp_path, [train(2), train(4)])
    path = tmp_path / '20260101_000000' / 'vis_data' / 'scalars.json'
    path.write_text(path.read_text()[:-5])
    assert len(read_run(tmp_path).train) == 1


def test_broken_line_in_the_middle(tmp_path):
    write(tmp_path, [train(2)])
    path = tmp_path / '20260101_000000' / 'vis_data' / 'scalars.json'
    path.write_text('{"iter": 1\n' + path.read_text())
    with pytest.raises(UserError, match=r'scalars\.json: line 1: expected a JSON object, found'):
        read_run(tmp_path)


def test_words_beside_the_numbers_are_left_out(tmp_path):
    write(tmp_path, [train(2, device='cpu'), train(4)])
    assert 'device' not in read_run(tmp_path).keys('train')
    assert len(read_run(tmp_path).train) == 2


def test_no_work_dir(tmp_path):
    with pytest.raises(MissingFileError, match='expected the work dir of a training'):
        read_run(tmp_path / 'nothing')


def test_empty_log(tmp_path):
    with pytest.raises(UserError, match='expected logged values, found none'):
        read_run(write(tmp_path, []))
