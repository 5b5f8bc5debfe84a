from pathlib import Path

HOOKS = [dict(type='CurvesHook'), dict(type='RunScalarsHook')]


def test_draws_at_the_end(make_runner):
    runner = make_runner(custom_hooks=HOOKS)
    runner.train()
    assert (Path(runner.work_dir) / 'curves.png').read_bytes().startswith(b'\x89PNG')
    assert '<svg' in (Path(runner.work_dir) / 'curves.svg').read_text()


def test_never_fails_the_training(make_runner, monkeypatch):
    runner = make_runner(custom_hooks=HOOKS)
    warnings = []
    monkeypatch.setattr('mmsart.visualization.curves.draw_curves', lambda runs: 1 / 0)
    monkeypatch.setattr(runner.logger, 'warning', warnings.append)
    runner.train()
    assert any('curves could not be drawn: ZeroDivisionError' in line for line in warnings)
    assert not list(Path(runner.work_dir).glob('*curves*'))
