"""From generated data to a score by the tools that users call."""
import json
import shutil
from collections import Counter

import cv2
import numpy as np
import pytest
import torch

from mmsart.apis import checks
from mmsart.formats.predictions import load_predictions, save_predictions
from mmsart.postprocessing import PostProcessor
from mmsart.utils.locks import locked
from tests.run_tool import ROOT, run_tool
from tests.sample_data import write_sample
from tests.test_apis.tiny_model import CONFIG, MODEL

SMALL = [
    *MODEL, 'model.test_cfg.rcnn.max_per_img=50', 'train_cfg.stages.0.max_epochs=1',
    'train_cfg.stages.1.max_epochs=2', 'train_cfg.val_interval=1', 'train_cfg.val_begin=1',
    'train_dataloader.num_workers=0', 'default_hooks.logger.interval=1',
    'default_hooks.checkpoint.max_keep_ckpts=5']


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_sample(tmp_path_factory.mktemp('sample') / 'data', 15)


@pytest.fixture(scope='module')
def trained(data, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('run')
    code, _, err = run_tool('train', CONFIG, '--work-dir', str(work_dir), '--cfg-options',
                            f'data_root={data}', *SMALL)
    assert code == 0, err
    return work_dir


def test_training_leaves_what_users_look_for(trained):
    names = {path.name for path in trained.iterdir()}
    assert {'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth', 'last_checkpoint',
            'maskrcnn_r18_two_stage.py'} <= names
    assert 'postprocess.json' not in names  # which the tuner alone writes
    assert any(name.startswith('best_sartorius_mAP') for name in names)
    scalars = next(trained.glob('*/vis_data/scalars.json')).read_text().splitlines()
    validations = [json.loads(line) for line in scalars if 'sartorius/mAP' in line]
    assert len(validations) == 3


def test_a_training_without_validation(data, tmp_path):
    """mmengine's way: the three parts of a validation are None."""
    path = tmp_path / 'blind.py'
    path.write_text(f'_base_ = {str(ROOT / CONFIG)!r}\n'
                    'val_dataloader = val_cfg = val_evaluator = None\n')
    options = [option for option in SMALL if not option.startswith('val_')]
    code, out, err = run_tool('train', path, '--work-dir', tmp_path / 'run', '--cfg-options',
                              f'data_root={data}', *options)
    assert code == 0, err
    assert {each.name for each in (tmp_path / 'run').glob('*.pth')} == {
        'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth'}
    assert f'trained: {tmp_path}/run/epoch_3.pth' in out


def test_test_and_submission_score_the_same(data, trained, tmp_path):
    code, out, err = run_tool(
        'test', CONFIG, str(trained / 'epoch_3.pth'), '--work-dir', str(tmp_path / 'test'),
        '--submission', str(tmp_path / 's.csv'), '--out', str(tmp_path / 'p.pkl'),
        '--cfg-options', f'data_root={data}', *SMALL)
    assert code == 0, err
    tested = next(line for line in out.splitlines() if line.startswith('sartorius/mAP: '))
    code, out, err = run_tool('score_submission', '--truth', str(data / 'train.csv'),
                              '--submission', str(tmp_path / 's.csv'), '--json')
    assert code == 0, err
    scores = json.loads(out)
    assert f'{scores["mAP"]:.6f}' == tested.split(': ')[1]
    assert scores['images'] == 3
    assert scores['FP'] > 0  # the untrained model does predict
    code, _, err = run_tool('check_submission', str(tmp_path / 's.csv'), '--size', '96', '96')
    assert code == 0, err


def test_masks_in_true_boxes_and_the_table_of_what_each_part_costs(data, trained, tmp_path):
    for name, *options in (('p.pkl',), ('t.pkl', '--true-boxes')):
        code, _, err = run_tool(
            'test', CONFIG, str(trained / 'epoch_3.pth'), '--work-dir', str(tmp_path / 'test'),
            '--out', str(tmp_path / name), *options, '--cfg-options', f'data_root={data}', *SMALL)
        assert code == 0, err
    saved = load_predictions(tmp_path / 't.pkl')
    for image in saved.images:
        np.testing.assert_array_equal(image.detections.bboxes, image.truth.boxes)
        assert {saved.classes[label] for label in image.detections.labels} == {image.cell_type}
    table = 'analysis_tools/oracle', str(tmp_path / 'p.pkl')
    code, out, err = run_tool(*table, '--true-boxes', str(tmp_path / 't.pkl'),
                              '--json', str(tmp_path / 'o.json'))
    assert code == 0, err
    scores = json.loads((tmp_path / 'o.json').read_text())
    assert scores['truth without overlap']['mAP'] > 0.9 > scores['as it is']['mAP']
    assert len(out.splitlines()) == len(scores) + 2
    save_predictions(tmp_path / 'few.pkl', saved.images[:1], saved.classes)
    code, _, err = run_tool(*table, '--true-boxes', str(tmp_path / 'few.pkl'))
    assert code == 2
    assert 'few.pkl: found 1 images, expected the 3 of' in err
    code, _, err = run_tool('test', CONFIG, str(trained / 'epoch_3.pth'), '--true-boxes',
                            '--images', str(data / 'train'), '--work-dir', str(tmp_path / 'test'))
    assert code == 2
    assert '--true-boxes: found --images too' in err


def test_a_folder_of_images_gives_one_answer_in_every_form(data, trained, tmp_path):
    """The cells that are printed, submitted and drawn are the same, without an option."""
    code, out, err = run_tool(
        'test', CONFIG, str(trained), '--images', str(data / 'test'), '--work-dir',
        str(tmp_path / 'w'), '--submission', str(tmp_path / 's.csv'),
        '--out', str(tmp_path / 'p.pkl'), '--show-dir', str(tmp_path / 'shown'), '--cfg-options',
        f'data_root={data}', *SMALL, 'val_evaluator.postprocess.min_area=30')
    assert code == 0, err
    assert 'nothing is written' not in err
    submitted = Counter(line.split(',')[0] for line in (
        tmp_path / 's.csv').read_text().splitlines()[1:] if not line.endswith(','))
    images = [path.stem for path in sorted((data / 'test').iterdir())]
    assert [line for line in out.splitlines() if ' cell' in line] == [
        f'{image}: {submitted[image]} cell' + 's' * (submitted[image] != 1) for image in images]
    assert sum(submitted.values()) > 0
    assert sorted(path.name for path in (tmp_path / 'shown').iterdir()) == [
        f'{image}.png' for image in images]
    saved = load_predictions(tmp_path / 'p.pkl')
    process = PostProcessor(saved.classes, **saved.postprocess)
    assert [len(process(image.detections)) for image in saved.images] == [
        submitted[image] for image in images]
    (tmp_path / 'same.json').write_text(json.dumps(saved.postprocess))
    (tmp_path / 'other.json').write_text('{}')
    pictures = {}
    for name in (None, 'same', 'other'):
        folder = tmp_path / f'pictures_{name}'
        code, _, err = run_tool(
            'analysis_tools/show_predictions', str(tmp_path / 'p.pkl'), '--images',
            str(data / 'test'), '--all', '--out', str(folder),
            *(['--postprocess', str(tmp_path / f'{name}.json')] if name else []))
        assert code == 0, err
        pictures[name] = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert pictures[None] == pictures['same'] != pictures['other']
    code, _, err = run_tool(
        'check_submission', str(tmp_path / 's.csv'), '--images', str(data / 'test'))
    assert code == 0, err


def test_a_folder_without_an_output_counts_and_says_which_there_are(data, trained, tmp_path):
    code, out, err = run_tool(
        'test', CONFIG, str(trained), '--images', str(data / 'test'), '--work-dir',
        str(tmp_path / 'w'), '--cfg-options', f'data_root={data}', *SMALL)
    assert code == 0, err
    assert len([line for line in out.splitlines() if ' cell' in line]) == 3
    assert '--submission FILE.csv, --out FILE.pkl or --show-dir DIR' in err.splitlines()[-1]


def test_broken_images_of_a_folder_do_not_cost_the_others(data, trained, tmp_path):
    """A file cut off, damage inside, a broken link, too many bits: named, and the rest goes on."""
    folder = tmp_path / 'images'
    shutil.copytree(data / 'test', folder)
    whole = (folder / sorted(path.name for path in folder.iterdir())[0]).read_bytes()
    (folder / 'x_cut.png').write_bytes(whole[:-100])
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    (folder / 'y_damaged.png').write_bytes(damaged)
    (folder / 'z_link.png').symlink_to('nowhere.png')
    cv2.imwrite(str(folder / 'a_deep.tif'), np.zeros((96, 96), np.uint16))
    code, out, err = run_tool(
        'test', CONFIG, str(trained), '--images', str(folder), '--work-dir',
        str(tmp_path / 'w'), '--submission', str(tmp_path / 's.csv'), '--cfg-options',
        f'data_root={data}', *SMALL)
    assert code == 3
    assert len([line for line in out.splitlines() if ' cell' in line]) == 3
    errors = [line for line in err.splitlines() if line.startswith('error: ')]
    assert [line.split(':')[1].strip() for line in errors] == [
        str(folder / name) for name in ('a_deep.tif', 'x_cut.png', 'y_damaged.png', 'z_link.png')]
    code, _, err = run_tool(
        'check_submission', str(tmp_path / 's.csv'), '--images', str(data / 'test'))
    assert code == 0, err  # each of the others is in the file


def test_a_folder_of_broken_images_alone_is_refused(data, trained, tmp_path):
    (tmp_path / 'images').mkdir()
    for name in ('a.png', 'b.png'):
        (tmp_path / 'images' / name).write_bytes(b'no image')
    code, _, err = run_tool(
        'test', CONFIG, str(trained), '--images', str(tmp_path / 'images'), '--work-dir',
        str(tmp_path / 'w'), '--submission', str(tmp_path / 's.csv'), '--cfg-options',
        f'data_root={data}', *SMALL)
    assert code == 2
    assert err.count('error: ') == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ['images']


def test_a_run_cut_off_resumes_to_the_same_weights(data, trained, tmp_path):
    work_dir = tmp_path / 'cut'
    shutil.copytree(trained, work_dir)
    (work_dir / 'epoch_3.pth').unlink()
    (work_dir / 'last_checkpoint').write_text(str(work_dir / 'epoch_2.pth'))
    # The weights that the run began with may be gone by then.
    code, _, err = run_tool('train', CONFIG, '--work-dir', str(work_dir), '--resume',
                            '--cfg-options', f'data_root={data}', 'load_from=/gone.pth', *SMALL)
    assert code == 0, err
    states = [torch.load(folder / 'epoch_3.pth', weights_only=False)['state_dict']
              for folder in (trained, work_dir)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_a_run_does_not_resume_with_other_rates(data, trained):
    before = sorted((path, path.stat().st_mtime_ns) for path in trained.rglob('*'))
    code, _, err = run_tool(
        'train', CONFIG, '--work-dir', str(trained), '--resume', '--cfg-options',
        f'data_root={data}', *SMALL, 'train_cfg.stages.1.optim_wrapper.optimizer.lr=0.5')
    assert code == 2
    assert 'train_cfg.stages[1].optim_wrapper.optimizer.lr: 0.5 in the config, ' in err
    assert sorted((path, path.stat().st_mtime_ns) for path in trained.rglob('*')) == before


def contents(folder):
    return sorted((path, path.stat().st_mtime_ns) for path in folder.rglob('*'))


@pytest.mark.parametrize(('arguments', 'message'), [
    ([], 'found a training already (epoch_1.pth), expected --resume to go on with it, --overwrite'),
    (['--resume', '--overwrite'], '--overwrite: found --resume too, expected one of them'),
    (['--resume', 'OTHER'], 'epoch_1.pth), expected that of OTHER, or another --work-dir'),
    (['--resume', 'BROKEN'], 'BROKEN: expected a checkpoint, found a file that cannot be read'),
    (['--resume', '--cfg-options', 'model.neck.out_channels=24'], 'found shape'),
    (['--resume', 'WITHIN', '--cfg-options', 'train_dataloader.batch_size=2'],
     'within an epoch of 3 batches, this run has 6'),
    (['--resume', '--cfg-options', "visualizer.vis_backends=[{'type': 'WandbVisBackend'}]"],
     "found 'WandbVisBackend', expected its package wandb to be installed")])
def test_a_refused_run_changes_nothing(data, trained, tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr(checks, 'find_spec', lambda name: None if name == 'wandb' else True)
    (tmp_path / 'other').mkdir()
    shutil.copy(trained / 'epoch_1.pth', tmp_path / 'other')
    work_dir = tmp_path / 'run'
    shutil.copytree(trained, work_dir)
    (work_dir / 'broken.pth').write_bytes((trained / 'epoch_1.pth').read_bytes()[:1000])
    content = torch.load(work_dir / 'epoch_2.pth', weights_only=False)
    content['stage_state']['batch'] = 1
    torch.save(content, work_dir / 'within.pth')
    places = {'OTHER': tmp_path / 'other/epoch_1.pth', 'BROKEN': work_dir / 'broken.pth',
              'WITHIN': work_dir / 'within.pth'}
    before = contents(work_dir)
    # The options of one group, the last of which counts where a key is given twice.
    options, _, more = ' '.join(arguments).partition('--cfg-options')
    code, _, err = run_tool(
        'train', CONFIG, '--work-dir', str(work_dir),
        *[str(places.get(word, word)) for word in options.split()],
        '--cfg-options', f'data_root={data}', *SMALL, *([more.strip()] if more else []))
    assert code == 2
    line, = [line for line in err.splitlines() if line.startswith('error: ')]
    for name, place in places.items():
        message = message.replace(name, str(place))
    assert message in line
    assert contents(work_dir) == before


def test_two_trainings_at_once_in_one_folder(data, trained, tmp_path):
    with locked(tmp_path, 'training'):
        before = contents(tmp_path)
        code, _, err = run_tool('train', CONFIG, '--work-dir', str(tmp_path), '--cfg-options',
                                f'data_root={data}', *SMALL)
        assert contents(tmp_path) == before
    assert code == 2
    assert f'{tmp_path}: found another training there (process ' in err


def test_a_training_in_the_place_of_another(data, trained, tmp_path):
    """The best of the old run and the settings tuned for it must not be taken for its own."""
    work_dir = tmp_path / 'run'
    shutil.copytree(trained, work_dir)
    old = work_dir / 'best_sartorius_mAP_epoch_99.pth'
    for name in (old.name, 'postprocess.json', 'notes.txt'):
        (work_dir / name).write_text('{}')
    code, _, err = run_tool(
        'train', CONFIG, '--work-dir', str(work_dir), '--overwrite', '--cfg-options',
        f'data_root={data}', *SMALL, 'train_cfg.stages.1.max_epochs=1')
    assert code == 0, err
    assert not old.exists()
    assert not (work_dir / 'postprocess.json').exists()
    assert not (work_dir / 'epoch_3.pth').exists()
    assert not (work_dir / '.lock').exists()
    assert (work_dir / 'notes.txt').exists()
    assert len(list(work_dir.glob('*/vis_data'))) == 1


@pytest.mark.parametrize(('arguments', 'message'), [
    (['train', 'none.py'], 'none.py: no such file, expected a config'),
    (['train', CONFIG, '--cfg-options', 'data_root=/nowhere'], '/nowhere/train: no such folder'),
    (['train', CONFIG, '--cfg-options', 'oops'], "--cfg-options: found 'oops', expected KEY=VALUE"),
    (['train', CONFIG, '--cfg-options', 'split=[1,2'], 'brackets do not match'),
    (['train', CONFIG, '--cfg-options', 'modle.depth=18'], 'found modle.depth, expected a key'),
    (['train', CONFIG, '--cfg-options', 'train_cfg.stages.9.max_epochs=1'],
     'train_cfg.stages.9.max_epochs=1 does not fit'),
    (['train', CONFIG, '--cfg-options', 'data_root=DATA', 'train_dataloader.dataset.subst=all'],
     'train_dataloader.dataset: TypeError'),
    (['train', CONFIG, '--cfg-options', 'data_root=DATA', 'train_dataloader.batch_size=abc'],
     "train_dataloader.batch_size: found 'abc', expected a whole number"),
    (['train', CONFIG, '--cfg-options', 'data_root=DATA', 'model.backbone.depth=17'],
     'model: KeyError'),
    (['train', CONFIG, '--resume', 'DATA/train.csv', '--cfg-options', 'data_root=DATA'],
     'DATA/train.csv: '),
    (['train', CONFIG, '--cfg-options', 'data_root=DATA', 'load_from=DATA/train.csv'],
     'DATA/train.csv: expected a checkpoint, found a file that cannot be read'),
    (['train', CONFIG, '--cfg-options', 'data_root=DATA', 'model.roi_head.bbox_head.num_classes=4',
      'model.roi_head.mask_head.num_classes=4'],
     'model.roi_head.bbox_head.num_classes: found 4, expected 3 (shsy5y, astro, cort)'),
    (['test', CONFIG, 'none.pth'], 'none.pth: no such file, expected a checkpoint'),
    (['score_submission', '--truth', 'none.csv', '--submission', 'x.csv'],
     'none.csv: no such file'),
])
def test_wrong_input_gets_one_line_and_code_2(data, tmp_path, arguments, message):
    arguments = [each.replace('DATA', str(data)) for each in arguments]
    message = message.replace('DATA', str(data))
    code, _, err = run_tool(*arguments, cwd=tmp_path)
    lines = [line for line in err.splitlines() if line.startswith('error: ')]
    assert code == 2
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / 'work_dirs').exists()  # nothing half-written
