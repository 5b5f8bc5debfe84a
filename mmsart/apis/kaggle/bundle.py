"""The folder that becomes a Kaggle dataset, and the notebook that predicts with it."""
from __future__ import annotations

import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mmsart.apis.export import write_model
from mmsart.apis.kaggle.wheels import build_own_wheel, pack_wheel
from mmsart.apis.models import ModelSource
from mmsart.postprocessing import check_disjoint
from mmsart.utils import UserError, check_writable

DATASET, NOTEBOOK = 'dataset', 'notebook'
REQUIREMENTS = 'requirements.txt'
NOTEBOOK_FILE = 'submission.ipynb'
COMPETITION = 'sartorius-cell-instance-segmentation'
SLUG = re.compile(r'[a-z0-9](?:[a-z0-9-]{4,48}[a-z0-9])')
"""Kaggle wants 6 to 50 characters; capitals and blanks of a title become others in the address."""
USER = re.compile(r'[A-Za-z0-9_-]+')
NO_USER = 'INSERT_USERNAME'

SAME_VERSION = ('onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection', 'imaug')
"""What Kaggle's image lacks and a prediction needs in this very version."""
IF_MISSING = ('addict', 'yapf', 'platformdirs', 'terminaltables', 'termcolor', 'roifile')
"""Pure packages of which any version does: what the image has is left as it is."""
LEFT_OUT = {'onedl-mmcv': ('mmcv/_ext*', 'docs/*'), 'onedl-mmdetection': ('mmdet/.mim/demo/*',)}
"""Compiled operators fit one build of torch; mmsart/ops stands in for them."""


@dataclass(frozen=True)
class BundleOptions:
    """How a bundle is named.

    Attributes:
        user: name on Kaggle.
        name: of the dataset, which is also its address there; the notebook's gets ``-submission``.
        overwrite: take the place of a bundle that is there.
    """

    user: str = NO_USER
    name: str = 'mmsart-cells'
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not USER.fullmatch(self.user):
            raise UserError(f'--user: found {self.user!r}, expected a name on Kaggle')
        if not SLUG.fullmatch(self.name):
            raise UserError(f'--name: found {self.name!r}, expected 6 to 50 of a-z, 0-9 and "-", '
                            'as in an address')


def write_bundle(source: ModelSource, out: Path, options: BundleOptions) -> Path:
    """Write all that a Kaggle notebook without internet needs to predict.

    ``dataset/`` holds wheels, the model and ``dataset-metadata.json``, all in one folder, as
    Kaggle's uploader passes over folders in it; ``notebook/`` the notebook and
    ``kernel-metadata.json``. Both appear when both are complete.

    Args:
        source: the trained model.
        out: folder of the bundle.
        options: how it is named.

    Returns:
        `out`.

    Raises:
        UserError: `out` is in use, the masks of the model may overlap, or a package is missing or
            compiled or editable.
    """
    check_folder(out, options.overwrite)
    check_disjoint(source.postprocess, source.name)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f'.{out.name}-') as temporary:
        _write_dataset(source, check_writable(Path(temporary, DATASET)), options)
        _write_notebook(check_writable(Path(temporary, NOTEBOOK)), options)
        for name in (DATASET, NOTEBOOK):
            shutil.rmtree(out / name, ignore_errors=True)
            check_writable(out)
            Path(temporary, name).rename(out / name)
    return out


def check_folder(out: Path, overwrite: bool) -> None:
    """Refuse a folder that is in use, or that cannot be written.

    Args:
        out: folder of the bundle.
        overwrite: whether a bundle may be there already.

    Raises:
        UserError: it is in use, or cannot be written.
    """
    known = {DATASET, NOTEBOOK} if overwrite else set()
    found = [each.name for each in sorted(out.iterdir())] if out.is_dir() else []
    strange = [name for name in found if name not in known]
    if strange:
        expected = 'nothing but a bundle' if overwrite else 'an empty folder, or --overwrite'
        raise UserError(f'{out}: found {strange[0]} in the folder, expected {expected}')
    if out.exists() and not out.is_dir():
        raise UserError(f'{out}: found a file, expected a folder to write')
    check_writable(out.parent)


def _write_dataset(source: ModelSource, folder: Path, options: BundleOptions) -> None:
    for name in (*SAME_VERSION, *IF_MISSING):
        pack_wheel(name, folder, LEFT_OUT.get(name, ()))
    build_own_wheel(folder)
    exact = [f'{name}=={metadata.version(name)}' for name in SAME_VERSION]
    (folder / REQUIREMENTS).write_text('\n'.join(['mmsart', *exact, *IF_MISSING]) + '\n')
    facts = {'title': source.name, 'licence': 'not stated', **source.facts}
    weights = {name: value.contiguous() for name, value in source.build('cpu').state_dict().items()
               if not name.endswith('num_batches_tracked')}
    write_model(source, folder, facts, weights)
    _write_json(folder / 'dataset-metadata.json', {
        'title': options.name, 'id': f'{options.user}/{options.name}',
        'licenses': [{'name': 'other'}]})


def _write_notebook(folder: Path, options: BundleOptions) -> None:
    shutil.copyfile(Path(__file__).with_name(NOTEBOOK_FILE), folder / NOTEBOOK_FILE)
    _write_json(folder / 'kernel-metadata.json', {
        'id': f'{options.user}/{options.name}-submission', 'title': f'{options.name}-submission',
        'code_file': NOTEBOOK_FILE, 'language': 'python', 'kernel_type': 'notebook',
        'is_private': True, 'enable_gpu': False, 'enable_internet': False,
        'dataset_sources': [f'{options.user}/{options.name}'],
        'competition_sources': [COMPETITION], 'kernel_sources': [], 'model_sources': []})


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2) + '\n')
