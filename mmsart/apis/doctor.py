"""Checks of an installation, each with its fix."""
import importlib
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from mmsart.ops import COMPILE_MMCV, are_compiled
from mmsart.utils import UserError
from mmsart.utils.cli import INSTALL_LIBRARIES
from mmsart.utils.quiet import quiet_imports

_REINSTALL_MMCV = 'pip install --no-cache-dir --no-deps --force-reinstall onedl-mmcv==2.3.6'
_COMPILE_MMCV = f'make install-ops, or {COMPILE_MMCV}'
_LIBRARIES = f'where a library such as libGL.so.1 is missing, {INSTALL_LIBRARIES}'
_CACHE = ('where numba finds no place for its cache, set NUMBA_CACHE_DIR to a folder that can be '
          'written')
_MODULES = {  # module: (distribution, what else may help)
    'torch': ('torch', ''),
    'cv2': ('opencv-python', _LIBRARIES),
    'mmengine': ('onedl-mmengine', ''),
    'mmcv': ('onedl-mmcv', _REINSTALL_MMCV),
    'imgaug': ('imaug', _CACHE),
    'mmdet': ('onedl-mmdetection', ''),
    'pycocotools': ('pycocotools', ''),
    'numpy': ('numpy', ''),
    'pandas': ('pandas', ''),
    'scipy': ('scipy', ''),
    'sklearn': ('scikit-learn', ''),
    'skimage': ('scikit-image', ''),
    'PIL': ('pillow', ''),
    'matplotlib.pyplot': ('matplotlib', ''),
    'optuna': ('optuna', ''),
    'torch.utils.tensorboard': ('tensorboard', ''),
}


@dataclass(frozen=True)
class Check:
    """One line of the report.

    Attributes:
        name: what was looked at.
        state: ``'ok'``, ``'note'`` (fine, but good to know) or ``'FAIL'``.
        found: what was found.
        cure: what to do about a failure.
    """

    name: str
    state: str
    found: str
    cure: str = ''


def run_checks(data_root: str | os.PathLike | None = None) -> list[Check]:
    """Look at versions, operators, CUDA and data.

    Args:
        data_root: folder of the competition data; by default that of SARTORIUS_ROOT, else
            data/sartorius, which need not be there: who only predicts has no use for them.

    Returns:
        The checks in the order of the report. None of them raises.
    """
    checks = [_check_python(), _check_itself(), *(_check_module(name) for name in _MODULES)]
    checks.append(_guard(
        'tools', 'fix the failures above, or install the package that the message names',
        _import_what_tools_import))
    checks.append(_guard(
        'mmcv operators', f'{_REINSTALL_MMCV} for operators in Python; compiled: {_COMPILE_MMCV}',
        lambda: _run_operators('cpu')))
    checks += _check_cuda()
    checks.append(_check_data(data_root or os.environ.get('SARTORIUS_ROOT')))
    return checks


def _guard(name: str, cure: str, probe: Callable[[], str]) -> Check:
    try:
        with quiet_imports():
            return Check(name, 'ok', probe())
    except UserError as error:
        return Check(name, 'FAIL', str(error), cure)
    except Exception as error:  # a doctor reports whatever goes wrong
        return Check(name, 'FAIL', ' '.join(f'{type(error).__name__}: {error}'.split()), cure)


def _check_python() -> Check:
    version = platform.python_version()
    fits = (3, 10) <= tuple(map(int, version.split('.')[:2])) <= (3, 14)
    return Check('Python', 'ok' if fits else 'FAIL', version, 'use Python 3.10 to 3.14')


def _check_itself() -> Check:
    return _guard('mmsart', 'make install, or pip install -e .', lambda: metadata.version('mmsart'))


def _check_module(name: str) -> Check:
    """Import a module and compare its version with what mmsart asks for."""
    distribution, hint = _MODULES[name]
    wanted = _wanted(distribution)
    cure = f"pip install '{wanted}'" + (f'; {hint}' if hint else '')

    def probe() -> str:
        importlib.import_module(name)
        version = metadata.version(distribution)
        if not wanted.specifier.contains(version, prereleases=True):
            raise ImportError(f'found {version}, expected {wanted.specifier}')
        return version
    return _guard(name, cure, probe)


def _wanted(distribution: str) -> Requirement:
    """Look up what the installed package says about one of its dependencies."""
    try:
        texts = metadata.requires('mmsart') or []
    except metadata.PackageNotFoundError:
        texts = []
    requirements = [Requirement(text) for text in texts]
    return next((each for each in requirements if each.name == distribution),
                Requirement(distribution))


def _import_what_tools_import() -> str:
    """Import the modules that a training and a test begin with, which mmdet alone does not."""
    for name in ('mmsart.registration', 'mmsart.apis.runs'):
        importlib.import_module(name)
    return 'everything that training imports is there'


def _run_operators(device: str) -> str:
    """Call nms and RoIAlign on inputs whose result is known."""
    import torch
    from mmcv.ops import RoIAlign, nms
    boxes = torch.tensor([[0., 0, 8, 8], [0, 0, 8, 7], [20, 20, 28, 28]], device=device)
    _, kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7], device=device), 0.5)
    if kept.tolist() != [0, 2]:
        raise RuntimeError(f'nms kept {kept.tolist()}, expected [0, 2]')
    rois = torch.tensor([[0, 0., 0, 4, 4]], device=device)
    pooled = RoIAlign((2, 2))(torch.ones(1, 1, 8, 8, device=device), rois)
    if not torch.allclose(pooled, torch.ones_like(pooled)):
        raise RuntimeError(f'RoIAlign of ones gave {pooled.flatten().tolist()}, expected ones')
    kind = 'compiled' if are_compiled() else 'in Python'
    return f'{kind}; nms and RoIAlign run on the {device}'


def _check_cuda() -> Iterator[Check]:
    try:
        import torch
        available = torch.cuda.is_available()
    except Exception:  # reported as a missing module
        return
    if not available:
        yield Check('CUDA', 'note', 'no GPU found; training runs on the CPU')
        return
    yield Check('CUDA', 'ok', f'{torch.version.cuda}, {torch.cuda.get_device_name()}')
    name, cure = 'mmcv operators, CUDA', f'with the CUDA toolkit: {_COMPILE_MMCV}'
    if are_compiled():
        yield _guard(name, cure, lambda: _run_operators('cuda'))
    else:
        yield Check(name, 'FAIL', 'in Python: they run, but a training on the GPU waits for NMS on '
                    'the CPU', cure)


def _check_data(given: str | os.PathLike | None) -> Check:
    """Look at the competition's data, which have to be there only where their folder is named."""
    root = Path(given or 'data/sartorius')
    name = f'data in {root}'
    cure = 'unpack the competition download there, or point SARTORIUS_ROOT to it'
    if not given and not os.path.lexists(root):
        return Check(name, 'note', 'none; only trainings and tests on the data of the competition '
                     f'need them: join it on Kaggle, then {cure}')
    return _guard(name, cure, lambda: _read_data(root))


def _read_data(root: Path) -> str:
    """Read the table and decode every image."""
    from mmsart.datasets.image_file import read_grey
    from mmsart.datasets.train_csv import read_train_csv
    table = read_train_csv(root / 'train.csv')
    problems = []
    for number, name in enumerate(table.image_ids.tolist()):
        height, width = table.sizes[number].tolist()
        try:
            read_grey(root / 'train' / f'{name}.png', (height, width))
        except UserError as error:
            problems.append(f'{error} (row {table.rows[number]} of train.csv)')
    if problems:
        raise UserError('; '.join(problems))
    return f'{len(table)} images, {len(table.areas)} cells, all readable'
