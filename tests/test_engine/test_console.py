"""The console shows what people read, the log file everything."""
import logging
import os
import sysconfig

import pytest

from mmsart.engine.console import ConsoleFilter, ConsoleFormatter, shorten
from tests.test_engine import toy_run


@pytest.mark.parametrize(('text', 'short'), [
    ('Epoch(train)   [1][ 20/95]  lr: 1.0e-03 lr/neck_lr: 1.0e-03  eta: 1 day, 0:12:03  '
     'time: 0.5500  data_time: 0.1000  memory: 10  loss: 1.2000  loss_cls: 0.3000',
     'Epoch(train)   [1][ 20/95]  lr: 1.0e-03  eta: 1 day, 0:12:03  time: 0.5500  memory: 10  '
     'loss: 1.2000'),
    ('Iter(train) [  20/4000]  lr: 1.0e-03  eta: 0:12:03  loss: 1.2000',
     'Iter(train) [  20/4000]  lr: 1.0e-03  eta: 0:12:03  loss: 1.2000'),
    ('Epoch(val) [2][20/84]    eta: 0:00:09  time: 0.1  data_time: 0.01',
     'Epoch(val) [2][20/84]  eta: 0:00:09  time: 0.1'),
    ('Epoch(val) [2][84/84]    sartorius/mAP: 0.3000  sartorius/TP: 5  val_loss/loss: 1.5  '
     'val_loss/loss_cls: 0.5  data_time: 0.01  time: 0.1',
     'Epoch(val) [2][84/84]  sartorius/mAP: 0.3000  sartorius/TP: 5  val_loss/loss: 1.5'),
    ('Epoch(test) [ 40/84]    eta: 0:00:09  time: 0.1  data_time: 0.01',
     'Epoch(test) [ 40/84]  eta: 0:00:09  time: 0.1'),
    ('resume: going on from epoch_2.pth  time: 3', 'resume: going on from epoch_2.pth  time: 3')])
def test_progress_is_shortened(text, short):
    assert shorten(text) == short


def record(text, path, level=logging.INFO, **extra):
    made = logging.makeLogRecord(
        dict(msg=text, pathname=path, levelno=level, levelname=logging.getLevelName(level)))
    vars(made).update(extra)
    return made


@pytest.mark.parametrize(('text', 'module', 'level', 'shown'), [
    ('Config:\na = 1', 'mmengine.runner.runner', logging.INFO, False),
    ('Epoch(train) [1][20/95]', 'mmengine.hooks.logger_hook', logging.INFO, True),
    ('Exp name: toy_1', 'mmengine.hooks.logger_hook', logging.INFO, False),
    ('The best checkpoint with', 'mmengine.hooks.checkpoint_hook', logging.INFO, True),
    ('"FileClient" will be deprecated', 'mmengine.hooks.checkpoint_hook', logging.WARNING, False),
    ('something is wrong', 'mmengine.runner.runner', logging.WARNING, True),
    ('some of mmdet', 'mmdet.models.detectors.base', logging.INFO, False),
    ('stage heads', 'mmsart.engine.runner.staged_loop', logging.INFO, True)])
def test_what_is_shown(text, module, level, shown):
    import importlib
    path = importlib.import_module(module).__file__
    assert ConsoleFilter().filter(record(text, path, level)) is shown


def test_a_record_may_carry_a_short_text_and_warnings_say_so():
    formatter = ConsoleFormatter()
    assert formatter.format(record('all of it', 'x', console='the short'))[8:] == '  the short'
    assert formatter.format(record('bad', 'x', logging.WARNING))[8:] == '  warning: bad'


def test_a_run_says_what_it_is_and_no_more(tmp_path, capsys):
    toy_run.build(tmp_path).train()
    lines = [line[10:] for line in capsys.readouterr().out.splitlines()]
    expected = [
        'data: 11 images for training; 5 images for validation; classes: cell',
        'model: ToyModel, ',
        'schedule: stage head for 2 epochs, then stage all for 2 epochs',
        f'files: {tmp_path}; log: {tmp_path}/',
        'stage head: 13 of 217 parameters learn, in head',
        'Epoch(train) [1][1/4]  lr: ']
    assert all(line.startswith(start) for line, start in zip(lines, expected, strict=False)), lines
    assert lines[-1] == f'trained: {next(tmp_path.glob("best_*.pth"))}'
    assert not any(word in '\n'.join(lines) for word in ('Config', 'before_run', 'FileClient'))
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert 'Config:' in log
    assert 'before_run' in log
    assert 'frozen: backbone' in log


def test_a_missing_compiler_is_not_complained_about(tmp_path, capfd, monkeypatch):
    """mmengine asks the one that Python was built with for its version, by way of a shell."""
    monkeypatch.setitem(sysconfig.get_config_vars(), 'CC', 'no-such-compiler')
    toy_run.build(tmp_path)
    assert 'no-such-compiler' not in capfd.readouterr().err
    assert 'GCC: n/a' in next(tmp_path.glob('*/*.log')).read_text()
    os.write(2, b'heard again')
    assert capfd.readouterr().err == 'heard again'


def test_a_test_says_what_it_is(tmp_path, capsys):
    changes = dict(
        train_cfg=None, train_dataloader=None, val_cfg=None, val_dataloader=None,
        val_evaluator=None, test_cfg=dict(), test_evaluator=dict(type='ToyMetric'),
        test_dataloader=toy_run.config('')['val_dataloader'])
    toy_run.build(tmp_path, **changes).test()
    lines = [line[10:] for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == 'data: 5 images for test; classes: cell'
    assert lines[2].startswith(f'files: {tmp_path}; log: ')
