"""The bundle, used as on Kaggle: another environment, no network, inputs that cannot be written."""
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from packaging.requirements import Requirement

from mmsart.apis.kaggle import bundle
from mmsart.apis.kaggle.wheels import pack_wheel
from mmsart.cli import main
from mmsart.cli.check_submission import main as check_submission
from mmsart.utils import UserError
from tests.run_tool import run_tool
from tests.test_apis.tiny_model import write_checkpoint

OFFLINE = '''"""No network, as in a notebook without internet."""
import socket


def refuse(*args, **kwargs):
    raise OSError('there is no network here')


socket.socket.connect = refuse
socket.getaddrinfo = refuse
'''
RUNNER = '''"""Run the code cells of a notebook, with parameters in the place of its own."""
import json
import sys

namespace = {}
for cell in json.load(open(sys.argv[1]))['cells']:
    if cell['cell_type'] == 'code':
        exec(''.join(cell['source']), namespace)
        if 'parameters' in cell['metadata'].get('tags', ()):
            namespace.update(json.loads(sys.argv[2]))
import mmsart
print('mmsart comes from', mmsart.__file__)
'''
BROKEN = 'broken'
IN_THE_IMAGE = (  # what a prediction needs, and pip
    'torch', 'numpy', 'pandas', 'scipy', 'scikit-image', 'scikit-learn', 'matplotlib', 'numba',
    'opencv-python', 'pillow', 'pycocotools', 'safetensors', 'shapely', 'imageio', 'tifffile',
    'psutil', 'pyyaml', 'rich', 'six', 'tqdm', 'packaging', 'pip')


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp('run') / 'epoch_1.pth'
    write_checkpoint(path)
    path.with_name('postprocess.json').write_text(json.dumps(dict(score_thr=0.1, min_area=9)))
    return path


@pytest.fixture(scope='module')
def written(weights, tmp_path_factory):
    out = tmp_path_factory.mktemp('bundle') / 'out'
    assert main(['kaggle-bundle', str(out), '--weights', str(weights), '--user', 'cellist',
                 '--name', 'cells-of-chance']) == 0
    return out


def closure(names):
    """Yield distributions and what they require, as far as it is installed."""
    seen, waiting = set(), list(names)
    while waiting:
        name = waiting.pop().lower().replace('_', '-')
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        if name in seen:
            continue
        seen.add(name)
        yield found
        needs = [Requirement(text) for text in found.requires or ()]
        waiting += [each.name for each in needs
                    if each.marker is None or each.marker.evaluate({'extra': ''})]


@pytest.fixture(scope='module')
def python(tmp_path_factory):
    """Make an environment with what Kaggle's image brings, and return its Python."""
    folder = tmp_path_factory.mktemp('image')
    image, environment = folder / 'packages', folder / 'environment'
    image.mkdir()
    for distribution in closure(IN_THE_IMAGE):
        for part in {file.parts[0] for file in distribution.files} - {'..', '__pycache__'}:
            if not (image / part).exists():
                (image / part).symlink_to(distribution.locate_file(part))
    venv.create(environment, symlinks=True)
    paths = sysconfig.get_paths(vars=dict(base=str(environment), platbase=str(environment)))
    (Path(paths['purelib']) / 'image.pth').write_text(f'{image}\n')
    (Path(paths['purelib']) / 'sitecustomize.py').write_text(OFFLINE)
    return environment / 'bin' / 'python'


@pytest.fixture(scope='module')
def inputs(written, tmp_path_factory):
    """Lay the inputs out as Kaggle mounts them, one of the images broken."""
    root = tmp_path_factory.mktemp('kaggle') / 'input'
    test = root / 'competitions' / bundle.COMPETITION / 'test'
    test.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ('0012345', 'b7f'):  # the first would lose its zeros as a number
        cv2.imwrite(str(test / f'{name}.png'), rng.integers(0, 256, (80, 96), dtype=np.uint8))
    (test / f'{BROKEN}.png').write_bytes((test / 'b7f.png').read_bytes()[:1000])
    (test.parent / 'sample_submission.csv').write_text('id,predicted\nb7f,\n')
    shutil.copytree(written / 'dataset', root / 'datasets' / 'cellist' / 'cells-of-chance')
    for path in [root, *root.rglob('*')]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield root
    for path in [root, *root.rglob('*')]:
        path.chmod(0o755)


def test_the_notebook_makes_the_submission_of_predict(
        written, python, inputs, weights, tmp_path):
    (tmp_path / 'run.py').write_text(RUNNER)
    working = tmp_path / 'working'
    working.mkdir()
    parameters = dict(INPUT=str(inputs), WORKING=str(working), SCRATCH=str(tmp_path / 'scratch'))
    isolate = ['unshare', '--user', '--net']
    allowed = shutil.which('unshare') and not subprocess.run(
        [*isolate, 'true'], check=False, capture_output=True).returncode
    done = subprocess.run(
        [*(isolate if allowed else ()), python, tmp_path / 'run.py',
         written / 'notebook/submission.ipynb', json.dumps(parameters)],
        cwd=working, capture_output=True, text=True, check=False,
        env={name: value for name, value in os.environ.items() if name != 'PYTHONPATH'})
    assert done.returncode == 0, done.stdout + done.stderr
    assert f'mmsart comes from {python.parents[1]}' in done.stdout
    assert f'{BROKEN}.png: ' in done.stdout.partition('left without cells')[2]

    test = next(inputs.rglob('test'))
    table = pd.read_csv(working / 'submission.csv', dtype=str, keep_default_na=False)
    assert set(table['id']) == {path.stem for path in test.iterdir()}
    assert list(table[table['id'] == BROKEN]['predicted']) == ['']
    run_tool('predict', test, '--weights', weights, '--out', tmp_path / 'here', '--device', 'cpu',
             '--save', 'submission')
    here = pd.read_csv(tmp_path / 'here/submission.csv', dtype=str, keep_default_na=False)
    assert len(here) > 5
    pd.testing.assert_frame_equal(table[:len(here)], here)
    assert check_submission([str(working / 'submission.csv'), '--size', '80', '96']) == 0


def test_the_wheels_fit_every_python_and_hold_no_compiled_file(written):
    wheels = list((written / 'dataset').glob('*.whl'))
    assert len(wheels) == len(bundle.SAME_VERSION) + len(bundle.IF_MISSING) + 1
    for wheel in wheels:
        assert wheel.name.endswith('-none-any.whl')
        with zipfile.ZipFile(wheel) as archive:
            assert not [name for name in archive.namelist() if name.endswith('.so')]


def test_kaggle_is_told_what_belongs_together(written):
    data = json.loads((written / 'dataset/dataset-metadata.json').read_text())
    kernel = json.loads((written / 'notebook/kernel-metadata.json').read_text())
    assert data['id'] == 'cellist/cells-of-chance'
    assert kernel['dataset_sources'] == [data['id']]
    assert kernel['id'] == 'cellist/' + kernel['title']
    assert kernel['competition_sources'] == ['sartorius-cell-instance-segmentation']
    assert (written / 'notebook' / kernel['code_file']).is_file()
    assert kernel['enable_internet'] is False
    assert [path for path in (written / 'dataset').iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(('options', 'message'), [
    (['--user', 'a b'], "--user: found 'a b', expected a name on Kaggle"),
    (['--name', 'Cells!'], "--name: found 'Cells!', expected 6 to 50 of a-z"),
    (['--weights', 'nothing.pth'], 'nothing.pth: no such file'),
    ([], 'found keep.txt in the folder, expected an empty folder, or --overwrite'),
    (['--overwrite'], 'found keep.txt in the folder, expected nothing but a bundle'),
])
def test_what_is_wrong_is_said_before_anything_is_written(options, message, tmp_path, capsys):
    out = tmp_path / 'out'
    if not options or options == ['--overwrite']:
        out.mkdir()
        (out / 'keep.txt').write_text('mine')
    assert main(['kaggle-bundle', str(out), *options]) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.rglob('*')) in ([], [out, out / 'keep.txt'])


@pytest.mark.parametrize('beside', [True, False])
def test_whose_thresholds_are_packed_is_said(weights, tmp_path, capsys, monkeypatch, beside):
    shutil.copy(weights, tmp_path / 'a.pth')
    if beside:
        shutil.copy(weights.with_name('postprocess.json'), tmp_path)

    def write(source, out, options):
        (out / 'dataset').mkdir(parents=True)
        return out

    monkeypatch.setattr('mmsart.apis.kaggle.write_bundle', write)
    assert main(['kaggle-bundle', str(tmp_path / 'out'), '--weights', str(tmp_path / 'a.pth')]) == 0
    named = tmp_path / ('postprocess.json' if beside else 'a.pth: cfg')
    assert f'post-processing settings: {named}\n' in capsys.readouterr().out


def test_a_model_whose_masks_may_overlap_is_refused(weights, tmp_path, capsys):
    settings = tmp_path / 'overlapping.json'
    settings.write_text('{"remove_overlap": false}')
    assert main(['kaggle-bundle', str(tmp_path / 'out'), '--weights', str(weights),
                 '--postprocess', str(settings)]) == 2
    assert 'post-processing has remove_overlap off' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(('name', 'message'), [
    ('no-such-package', 'no-such-package: found no such package in this environment'),
    ('numpy', 'numpy: found the compiled file'),
])
def test_a_package_that_cannot_be_packed_is_named(name, message, tmp_path):
    with pytest.raises(UserError, match=message):
        pack_wheel(name, tmp_path)


def test_an_editable_package_is_refused(tmp_path, monkeypatch):
    """All that is in site-packages is a link to where its files lie."""
    info = tmp_path / 'linked-1.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: linked\nVersion: 1.0\n')
    (info / 'direct_url.json').write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match='linked: found an editable installation'):
        pack_wheel('linked', tmp_path)
    assert not list(tmp_path.glob('*.whl'))


def test_a_packed_package_is_the_installed_one(tmp_path):
    wheel = pack_wheel('addict', tmp_path)
    installed = metadata.distribution('addict')
    done = subprocess.run([sys.executable, '-m', 'pip', 'install', '--no-index', '--no-deps',
                           '--target', tmp_path / 'site', wheel], check=False,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    sources = [file for file in installed.files if file.suffix == '.py']
    assert len(sources) > 1
    for file in sources:
        assert (tmp_path / 'site' / file).read_bytes() == file.read_binary()
