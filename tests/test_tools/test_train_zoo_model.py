"""The recipe of the package's model: its steps, given again, and what it refuses."""
import os
import shlex
import subprocess
import sys

import pytest

from mmsart.cli.test import parse_args as parse_test
from mmsart.cli.train import parse_args as parse_train
from mmsart.cli.tune import parse_args as parse_tune
from tests.run_tool import ROOT

NAME = 'cascade_mobilenetv2'
CONFIG = f'{ROOT}/configs/sartorius/{NAME}.py'
# In the place of Python: notes the command, and leaves what a training or the tuner leaves.
STAND_IN = """#!{python}
import os, pathlib, shlex, sys

tool, arguments = pathlib.Path(sys.argv[1]).name, sys.argv[2:]
with open(os.environ['CALLS'], 'a') as file:
    print(shlex.join([tool, *arguments]), file=file)
after = dict(zip(arguments, arguments[1:]))
if tool == 'train.py':
    folder = pathlib.Path(after['--work-dir'])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'last_checkpoint').write_text(str(folder / 'last.pth'))
elif tool == 'tune_postprocess.py':
    pathlib.Path(after['--out']).write_text('{{}}')
stopped = pathlib.Path(after.get('--work-dir', '')).name == os.environ['STOP']
raise SystemExit(130 if stopped else 0)
"""


@pytest.fixture
def make(tmp_path):
    """Return a function that runs the script and gives its exit code, errors and calls."""
    stand_in, calls = tmp_path / 'python', tmp_path / 'calls'
    stand_in.write_text(STAND_IN.format(python=sys.executable))
    stand_in.chmod(0o755)

    def run(*arguments, stop='nowhere', facts=''):
        calls.write_text('')
        done = subprocess.run(
            ['bash', ROOT / 'tools/train_zoo_model.sh', *arguments], check=False,
            capture_output=True, text=True,
            env={**os.environ, 'PYTHON': str(stand_in), 'CALLS': str(calls), 'STOP': stop,
                 'FACTS': str(facts)})
        return done.returncode, done.stderr, [
            shlex.split(line) for line in calls.read_text().splitlines()]
    return run


def test_the_steps_follow_each_other(make, tmp_path):
    out = tmp_path / 'out of this'
    code, err, calls = make(NAME, out)
    assert code == 0, err
    assert [tool for tool, *_ in calls] == [
        'train.py', 'train.py', 'test.py', 'tune_postprocess.py', 'train.py', 'export_to_zoo.py']
    pretrain, holdout, everything = (
        parse_train(arguments) for tool, *arguments in calls if tool == 'train.py')
    assert pretrain.config == CONFIG.replace('.py', '_pretrain.py')
    assert pretrain.cfg_options == []
    assert holdout.config == everything.config == CONFIG
    start = f'load_from={out}/pretrain/last.pth'
    assert holdout.cfg_options == [start]
    assert everything.cfg_options == [start, 'train_dataloader.dataset.datasets.0.subset=all']
    tested, tuned = parse_test(calls[2][1:]), parse_tune(calls[3][1:])
    assert tested.checkpoint == holdout.work_dir
    assert tested.out == tuned.predictions
    assert calls[5][1:3] == [everything.work_dir, str(out / NAME)]
    assert calls[5][-1] == tuned.out


def test_started_again_it_goes_on_where_it_was(make, tmp_path):
    code, _, calls = make(NAME, tmp_path / 'out', stop='holdout')
    assert code == 130
    assert len(calls) == 2
    code, _, calls = make(NAME, tmp_path / 'out', stop='all')
    assert code == 130
    assert [(tool, '--resume' in arguments) for tool, *arguments in calls] == [
        ('train.py', True), ('test.py', False), ('tune_postprocess.py', False),
        ('train.py', False)]
    code, _, calls = make(NAME, tmp_path / 'out')
    assert code == 0
    assert [(tool, '--resume' in arguments) for tool, *arguments in calls] == [
        ('train.py', True), ('export_to_zoo.py', False)]


def test_options_are_those_of_all_trainings_and_the_test(make, tmp_path):
    (tmp_path / 'own.json').write_text('{}')
    code, err, calls = make(
        NAME, tmp_path / 'out', 'a.b=1', "c=['x y']", facts=tmp_path / 'own.json')
    assert code == 0, err
    assert calls[-1][3:5] == ['--facts', str(tmp_path / 'own.json')]
    given = [(parse_train if tool == 'train.py' else parse_test)(arguments).cfg_options
             for tool, *arguments in calls if tool in ('train.py', 'test.py')]
    assert len(given) == 4
    assert all(options[:2] == ['a.b=1', "c=['x y']"] for options in given)
    assert len(given[-1]) == 4


@pytest.mark.parametrize(('arguments', 'message'), [
    ([], 'usage: tools/train_zoo_model.sh NAME OUT'), ([NAME], 'usage: '),
    ([NAME, 'OUT', 'a.b=1'], 'a.b=1: found options and no FACTS, expected FACTS=FILE.json with'),
    (['nothing', 'OUT'], 'configs/sartorius/nothing.py: no such file, expected the recipe of noth'),
    (['cascade_r50', 'OUT'], 'cascade_r50_pretrain.py: no such file, expected the recipe of'),
    (['cascade_lite2', 'OUT'], 'cascade_lite2.facts.json: no such file, expected the recipe of')])
def test_what_is_no_recipe_is_refused(make, tmp_path, arguments, message):
    code, err, calls = make(*[str(tmp_path / 'out') if each == 'OUT' else each
                              for each in arguments])
    assert code == 2
    assert message in err
    assert calls == []
    assert not (tmp_path / 'out').exists()
