"""Open a page in the browser: drop pictures, look at the cells, correct and export them. Nothing
leaves this computer.

Example:
  mmsart app
  mmsart app --folder plates --truth plates/train.csv
"""
import argparse
import contextlib
import logging
import os
import secrets
import socket
import sys
import threading
import webbrowser
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from mmsart.utils import UserError, add_model_options, check_writable, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet

PORT = 8577
PRIVATE = 0o700  # the workspace holds pictures of the user
KEEP = 0.5  # share of the score thresholds down to which detections are kept for the sliders


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, 'mmsart app')
    parser.add_argument('--folder', action='append', metavar='DIR',
                        help='folder that the page may read images from; may be given several '
                        'times (default: your home folder)')
    parser.add_argument('--truth', metavar='FILE',
                        help='train.csv or COCO annotations to show beside predictions')
    parser.add_argument('--workspace', metavar='DIR', help='folder of the queue and its results '
                        '(default: ~/.local/share/mmsart, or below XDG_DATA_HOME)')
    add_model_options(parser)
    parser.add_argument('--device', help='cpu, cuda, cuda:1 ...; by default a GPU if there is one')
    parser.add_argument('--no-flips', action='store_true',
                        help='look at each image once, not at its mirror images: faster by their '
                        'number, a little less exact')
    serving = parser.add_argument_group('serving')
    serving.add_argument('--port', type=int, default=PORT,
                         help='port that the page answers on')
    serving.add_argument('--host', help='address to answer on, so that other computers reach the '
                         'page; a token in its address is asked for then (default: this computer '
                         'alone)')
    serving.add_argument('--token', action='store_true',
                         help='ask for a token on this computer too, where several people use it')
    serving.add_argument('--no-browser', action='store_true', help='do not open the page')
    serving.add_argument('--max-upload', type=int, default=1024, metavar='MB',
                         help='largest file that the page takes')
    serving.add_argument('--keep-days', type=int, default=30, metavar='DAYS',
                         help='remove images and results from the workspace that did not change '
                         'for so many days, unless somebody worked on them; 0 keeps all')
    return parser.parse_args(args)


def default_workspace() -> Path:
    """Name the folder of the queue where none is given."""
    base = os.environ.get('XDG_DATA_HOME') or Path.home() / '.local/share'
    return Path(base) / 'mmsart'


def _check_free(host: str, port: int) -> None:
    """Refuse an address that cannot be served on, before a model is loaded."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        if isinstance(error, socket.gaierror):
            raise UserError(f'--host: found {host}: {error.strerror}; expected an address of this '
                            'computer') from error
        raise UserError(f'--port: found {host}, port {port}: {error.strerror}; expected a free one '
                        '(is the page open already?)') from error


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    try:
        import fastapi  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise UserError(f'found no {error.name}, expected the packages of the page: pip install '
                        '"mmsart[app]"') from error
    if not 0 < options.port < 1 << 16:
        raise UserError(f'--port: found {options.port}, expected 1 to 65535')
    if options.max_upload < 1:
        raise UserError(f'--max-upload: found {options.max_upload}, expected at least 1')
    if options.keep_days < 0:
        raise UserError(f'--keep-days: found {options.keep_days}, expected 0 or more')
    host = options.host or '127.0.0.1'
    _check_free(host, options.port)
    from mmsart.app.folders import Folders
    from mmsart.report.truth import read_truth

    folders = Folders(options.folder or [Path.home()]).roots
    truth = read_truth(options.truth) if options.truth else None
    print('loading the model ...', file=sys.stderr)
    import_mmdet()
    from mmsart.apis.inference import CellSegmenter
    from mmsart.app.guard import LOOPBACK
    from mmsart.app.limits import Limits
    from mmsart.app.opening import redirection
    from mmsart.app.server import create_app
    from mmsart.app.workspace import Workspace
    from mmsart.utils.locks import locked

    logging.basicConfig(level=logging.INFO, format='%(message)s')
    loopback = options.host is None
    token = None if loopback and not options.token else secrets.token_urlsafe(24)
    folder = check_writable(options.workspace or default_workspace(), PRIVATE).absolute()
    if not options.workspace:
        folder.chmod(PRIVATE)  # it may be older than this rule
    with locked(folder, 'page'):  # first: to open a workspace removes unfinished uploads
        app = create_app(
            Workspace(folder), CellSegmenter(
                options.weights, options.device, config=options.config,
                cfg_options=options.cfg_options, postprocess=options.postprocess,
                flips=False if options.no_flips else None, keep=KEEP),
            folders=folders, truth=truth, token=token,
            hosts=LOOPBACK if loopback else None,
            limits=Limits(upload_bytes=options.max_upload << 20, keep_days=options.keep_days))
        address = f'http://{f"[{host}]" if ":" in host else host}:{options.port}/' + (
            f'?token={token}' if token else '')
        told = f'the page: {address}\nresults:  {folder}\nCtrl-C ends it'
        config = uvicorn.Config(  # whose own log_config would close the log files of others
            app, host=host, port=options.port, log_config=None, log_level='warning',
            access_log=False, limit_concurrency=256, server_header=False, ws='none')
        if options.no_browser:
            _serve(config, told, None)
        else:
            with redirection(folder, address) if token else nullcontext(address) as opened:
                _serve(config, told, opened)
    return 0


def _serve(config: Any, told: str, address: str | None) -> None:
    """Serve until Ctrl-C; tell, and open a page if one is given, as soon as it is answered."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if not self.started:
                return
            print(told, flush=True)
            if address:
                threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()

    with contextlib.suppress(KeyboardInterrupt):
        Server(config).run()
