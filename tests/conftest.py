"""Shared by all tests: one thread a process, small annotation tables."""
import os
import shutil
import tempfile
from contextlib import contextmanager

os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('MPLBACKEND', 'Agg')

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, settings
from mmengine.registry import DefaultScope

import mmsart  # noqa: F401  before mmdet: mmcv's operators may be in Python

cv2.setNumThreads(1)
settings.register_profile(  # a busy machine is no failure
    'search', deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile(  # what fails comes of a change, not of chance
    'same', settings.get_profile('search'), derandomize=True)
settings.load_profile('same')


def pytest_sessionstart(session):
    """End at once where the disk is all but full: every test with files would fail by itself."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free / 1e9
    if free < 1:
        pytest.exit(f'{folder}: 1 GB free is needed for the tests, found {free:.1f} GB', 2)


@contextmanager
def modules_apart():
    """Build from mmdet's registries, and leave nothing behind of what runs set for a process."""
    strict = torch.are_deterministic_algorithms_enabled()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield
    if torch.are_deterministic_algorithms_enabled() != strict:  # to set it takes seconds at first
        torch.use_deterministic_algorithms(strict)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn


@pytest.fixture(autouse=True, scope='module')
def _module_apart():
    with modules_apart():
        yield


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory):
    """The file of `tiny_model`; a test that changes it, or puts a file beside it, takes a copy."""
    from tests.test_apis.tiny_model import write_checkpoint

    path = tmp_path_factory.mktemp('run') / 'epoch_1.pth'
    with modules_apart():
        write_checkpoint(path)
    return path


@pytest.fixture
def write_table(tmp_path):
    """Return a function that writes rows as train.csv, with black images that fit them."""
    def write(rows, folder='data', images=True, **columns):
        root = tmp_path / folder
        (root / 'train').mkdir(parents=True, exist_ok=True)
        frame = pd.DataFrame([{
            'id': 'a', 'annotation': '1 3', 'width': '10', 'height': '8', 'cell_type': 'cort',
            'plate_time': '', 'sample_date': '', 'sample_id': 's', 'elapsed_timedelta': '',
            **row} for row in rows])
        for column in [name for name, value in columns.items() if value is None]:
            frame = frame.drop(columns=column)
        frame.to_csv(root / 'train.csv', index=False)
        for _, row in frame.drop_duplicates('id').iterrows() if images else ():
            image = np.zeros((int(row['height']), int(row['width'])), np.uint8)
            cv2.imwrite(str(root / 'train' / f'{row["id"]}.png'), image)
        return root
    return write
