"""`mmsart app`: what is refused before a model is loaded; `mmsart train --data`."""
import socket

import pytest

pytest.importorskip('uvicorn')

from mmsart.apis import runs
from mmsart.cli import main
from mmsart.cli.app import default_workspace


def test_an_address_in_use_is_refused(capsys):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(['app', '--port', str(port), '--no-browser']) == 2
    assert f'port {port}' in capsys.readouterr().err
    assert main(['app', '--port', '99999']) == 2
    assert '--port: found 99999' in capsys.readouterr().err


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
