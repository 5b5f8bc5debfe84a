"""kill_resume.py: real processes, real kills, a real detector."""
import pytest
from mmengine.config import Config

from mmsart.testing import kill_trials
from tests.test_engine import toy_run
from tests.test_engine.tiny_detector import write_config
from tools.analysis_tools.kill_resume import main


def test_a_detector_is_killed_in_each_way(tmp_path, capsys):
    config = write_config(tmp_path)
    assert main([str(config), '--kills', '4', '--seed', '1', '--work-dir', str(tmp_path)]) == 0
    output = capsys.readouterr().out
    for kind in kill_trials.KINDS:
        assert f' {kind} ' in output
    assert '% of the file written' in output
    assert '4 of 4 killed runs ended in the same bits' in output


def test_a_difference_is_reported(tmp_path, monkeypatch):
    # With the random state left out of the checkpoint, dropout goes another way.
    cfg = Config(dict(toy_run.config(tmp_path), runner_type='StagedRunner'))
    monkeypatch.setattr(kill_trials, 'KINDS', ('border',))
    monkeypatch.setattr('mmsart.engine.runner.staged_loop.set_random_state', lambda state: None)
    lines = []
    [trial] = kill_trials.run_trials(cfg, tmp_path, 1, 1, lines.append)
    assert not trial.equal
    assert 'DIFFERENT' in lines[-1]


def test_moments_of_an_earlier_call_do_not_count(tmp_path, monkeypatch):
    cfg = Config(dict(toy_run.config(tmp_path), runner_type='StagedRunner'))
    monkeypatch.setattr(kill_trials, 'KINDS', ('moment',))
    for name in ('whole', 'kill_0'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'moments.txt').write_text('of an earlier call\n' * 1000)
    lines = []
    [trial] = kill_trials.run_trials(cfg, tmp_path, 1, 1, lines.append)
    assert trial.equal
    assert 'earlier' not in trial.where
    moments = (tmp_path / 'whole/moments.txt').read_text().splitlines()
    assert f' {len(moments)} moments' in lines[0]
    assert len(moments) < 1000


def test_a_run_that_outlives_its_moment_is_no_trial(tmp_path, monkeypatch):
    cfg = Config(dict(toy_run.config(tmp_path), runner_type='StagedRunner'))
    monkeypatch.setattr(kill_trials, 'KINDS', ('moment',))
    monkeypatch.setattr(kill_trials.TrialHook, '__init__', spare(kill_trials.TrialHook.__init__))
    with pytest.raises(RuntimeError, match='kill_0 ended with code 0, expected -9'):
        kill_trials.run_trials(cfg, tmp_path, 1, 1, lambda line: None)


def spare(init):
    return lambda hook, log, kill_at=None: init(hook, log)


@pytest.mark.parametrize('kills', ['0', '-1'])
def test_no_kill_is_refused(capsys, kills):
    assert main(['nowhere.py', '--kills', kills]) == 2
    assert capsys.readouterr().err == f'error: --kills: found {kills}, expected at least 1\n'


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
