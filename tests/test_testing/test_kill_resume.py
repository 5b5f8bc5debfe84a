"""kill_resume.py: real processes, real kills, a real detector."""
from mmengine.config import Config

from mmsart.testing import kill_trials
from tests.test_engine import toy_run
from tests.test_engine.tiny_detector import write_config
from tools.analysis_tools.kill_resume import main


def test_three_kills_of_a_detector(tmp_path, capsys):
    config = write_config(tmp_path)
    assert main([str(config), '--kills', '3', '--seed', '1', '--work-dir', str(tmp_path)]) == 0
    output = capsys.readouterr().out
    assert '3 of 3 killed runs ended in the same bits' in output


def test_a_difference_is_reported(tmp_path, monkeypatch):
    # With the random state left out of the checkpoint, dropout goes another way.
    cfg = Config(dict(toy_run.config(tmp_path), runner_type='StagedRunner'))
    monkeypatch.setattr(kill_trials, 'KINDS', ('border',))
    monkeypatch.setattr('mmsart.engine.runner.staged_loop.set_random_state', lambda state: None)
    lines = []
    [trial] = kill_trials.run_trials(cfg, tmp_path, 1, 1, lines.append)
    assert not trial.equal
    assert 'DIFFERENT' in lines[-1]


def test_another_runner_is_refused(tmp_path, capsys):
    config = write_config(tmp_path)
    config.write_text(config.read_text() + "runner_type = 'Runner'\n")
    assert main([str(config)]) == 2
    assert 'runner_type: expected StagedRunner, found Runner' in capsys.readouterr().err


def test_a_schedule_without_stages_is_refused(tmp_path, capsys):
    config = write_config(tmp_path)
    config.write_text(config.read_text() + """
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
""")
    assert main([str(config)]) == 2
    assert 'train_cfg.stages: found none' in capsys.readouterr().err
