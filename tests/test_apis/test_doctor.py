"""What the doctor finds, and what it says to do."""
import sys
from importlib import metadata

import pytest
import torch

from mmsart.apis import doctor as doctor_module
from mmsart.apis.doctor import Check, run_checks
from mmsart.ops import are_compiled
from tests.run_tool import run_tool


def test_the_doctor_finds_a_good_installation(write_table):
    checks = run_checks(write_table([{}, dict(id='b')]))
    assert [check for check in checks if check.state == 'FAIL'] == []
    assert checks[-1].found == '2 images, 2 cells, all readable'


@pytest.mark.parametrize(('spoil', 'found'), [
    (lambda root: (root / 'train' / 'a.png').unlink(),
     'a.png: no such file, expected an image (row 2'),
    (lambda root: (root / 'train' / 'a.png').write_bytes(b''), '(row 2 of train.csv)'),
    (lambda root: (root / 'train.csv').unlink(), 'no such file'),
])
def test_the_doctor_names_what_the_data_lack(write_table, spoil, found):
    root = write_table([{}])
    spoil(root)
    check = run_checks(root)[-1]
    assert check.state == 'FAIL'
    assert found in check.found
    assert 'Error' not in check.found
    assert 'SARTORIUS_ROOT' in check.cure


def test_data_have_to_be_there_only_where_their_folder_is_named(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for variable in (None, ''):
        if variable is None:
            monkeypatch.delenv('SARTORIUS_ROOT', raising=False)
        else:
            monkeypatch.setenv('SARTORIUS_ROOT', variable)
        check = run_checks()[-1]
        assert (check.name, check.state) == ('data in data/sartorius', 'note')
        assert 'only trainings and tests on the data of the competition need them' in check.found
        assert 'SARTORIUS_ROOT' in check.found
    assert run_checks('data/sartorius')[-1].state == 'FAIL'
    monkeypatch.setenv('SARTORIUS_ROOT', 'data/sartorius')
    assert run_checks()[-1].state == 'FAIL'
    monkeypatch.delenv('SARTORIUS_ROOT')
    (tmp_path / 'data' / 'sartorius').mkdir(parents=True)
    check = run_checks()[-1]
    assert (check.state, 'train.csv: no such file' in check.found) == ('FAIL', True)


def test_the_doctor_reports_operators_that_do_not_run(monkeypatch, write_table):
    def broken(device):
        raise ModuleNotFoundError("No module named 'mmcv._ext'")
    monkeypatch.setattr(doctor_module, '_run_operators', broken)
    check = next(check for check in run_checks(write_table([{}]))
                 if check.name == 'mmcv operators')
    assert check.state == 'FAIL'
    assert '--no-build-isolation' in check.cure


def test_a_version_that_is_not_asked_for_fails(monkeypatch):
    monkeypatch.setattr(doctor_module.metadata, 'requires', lambda name: ['torch<2.0', 'numpy>=2'])
    check = doctor_module._check_module('torch')
    assert check.state == 'FAIL'
    assert f'found {metadata.version("torch")}, expected <2.0' in check.found
    assert check.cure == "pip install 'torch<2.0'"
    assert doctor_module._check_module('numpy').state == 'ok'


def test_the_doctor_says_which_operators_are_in_use(write_table):
    check = next(check for check in run_checks(write_table([{}]))
                 if check.name == 'mmcv operators')
    kind = 'compiled' if are_compiled() else 'in Python'
    assert (check.state, check.found) == ('ok', f'{kind}; nms and RoIAlign run on the cpu')


def test_operators_in_python_fail_beside_a_gpu(monkeypatch, write_table):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda: 'GPU')
    monkeypatch.setattr(doctor_module, 'are_compiled', lambda: False)
    check = next(check for check in run_checks(write_table([{}]))
                 if check.name == 'mmcv operators, CUDA')
    assert check.state == 'FAIL'
    assert 'in Python: they run, but a training on the GPU waits' in check.found
    assert check.cure.startswith('with the CUDA toolkit: make install-ops')


def test_the_doctor_imports_what_the_tools_import(monkeypatch, write_table):
    """mmdet's own package is fine where its data sets, which a training imports, are not."""
    monkeypatch.delitem(sys.modules, 'mmsart.registration', raising=False)
    monkeypatch.setitem(sys.modules, 'mmsart.datasets.transforms', None)
    monkeypatch.setitem(sys.modules, 'imgaug', None)
    failed = {check.name: check for check in run_checks(write_table([{}])) if check.state == 'FAIL'}
    assert failed.keys() == {'imgaug', 'tools'}
    assert 'mmsart.datasets.transforms' in failed['tools'].found
    assert 'NUMBA_CACHE_DIR' in failed['imgaug'].cure


def test_the_doctors_exit_code_tells(monkeypatch, tmp_path):
    code, out, _ = run_tool('doctor', '--data-root', str(tmp_path))
    assert code == 1
    assert 'fix: ' in out
    monkeypatch.setattr(doctor_module, 'run_checks', lambda root: [Check('x', 'ok', 'y')])
    code, out, _ = run_tool('doctor')
    assert (code, out) == (0, '[ok  ] x: y\neverything is in order\n')
