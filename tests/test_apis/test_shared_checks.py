"""Checks of images before a run, shared out among the processes of one machine."""
import os

import pytest
from mmengine.config import Config
from mmengine.dist import is_distributed

from mmsart.apis import dataset_checks
from mmsart.apis.dataset_checks import find_unreadable_together
from mmsart.engine.runner.process_group import joined_group
from mmsart.utils import UserErrors
from tests.test_engine.test_processes import in_two_processes

NAMES = list('abcde')


def look(folder, known):
    """Join the other process and look at five images, of which three are bad."""
    decoded = []

    def find(paths):
        decoded.extend(paths)
        return {path: f'{path}: bad' for path in paths if path in 'abe'}

    dataset_checks.find_unreadable = find
    if known:
        os.environ['LOCAL_WORLD_SIZE'] = '2'
    problems = None
    try:
        with joined_group('pytorch', Config(dict(dist_cfg=dict(timeout=300)))):
            problems = find_unreadable_together([*NAMES, 'a'])
            raise UserErrors(*problems.values())
    except UserErrors:
        return decoded, list(problems), is_distributed()


@pytest.mark.parametrize(('known', 'shares'), [
    (True, [['a', 'c', 'e'], ['b', 'd']]),
    (False, [NAMES, NAMES])])  # a launcher that does not say how many run on this machine
def test_processes_share_the_images_and_what_they_find(tmp_path, known, shares):
    results, codes = in_two_processes(tmp_path / 'run', look, known)
    assert codes == [0, 0], (tmp_path / 'run/output_0.txt').read_text()
    assert [decoded for decoded, *_ in results] == shares
    assert [found for _, found, _ in results] == [['a', 'b', 'e']] * 2
    assert not any(joined for *_, joined in results)


def test_one_process_looks_at_each_image_once(monkeypatch):
    monkeypatch.setattr(dataset_checks, 'find_unreadable', lambda paths: dict.fromkeys(paths, 'x'))
    assert list(find_unreadable_together(['b', 'a', 'b'])) == ['b', 'a']
