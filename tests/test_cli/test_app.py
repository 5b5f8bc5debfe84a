"""`mmsart app`: what is refused before a model is loaded; `mmsart train --data`."""
import socket

import pytest

pytest.importorskip('uvicorn')

from mmsart.apis import runs
from mmsart.cli import main
from mmsart.cli.app import default_workspace
from mmsart.utils.locks import locked


def test_an_address_in_use_is_refused(capsys):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(['app', '--port', str(port), '--no-browser']) == 2
    assert f'port {port}' in capsys.readouterr().err
    assert main(['app', '--port', '99999']) == 2
    assert '--port: found 99999' in capsys.readouterr().err


@pytest.mark.parametrize(('option', 'value'), [('--max-upload', '0'), ('--keep-days', '-1')])
def test_limits_that_would_take_or_keep_nothing_are_refused(capsys, option, value):
    assert main(['app', option, value, '--no-browser']) == 2
    assert f'{option}: found {value}, expected' in capsys.readouterr().err


def test_a_workspace_in_use_is_left_alone(capsys, tmp_path):
    upload = tmp_path / 'incoming/upload.png'
    upload.parent.mkdir()
    upload.touch()
    with socket.socket() as free, locked(tmp_path, 'page'):
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
        free.close()
        assert main(['app', '--workspace', str(tmp_path), '--port', str(port)]) == 2
    assert 'found another page there' in capsys.readouterr().err
    assert upload.exists()


def test_the_workspace_is_where_the_system_keeps_data(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path))
    assert default_workspace() == tmp_path / 'mmsart'


def test_data_of_another_folder_are_trained_on(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(runs, 'train_model', lambda cfg, **options: seen.append(cfg))
    folder = tmp_path / 'my data, 2'
    assert main(['train', 'mmsart::sartorius/maskrcnn_lite_cpu.py', '--data', str(folder)]) == 0
    cfg, = seen
    assert cfg.train_dataloader.dataset.data_root == f'{folder}/'
    assert cfg.val_dataloader.dataset.data_root == f'{folder}/'
