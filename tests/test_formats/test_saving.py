import pytest

from mmsart.formats.saving import DEFAULT_FORMATS, SAVERS, SaveOptions, check_formats, save_result
from mmsart.utils import UserError
from tests.test_formats.results import random_result


def test_every_format_makes_its_file_and_no_other(tmp_path):
    paths = save_result(random_result(0), tmp_path / 'new', 'dish é 1', list(SAVERS))
    assert sorted(paths) == sorted((tmp_path / 'new').iterdir())
    assert all(path.name.startswith('dish é 1') and path.stat().st_size for path in paths)


def test_the_same_result_gives_the_same_bytes(tmp_path):
    for folder in ('a', 'b'):
        save_result(random_result(0, num_t=2), tmp_path / folder, 'x', list(SAVERS))
    for path in (tmp_path / 'a').iterdir():
        assert path.read_bytes() == (tmp_path / 'b' / path.name).read_bytes(), path.name


def test_options_reach_their_format(tmp_path):
    [path] = save_result(random_result(0), tmp_path, 'x', ['table'], SaveOptions(cellprofiler=True))
    assert path.read_text().startswith('ImageNumber,')


def test_formats_are_checked():
    assert check_formats(['labels', 'table', 'labels']) == ('labels', 'table')
    assert set(DEFAULT_FORMATS) <= set(SAVERS)
    for formats, found in ((['table', 'exe'], 'exe'), ([], 'nothing')):
        with pytest.raises(UserError, match=f'--save: found {found}, expected one or more of'):
            check_formats(formats)
