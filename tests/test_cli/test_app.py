"""`mmsart app`: what is refused before a model is loaded; `mmsart train --data`."""
import contextlib
import logging
import re
import socket
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from mmsart.apis import runs
from mmsart.cli import main
from mmsart.cli.app import _serve, default_workspace
from mmsart.utils.locks import locked
from tests.test_app.fakes import DiscSegmenter

uvicorn = pytest.importorskip('uvicorn')
pytest.importorskip('fastapi')


@contextlib.contextmanager
def reserved_port():
    """Give a port that nobody else is given and that servers, with SO_REUSEADDR, may bind."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(('127.0.0.1', 0))
        yield bound.getsockname()[1]


def test_an_address_in_use_is_refused(capsys):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(['app', '--port', str(port), '--no-browser']) == 2
    assert f'port {port}' in capsys.readouterr().err
    assert main(['app', '--port', '99999']) == 2
    assert '--port: found 99999' in capsys.readouterr().err


def test_a_host_that_is_none_is_no_matter_of_the_port(capsys):
    assert main(['app', '--host', 'no such host', '--no-browser']) == 2
    assert 'error: --host: found no such host: ' in capsys.readouterr().err


@pytest.mark.parametrize(('option', 'value'), [('--max-upload', '0'), ('--keep-days', '-1')])
def test_limits_that_would_take_or_keep_nothing_are_refused(capsys, option, value):
    assert main(['app', option, value, '--no-browser']) == 2
    assert f'{option}: found {value}, expected' in capsys.readouterr().err


def test_what_is_read_is_looked_at_before_a_model_is_loaded(capsys, tmp_path):
    (tmp_path / 'train.csv').write_text('id\n1\n')
    with reserved_port() as port:
        for options, problem in (
                (['--folder', str(tmp_path / 'none')], 'none: no such folder'),
                (['--truth', str(tmp_path / 'none.csv')], 'none.csv: no such file'),
                (['--truth', str(tmp_path / 'train.csv')], 'train.csv: ')):
            assert main(['app', '--port', str(port), '--weights', 'none', *options]) == 2
            told = capsys.readouterr().err
            assert problem in told
            assert 'loading' not in told


def test_a_workspace_in_use_is_left_alone(capsys, tmp_path):
    upload = tmp_path / 'incoming/upload.png'
    upload.parent.mkdir()
    upload.touch()
    with reserved_port() as port, locked(tmp_path, 'page'):
        assert main(['app', '--workspace', str(tmp_path), '--port', str(port)]) == 2
    assert 'found another page there' in capsys.readouterr().err
    assert upload.exists()


def test_the_page_is_told_and_opened_when_it_is_answered(monkeypatch, capsys):
    answers, servers = [], []

    async def app(scope, receive, send):
        await send(dict(type='http.response.start', status=200, headers=[]))
        await send(dict(type='http.response.body', body=b'the page'))

    class Server(uvicorn.Server):
        def __init__(self, config):
            super().__init__(config)
            servers.append(self)

    def open_page(address):
        try:
            answers.append(capsys.readouterr().out)
            with urllib.request.urlopen(address) as answer:
                answers.append(answer.read())
        finally:
            servers[0].should_exit = True

    monkeypatch.setenv('no_proxy', '*')
    monkeypatch.setattr(uvicorn, 'Server', Server)
    monkeypatch.setattr('webbrowser.open', open_page)
    with reserved_port() as port:
        _serve(uvicorn.Config(app, port=port, log_config=None, lifespan='off'),
               'its address', f'http://127.0.0.1:{port}/')
    assert answers == ['its address\n', b'the page']


@contextlib.contextmanager
def log_file(path):
    handler = logging.FileHandler(path)
    yield handler
    handler.close()


def test_a_token_is_not_in_the_browsers_command_line(monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr('mmsart.apis.inference.CellSegmenter',
                        lambda *args, **options: DiscSegmenter())

    def serve(config, told, address):
        opened.append(address)
        if address.startswith('file:'):
            path = Path(urllib.parse.unquote(urllib.parse.urlsplit(address).path))
            token = re.search(r'url=(http://127[^"]*[?]token=[^"&]{30,})"', path.read_text())[1]
            opened.append((oct(path.stat().st_mode), token not in address))

    monkeypatch.setattr('mmsart.cli.app._serve', serve)
    with reserved_port() as port, log_file(tmp_path / 'run.log') as log:
        for number, options in enumerate((['--token'], [])):
            folder = tmp_path / f'w {number}'
            assert main(['app', '--port', str(port), '--workspace', str(folder), *options]) == 0
            assert oct(folder.stat().st_mode) == '0o40700'
            assert not list(folder.glob('*.html'))
        assert log.stream is not None  # uvicorn has not closed it
    assert opened[1:] == [('0o100600', True), f'http://127.0.0.1:{port}/']


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
