"""The command mmsart: its subcommands, and what it takes to list them."""
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmsart import __version__
from mmsart.cli import COMMANDS, main, predict

ROOT = Path(__file__).parents[2]


def run_main(capsys, *args):
    """Call the command; argparse leaves by SystemExit where it prints help or refuses."""
    try:
        code = main([*args])
    except SystemExit as left:
        code = left.code
    out, err = capsys.readouterr()
    return code, out, err


def test_help_lists_every_command(capsys):
    code, out, _ = run_main(capsys, '--help')
    assert code == 0
    for name, summary in COMMANDS.items():
        assert f'  {name} ' in out
        assert summary in out


def test_alone_it_shows_help(capsys):
    code, out, _ = run_main(capsys)
    assert code == 2
    assert 'commands:' in out


@pytest.mark.parametrize('name', COMMANDS)
def test_each_command_has_options_and_says_its_name(name, capsys):
    code, out, _ = run_main(capsys, name, '--help')
    assert code == 0
    assert out.startswith(f'usage: mmsart {name} ')


def test_an_unknown_command_is_refused(capsys):
    for name, guess in (('trian', ' (did you mean train?)'), ('xyz', '')):
        code, out, err = run_main(capsys, name, 'a.py')
        assert (code, out) == (2, '')
        assert err.endswith(f"mmsart: error: found the command '{name}', expected one of "
                            f'{", ".join(COMMANDS)}{guess}\n')


@pytest.mark.parametrize('name', COMMANDS)
def test_a_shortened_option_is_refused(capsys, name):
    code, out, _ = run_main(capsys, name, '--hel')
    assert (code, out) == (2, '')


def test_a_shortened_option_is_named(capsys):
    for words, told in (
            (['train', 'a.py', '--resu'], '--resu (did you mean --resume?)'),
            (['models', '--h'], '--h (did you mean --help?)'), (['models', '--xyz'], '--xyz'),
            (['predict', 'a.png', '--out', 'o', '--dev=cpu'],
             '--dev=cpu (did you mean --device?)'),
            (['predict', 'a.png', '--out', 'o', '--batchsize', '3'],
             '--batchsize 3 (did you mean --batch-size?)')):
        code, _, err = run_main(capsys, *words)
        assert code == 2
        assert err.endswith(f'error: unrecognized arguments: {told}\n')
    assert run_main(capsys, '--vers')[:2] == (2, '')


@pytest.mark.parametrize(('words', 'place'), [
    (['predict', '', '--out', 'o'], ''), (['predict', 'a.png', '--out', ''], 'argument --out: '),
    (['predict', 'a.png', '--out= '], 'argument --out: '), (['report', ' '], ''),
    (['models', ''], ''), (['train', 'a.py', '--work-dir', ''], 'argument --work-dir: ')])
def test_an_empty_word_is_not_the_folder_that_one_is_in(capsys, words, place):
    """As of a variable of the shell that is not set."""
    code, _, err = run_main(capsys, *words)
    assert (code, f'error: {place}found an empty word, expected a value' in err) == (2, True)


def test_a_tilde_that_the_shell_has_left_is_the_home_folder(monkeypatch):
    monkeypatch.setenv('HOME', '/home/me')
    options = predict.parse_args(['~/a*.png', 'x~/b.png', '~root', '--out=~/x', '--weights', '~'])
    assert options.images == ['/home/me/a*.png', 'x~/b.png', '~root']
    assert (options.out, options.weights) == ('/home/me/x', '/home/me')
    assert predict.parse_args(['a.png', '--out=~root/x']).out == '~root/x'


def test_a_config_that_exits_is_an_error(capsys, tmp_path):
    (tmp_path / 'a.py').write_text('raise SystemExit(0)')
    code, _, err = run_main(capsys, 'train', str(tmp_path / 'a.py'))
    assert (code, err) == (2, f'error: {tmp_path}/a.py: SystemExit: 0\n')


def test_errors_of_users_give_a_line_and_exit_code_2(capsys, tmp_path):
    code, _, err = run_main(capsys, 'train', str(tmp_path / 'none.py'))
    assert (code, err.count('\n')) == (2, 1)
    assert err.startswith('error: ')


def test_every_module_is_a_command():
    modules = {path.stem for path in (ROOT / 'mmsart' / 'cli').glob('*.py')} - {'__init__'}
    assert modules == {name.replace('-', '_') for name in COMMANDS}


def test_help_imports_nothing_that_takes_time():
    code = ('import sys\nfrom mmsart.cli import main\n'
            'try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n'
            'print(sorted({"torch", "numpy", "mmengine", "mmdet", "cv2"} & set(sys.modules)))')
    for args in (['--help'], ['train', '--help'], ['test', '--help'], ['doctor', '--help']):
        done = subprocess.run([sys.executable, '-c', code, *args], cwd=ROOT, capture_output=True,
                              text=True, check=True)
        assert done.stdout.splitlines()[-1] == '[]'


def test_python_m_is_the_same_command():
    done = subprocess.run([sys.executable, '-m', 'mmsart', '--version'], cwd=ROOT,
                          capture_output=True, text=True, check=True)
    assert done.stdout == f'mmsart {__version__}\n'


@pytest.mark.parametrize('tool', [
    'predict', 'train', 'test', 'doctor', 'tune_postprocess', 'check_submission',
    'score_submission', 'dataset_converters/make_sample_dataset'])
def test_tools_are_doors_to_commands(tool):
    text = (ROOT / 'tools' / f'{tool}.py').read_text()
    module = text.split('from ')[1].split(' import main')[0]
    assert callable(importlib.import_module(module).main)
    assert len(text.splitlines()) == 5


TOOLS = sorted({*(ROOT / 'tools').rglob('*.py')} - {ROOT / 'tools/dist_launch.py'})  # torchrun's
HEAVY = ('cv2', 'matplotlib', 'mmcv', 'mmdet', 'mmengine', 'numpy', 'pandas', 'scipy', 'torch')
HELP = f"""
import contextlib, io, runpy, sys
from mmsart.cli import COMMANDS, main
calls = [lambda name=name: main([name, '--help']) for name in COMMANDS]
calls += [lambda path=path: runpy.run_path(path)['main'](['--help']) for path in sys.argv[1:]]
for call in calls:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        call()
    assert 'example:' in out.getvalue(), out.getvalue()
print([name for name in {HEAVY} if name in sys.modules])
"""


def test_help_gives_an_example_and_loads_no_library():
    """Answers at once: with torch and mmdet it would take seconds."""
    found = subprocess.run([sys.executable, '-c', HELP, *map(str, TOOLS)], capture_output=True,
                           text=True, check=True, cwd=ROOT)
    assert found.stdout == '[]\n'


def test_help_shows_defaults(capsys):
    _, out, _ = run_main(capsys, 'tune', '--help')
    text = ' '.join(out.split())
    for option, default in (('--trials', 500), ('--seed', 0), ('--out', 'postprocess.json')):
        assert re.search(rf' {option} [A-Z]+ [^-]*\(default: {default}\)', text)
