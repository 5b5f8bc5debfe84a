"""plot_curves.py and compare_runs.py: what they write and how they fail."""
import json
import runpy
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools' / 'analysis_tools'


def tool(name):
    return runpy.run_path(str(TOOLS / f'{name}.py'))['main']


@pytest.fixture
def work_dir(tmp_path):
    folder = tmp_path / 'run' / '20260101_000000' / 'vis_data'
    folder.mkdir(parents=True)
    records = [dict(iter=1, epoch=1, loss=2.0, lr=0.1), {'sartorius/mAP': 0.25},
               dict(iter=2, epoch=2, loss=1.0, lr=0.1), {'sartorius/mAP': 0.125}]
    (folder / 'scalars.json').write_text('\n'.join(map(json.dumps, records)))
    return tmp_path / 'run'


def test_plot_curves(work_dir, tmp_path, capsys):
    assert tool('plot_curves')([str(work_dir), '--out', str(tmp_path / 'new' / 'figures')]) == 0
    written = capsys.readouterr().out.split()
    assert [Path(path).name for path in written] == ['curves.png', 'curves.svg']
    assert all(Path(path).stat().st_size > 1000 for path in written)


def test_plot_curves_writes_into_the_work_dir(work_dir):
    assert tool('plot_curves')([str(work_dir)]) == 0
    assert (work_dir / 'curves.png').is_file()


def test_compare_runs(work_dir, tmp_path, capsys):
    table = tmp_path / 'table.csv'
    assert tool('compare_runs')([str(work_dir), '--format', 'csv', '--out', str(table)]) == 0
    assert capsys.readouterr().out == table.read_text()
    assert table.read_text().splitlines()[1].startswith('run,0.2500,-,1,2,2')


def test_compare_runs_leaves_folders_without_a_training_out(work_dir, tmp_path, capsys):
    (tmp_path / 'browse').mkdir()
    assert tool('compare_runs')([str(tmp_path / 'browse'), str(work_dir)]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 2
    assert printed.err.startswith('left out: ')
    assert tool('compare_runs')([str(tmp_path / 'browse')]) == 2
    assert 'found no training' in capsys.readouterr().err


@pytest.mark.parametrize(('content', 'found'), [
    ('id,predicted', 'found a file, expected the work dir'), ('', 'found a file, expected')])
def test_compare_runs_leaves_files_out(content, found, work_dir, tmp_path, capsys):
    """A shell's work_dirs/* names whatever is there."""
    (tmp_path / 'table.csv').write_text(content)
    assert tool('compare_runs')([str(tmp_path / 'table.csv'), str(work_dir)]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 2
    assert printed.err.startswith(f'left out: {tmp_path}/table.csv: {found}')
    assert tool('compare_runs')([str(tmp_path / 'table.csv')]) == 2


def test_compare_runs_leaves_a_damaged_or_empty_log_out(work_dir, tmp_path, capsys):
    for name, content in (('damaged', '{"iter": 1}\nno JSON\n{"iter": 2}'), ('begun', '')):
        folder = tmp_path / name / '20260101_000000' / 'vis_data'
        folder.mkdir(parents=True)
        (folder / 'scalars.json').write_text(content)
    assert tool('compare_runs')(list(map(str, sorted(tmp_path.iterdir())))) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 2
    assert 'line 2: expected a JSON object' in printed.err
    assert 'begun' in printed.err


@pytest.mark.parametrize('name', ['plot_curves', 'compare_runs'])
def test_missing_work_dir(name, tmp_path, capsys):
    assert tool(name)([str(tmp_path / 'nothing')]) == 2
    assert capsys.readouterr().err.startswith(f'error: {tmp_path}/nothing: expected the work dir')
    assert not list(tmp_path.iterdir())
