"""Several models as one: the same cells whether their files, a test or a prediction are fused."""
import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmsart.apis.config import load_config
from mmsart.apis.inference import CellSegmenter
from mmsart.apis.models import find_source
from mmsart.formats.methods import describe_method
from mmsart.formats.predictions import load_predictions, save_predictions
from mmsart.postprocessing import PostProcessor
from mmsart.zoo import default_model
from tests.run_tool import run_tool
from tests.sample_data import write_sample
from tests.test_apis.tiny_model import CONFIG, SMALL, write_checkpoint
from tests.test_zoo.test_zoo import FACTS

SMALL_DATA = [option for option in SMALL if not option.startswith('model.')]
SOFT = 'model.test_cfg.rcnn.keep_mask_logits=True'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_sample(tmp_path_factory.mktemp('sample') / 'data', 10)


@pytest.fixture(scope='module')
def members(tmp_path_factory):
    folder = tmp_path_factory.mktemp('members')
    paths = [folder / f'{seed}.pth' for seed in (0, 1)]
    for seed, path in enumerate(paths):
        write_checkpoint(path, seed=seed)
        content = torch.load(path, weights_only=False)
        weights = content['state_dict']
        weights['roi_head.mask_head.conv_logits.bias'] += 8  # masks that fill their boxes do meet
        torch.save(content, path)
    return paths


@pytest.fixture(scope='module')
def ensemble(data, members, tmp_path_factory):
    folder = tmp_path_factory.mktemp('ensemble') / 'both'
    code, out, err = run_tool(
        'ensemble', CONFIG, *members, '--out', folder, '--shares', '2', '1', '--iou-thr', '0.3',
        '--cfg-options', f'data_root={data}', *SMALL_DATA)
    assert code == 0, err
    assert 'ensemble.pth: 2 members' in out
    return folder


@pytest.fixture(scope='module')
def tested(data, members, ensemble, tmp_path_factory):
    """Predictions of each member and of both as one."""
    folder = tmp_path_factory.mktemp('tested')
    for number, member in enumerate(members):
        code, _, err = run_tool(
            'test', CONFIG, member, '--work-dir', folder, '--out', folder / f'{number}.pkl',
            '--cfg-options', f'data_root={data}', *SMALL, SOFT)
        assert code == 0, err
    code, out, err = run_tool('test', ensemble / 'ensemble.py', ensemble, '--work-dir', folder,
                              '--out', folder / 'both.pkl', '--submission', folder / 's.csv')
    assert code == 0, err
    assert 'sartorius/mAP' in out
    return folder


def assert_same(found, expected):
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert found.masks.to_rles() == expected.masks.to_rles()


def test_fused_files_are_what_a_test_of_the_ensemble_gives(tested, tmp_path):
    code, out, err = run_tool(
        'merge_predictions', tested / '0.pkl', tested / '1.pkl', '--out', tmp_path / 'm.pkl',
        '--shares', '2', '1', '--iou-thr', '0.3')
    assert code == 0, err
    assert out.startswith('3 images written')
    merged, both = load_predictions(tmp_path / 'm.pkl'), load_predictions(tested / 'both.pkl')
    for one, other in zip(merged.images, both.images, strict=True):
        assert len(one.detections) < 120, 'nothing was fused'
        assert_same(one.detections, other.detections)
        assert one.truth.to_rles() == other.truth.to_rles()
    code, _, err = run_tool('tune_postprocess', CONFIG, tmp_path / 'm.pkl', '--trials', '2',
                            '--folds', '1', '--workers', '1', '--out', tmp_path / 'p.json')
    assert code == 0, err


def test_prediction_and_the_package_give_the_cells_of_the_test(data, ensemble, tested, tmp_path):
    (tmp_path / 'facts.json').write_text(json.dumps(FACTS))
    code, _, err = run_tool('model_converters/export_to_zoo', ensemble, tmp_path / 'accurate',
                            '--facts', tmp_path / 'facts.json')
    assert code == 0, err
    both = load_predictions(tested / 'both.pkl')
    process = PostProcessor(both.classes, **both.postprocess)
    for weights in (ensemble, tmp_path / 'accurate'):
        segmenter = CellSegmenter(weights)
        for image in both.images:
            frame, = segmenter(data / 'train' / f'{image.img_id}.png').frames
            assert len(frame.detections) > 3
            assert_same(frame.detections, process(image.detections))
    once = CellSegmenter(ensemble, flips=False)
    assert len(once(data / 'train' / f'{image.img_id}.png')) > 3


def test_results_name_the_members(data, members, ensemble, tmp_path):
    """Of an ensemble, and of a model of the package that was made of it."""
    (tmp_path / 'facts.json').write_text(json.dumps(FACTS))
    code, _, err = run_tool('model_converters/export_to_zoo', ensemble, tmp_path / 'accurate',
                            '--facts', tmp_path / 'facts.json')
    assert code == 0, err
    for weights in (ensemble, tmp_path / 'accurate'):
        segmenter = CellSegmenter(weights)
        model = segmenter.method['model']
        text = describe_method(segmenter.method, segmenter.source.postprocess, {})['text']
        for found, path, share in zip(model['members'], members, (2, 1), strict=True):
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            assert found == dict(
                name=path.stem, config='carried by the weights', cfg_options=[],
                weights=str(path), weights_sha256=sha256,
                classes=model['classes'], share=share)
            assert f'{path.stem} (SHA-256 {sha256[:12]}..., share {share})' in text
        assert 'The model is an ensemble of 2: 0 (SHA-256 ' in text


def test_a_member_of_the_package_is_told_with_its_licence(tmp_path):
    name = default_model().name
    config = f'configs/sartorius/{name}.py'
    code, _, err = run_tool('ensemble', config, name, name, '--out', tmp_path / 'twice')
    assert code == 0, err
    source = find_source(tmp_path / 'twice')
    assert [each['weights'] for each in source.facts['members']] == [
        f'zoo://{name}/weights.safetensors'] * 2
    assert 'CC BY-NC' in source.facts['members'][0]['licence']
    assert [each['share'] for each in source.facts['members']] == [1, 1]


def test_files_of_different_images_are_joined(tested, tmp_path):
    saved = load_predictions(tested / '0.pkl')
    for number, image in enumerate(saved.images):
        save_predictions(tmp_path / f'{number}.pkl', [image], saved.classes, saved.postprocess)
    parts = [tmp_path / f'{number}.pkl' for number in (1, 2, 0)]
    code, _, err = run_tool('merge_predictions', *parts, '--join', '--out', tmp_path / 'all.pkl')
    assert code == 0, err
    joined = load_predictions(tmp_path / 'all.pkl')
    assert joined.postprocess == saved.postprocess
    for one, other in zip(joined.images, saved.images, strict=True):
        assert one.img_id == other.img_id
        assert_same(one.detections, other.detections)


@pytest.mark.parametrize(('change', 'options', 'message'), [
    (lambda saved: saved.images[:1], [], 'is in it or in'),
    (lambda saved: saved.images, ['--join'], 'is in .*0.pkl too, expected each image once'),
    (lambda saved: [replace(each, truth=each.truth[1:]) for each in saved.images], [],
     'found another size or truth'),
    (lambda saved: [replace(each, detections=replace(each.detections, mask_probs=None))
                    for each in saved.images], [], 'no soft masks'),
    (lambda saved: saved.images, ['--shares', '1'], '--shares: found 1.0, expected 2 numbers'),
    (lambda saved: saved.images, ['--iou-thr', '1'], '--iou-thr: found 1.0'),
    (lambda saved: saved.images, ['--join', '--shares', '1', '1'], '--join: found --shares too')])
def test_files_that_do_not_fit(tested, tmp_path, change, options, message):
    saved = load_predictions(tested / '0.pkl')
    save_predictions(tmp_path / 'other.pkl', change(saved), saved.classes)
    code, _, err = run_tool('merge_predictions', tested / '0.pkl', tmp_path / 'other.pkl',
                            '--out', tmp_path / 'm.pkl', *options)
    assert code == 2
    assert re.search(message, err)
    assert not (tmp_path / 'm.pkl').exists()


def test_a_member_without_a_config_is_built_by_the_one_given(data, members, tmp_path):
    content = torch.load(members[1], weights_only=False)
    del content['meta']['cfg']
    torch.save(content, tmp_path / 'bare.pth')
    code, _, err = run_tool(
        'ensemble', CONFIG, members[0], tmp_path / 'bare.pth', '--out', tmp_path / 'both',
        '--cfg-options', f'data_root={data}', *SMALL, 'model.test_cfg.rcnn.max_per_img=7')
    assert code == 0, err
    limits = [member.test_cfg.rcnn.max_per_img
              for member in load_config(str(tmp_path / 'both' / 'ensemble.py')).model.members]
    assert limits == [60, 7]


@pytest.mark.parametrize(('option', 'message'), [
    ('model.test_cfg.rcnn.score_thr=0.9', 'expected none of model: each member carries the config'),
    ('train_dataloader.batch_size=1', 'expected none of train_dataloader: an ensemble is not')])
def test_options_that_would_change_nothing(members, tmp_path, option, message):
    code, _, err = run_tool('ensemble', CONFIG, *members, '--out', tmp_path / 'out',
                            '--cfg-options', option)
    assert code == 2
    assert f'--cfg-options: found {option}, {message}' in err
    assert not (tmp_path / 'out').exists()


def test_a_training_or_a_member_is_not_replaced(data, members, ensemble, tmp_path):
    options = ['--cfg-options', f'data_root={data}', *SMALL_DATA]
    (tmp_path / 'last_checkpoint').write_text(str(members[0]))
    for weights, out, message in (
            (members, tmp_path, 'found last_checkpoint, which belongs to other weights'),
            ([ensemble, members[0]], ensemble, 'ensemble.pth, which the same command reads or')):
        before = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
        code, _, err = run_tool('ensemble', CONFIG, *weights, '--out', out, *options)
        assert (code, err.count('\n')) == (2, 1)
        assert message in err
        assert {path: path.read_bytes() for path in out.iterdir() if path.is_file()} == before


def test_members_that_do_not_fit(data, members, tmp_path):
    write_checkpoint(tmp_path / 'other.pth', 'test_pipeline.1.scale=(64,64)')
    for weights, message in (
            ([members[0]], 'found one member, expected two or more'),
            ([members[0], tmp_path / 'none.pth'], 'none.pth: no such file'),
            ([members[0], tmp_path / 'other.pth'], 'other.pth: found another test pipeline')):
        code, _, err = run_tool('ensemble', CONFIG, *weights, '--out', tmp_path / 'out',
                                '--cfg-options', f'data_root={data}')
        assert code == 2
        assert message in err
        assert not (tmp_path / 'out').exists()
