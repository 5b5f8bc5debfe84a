"""The wheel, installed into an empty environment, works from another directory."""
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFIG = '''"""Two iterations of a small detector."""
_base_ = 'mmsart::demo/maskrcnn_r18_two_stage.py'
data_root = 'data/'
train_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
model = dict(
    backbone=dict(base_channels=8), neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16), mask_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, fc_out_channels=16),
        mask_head=dict(in_channels=16, conv_out_channels=16)))
train_cfg = dict(stages=[_base_.train_cfg.stages[0] | dict(max_epochs=1)], val_begin=1)
'''


def run(*command, cwd):
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True,
                          check=False, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope='module')
def programs(tmp_path_factory):
    """Build the wheel and install it where else only the dependencies are; give its bin/."""
    folder = tmp_path_factory.mktemp('package')
    source = folder / 'source'
    for name in ('mmsart', 'configs'):
        shutil.copytree(ROOT / name, source / name, symlinks=True,
                        ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, source)
    pip = (sys.executable, '-m', 'pip', '--disable-pip-version-check')
    run(*pip, 'wheel', '--no-deps', '--no-index', '--no-build-isolation', '-w', folder, source,
        cwd=folder)
    environment = folder / 'environment'
    venv.create(environment, symlinks=True)
    programs = environment / 'bin'
    wheel, = folder.glob('*.whl')
    run(*pip, '--python', programs / 'python', 'install', '--no-deps', '--no-index', wheel,
        cwd=folder)
    paths = sysconfig.get_paths(vars=dict(base=str(environment), platbase=str(environment)))
    here = sysconfig.get_paths()
    (Path(paths['purelib']) / 'dependencies.pth').write_text(''.join(
        f'import site; site.addsitedir({folder!r})\n'
        for folder in {here['purelib'], here['platlib']}))
    return programs


def test_it_trains_and_predicts_by_a_config_elsewhere(programs, tmp_path):
    command = programs / 'mmsart'
    where = run(programs / 'python', '-c', 'import mmsart; print(mmsart.__file__)', cwd=tmp_path)
    assert where.startswith(str(programs.parent))
    (tmp_path / 'own.py').write_text(CONFIG)
    run(command, 'demo-data', 'data', '--images', '10', '--size', '96', '96', cwd=tmp_path)
    log = run(command, 'train', 'own.py', cwd=tmp_path)
    assert 'Epoch(train) [1][2/2]' in log
    log = run(command, 'predict', 'data/test', '--weights', 'work_dirs/own', '--out', 'out',
              '--save', 'submission', cwd=tmp_path)
    assert (tmp_path / 'out/submission.csv').read_text().startswith('id,predicted\n'), log
