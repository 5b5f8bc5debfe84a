"""tools/predict.py: folders in, folders out, whatever happens in between."""
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import time
from datetime import datetime

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile

from mmsart import __version__
from mmsart.apis import inference, predict
from mmsart.formats.methods import read_methods
from mmsart.formats.names import OWN_FOLDER
from mmsart.formats.saving import SAVERS
from mmsart.postprocessing.config import OPTIONS
from tests.full_disk import largest_file
from tests.rendezvous import rendezvous
from tests.run_tool import run_tool

EVERYTHING = ','.join(SAVERS)
TILES = ('--tile', '128', '--overlap', '64')
FORK = multiprocessing.get_context('fork')  # spares the seconds of importing everything
RNG = np.random.default_rng(0)


@pytest.fixture(scope='module')
def weights(checkpoint):
    return checkpoint


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """One of each kind, one of them broken, one in a folder of its own."""
    root = tmp_path_factory.mktemp('images')
    (root / 'deeper').mkdir()
    cv2.imwrite(str(root / 'a.png'), RNG.integers(0, 256, (80, 90), dtype=np.uint8))
    cv2.imwrite(str(root / 'blanks and ä.jpg'), RNG.integers(0, 256, (64, 70, 3), dtype=np.uint8))
    cv2.imwrite(str(root / 'deeper' / 'a.png'), RNG.integers(0, 256, (60, 64), dtype=np.uint8))
    cv2.imwrite(str(root / 'large.png'), RNG.integers(0, 256, (150, 200), dtype=np.uint8))
    tifffile.imwrite(root / 'deep.tif', RNG.integers(0, 4096, (70, 64), dtype=np.uint16))
    tifffile.imwrite(root / 'stack.tif', RNG.integers(0, 4096, (4, 64, 72), dtype=np.uint16),
                     imagej=True, metadata={'axes': 'TYX', 'unit': 'um'}, resolution=(2, 2))
    (root / 'broken.png').write_bytes((root / 'a.png').read_bytes()[:2000])
    (root / 'notes.txt').write_text('no image')
    (root / '.hidden.png').write_text('no image')
    return root


def run(images, out, weights, *options):
    return run_tool('predict', *([images] if not isinstance(images, list) else images), '--out',
                    out, '--weights', weights, '--device', 'cpu', *TILES, *options)


def contents(out):
    """Read all result files; times differ from run to run."""
    found = {}
    for path in sorted(out.rglob('*')):
        name = path.relative_to(out).as_posix()
        if path.is_file() and not name.startswith(OWN_FOLDER):
            found[name] = path.read_bytes()
    table = pd.read_csv(out / 'summary.csv')
    found['summary.csv'] = table.drop(columns=['seconds', 'date']).to_csv()
    found['methods.json'] = read_methods(out)
    return found


@pytest.fixture(scope='module')
def whole(images, weights, tmp_path_factory):
    """The result of one run over all images."""
    out = tmp_path_factory.mktemp('whole') / 'out'
    code, printed, err = run(images, out, weights, '--recursive', '--save',
                             EVERYTHING)
    assert code == 3, err
    return out, printed, err


def test_a_folder_of_all_kinds(whole, images):
    out, printed, err = whole
    for stem in ('a', 'blanks and ä', 'deep', 'stack', 'deeper/a', 'large'):
        for ending in ('_cells.csv', '_masks.tif', '_rois.zip', '.geojson', '_coco.json'):
            assert (out / f'{stem}{ending}').is_file()
    errors = [line for line in err.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1
    assert str(images / 'broken.png') in errors[0]
    assert 'broken.png: failed' in printed.splitlines()
    assert '6 of 7 images, 1 failed: ' in printed.splitlines()[-1]
    table = pd.read_csv(out / 'summary.csv', index_col='image')
    assert list(table.index) == [
        'a.png', 'blanks and ä.jpg', 'broken.png', 'deep.tif', 'deeper/a.png', 'large.png',
        'stack.tif']
    assert table.loc['broken.png', 'status'].startswith('failed: ')
    assert (table['status'].drop('broken.png') == 'ok').all()
    assert table.loc['stack.tif', ['frames', 'pixel_size_um', 'pixel_size_source']].tolist() == [
        4, 0.5, 'ImageJ']
    for name in ('a.png', 'deep.tif', 'deeper/a.png'):
        masks = tifffile.imread(out / (name.rpartition('.')[0] + '_masks.tif'))
        assert masks.max() == table.loc[name, 'cells'] > 0
    rows = pd.read_csv(out / 'submission.csv')
    assert set(rows['id']) == {'a', 'blanks and ä', 'deep', 'deeper/a', 'large', *(
        f'stack_t0{t}' for t in range(4))}
    assert len(json.loads((out / 'coco.json').read_text())['images']) == 9
    assert 'grey values' in next(line for line in printed.splitlines() if 'deep.tif' in line)


def test_the_page_about_results_takes_the_folder(whole, tmp_path):
    """The predictions are their own truth, so that each image has a score of 1."""
    out, _, _ = whole
    page, truth = tmp_path / 'x.html', json.loads((out / 'coco.json').read_text())
    for annotation in truth['annotations']:
        del annotation['score']
    (tmp_path / 'truth.json').write_text(json.dumps(truth))
    code, printed, err = run_tool('report', out, '--out', page, '--truth', tmp_path / 'truth.json')
    assert code == 0, err
    assert printed == f'written: {page}\n'
    text = page.read_text()
    assert all(name in text for name in (
        'a.png', 'blanks and ä.jpg', 'broken.png', 'deep.tif', 'deeper/a.png', 'stack.tif'))
    assert '5 of 6 images have a truth' in text
    assert '<dt>mAP</dt><dd>1.000</dd>' in text


def test_killed_twice_and_resumed_gives_the_same_files(
        whole, images, weights, tmp_path, monkeypatch):
    """By a real signal, wherever it falls before the files of all images."""
    out = tmp_path / 'out'
    arguments = (images, out, weights, '--recursive', '--resume', '--save', EVERYTHING)
    for done in (1, 3):
        process = FORK.Process(target=run, args=arguments)
        with monkeypatch.context() as patch:  # else it may be through before it is hit
            patch.setattr(predict._Batch, 'finish', lambda self, images: signal.pause())
            process.start()
        while len(list(out.rglob('*_masks.tif'))) < done and process.is_alive():
            time.sleep(0.001)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert not (out / 'summary.csv').exists()
    code, printed, _ = run(*arguments)
    assert code == 3
    assert 'images are already done' in printed
    assert contents(out) == contents(whole[0])


def test_resume_does_again_what_was_done_otherwise(whole, images, weights, tmp_path, monkeypatch):
    out = tmp_path / 'out'
    shutil.copytree(whole[0], out)
    settings = ['--recursive', '--resume', '--save', EVERYTHING]
    code, printed, _ = run(images, out, weights, *settings)
    assert (code, '6 of 7 images are already done' in printed) == (3, True)
    (out / 'a_masks.tif').unlink()
    code, printed, _ = run(images, out, weights, *settings)
    assert '5 of 7 images are already done' in printed
    assert contents(out) == contents(whole[0])
    assert (out / 'methods.json').read_bytes() == (whole[0] / 'methods.json').read_bytes()
    code, printed, _ = run(images, out, weights, *settings, '--normalize', '0', '2000')
    assert 'already done' not in printed
    [method] = read_methods(out)
    assert (method['reading']['normalize'], len(method['images'])) == ([0, 2000], 7)


def test_a_result_says_how_it_was_made(whole, weights):
    [method] = read_methods(whole[0])
    table = pd.read_csv(whole[0] / 'summary.csv', index_col='image')
    assert method['images'] == ['a', 'blanks and ä', 'broken', 'deep', 'deeper/a', 'large', 'stack']
    assert method['mmsart'] == __version__
    assert method['model']['weights_sha256'] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert (method['model']['weights'], method['model']['config']) == (
        str(weights), 'carried by the weights')
    assert method['inference']['tiles'] == dict(
        largest_px=[128, 128], size_px=[128, 128], overlap_px=64)
    assert set(method['postprocessing']['settings']) == set(OPTIONS)
    assert table.loc[['a.png', 'blanks and ä.jpg', 'stack.tif'], 'axes'].tolist() == [
        'YX', 'YXS', 'TYX']
    assert table.loc['deep.tif', 'scaling'].startswith('percentiles')
    assert 0 <= table.loc['deep.tif', 'black'] < table.loc['deep.tif', 'white'] < 4096
    done = table.drop('broken.png')
    assert (done[['drawn_by_hand', 'changed_by_hand', 'removed_by_hand']] == 0).all(axis=None)
    assert done['date'].map(datetime.fromisoformat).is_monotonic_increasing


def test_methods_that_cannot_be_read_stop_a_batch(whole, images, weights, tmp_path):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'methods.json').write_text('[]')
    code, _, err = run(images / 'a.png', out, weights, '--resume', '--save', 'table')
    assert (code, 'methods.json: found no list of methods' in err) == (2, True)
    assert [path.name for path in out.iterdir()] == ['methods.json']
    assert run(images / 'a.png', out, weights, '--overwrite', '--save', 'table')[0] == 0


def test_a_folder_in_use_is_left_alone(images, weights, tmp_path):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'thesis.txt').write_text('do not lose')
    code, _, err = run(images, out, weights)
    assert code == 2
    assert 'expected an empty one, --resume or --overwrite' in err
    assert [path.name for path in out.iterdir()] == ['thesis.txt']


def test_overwrite_takes_its_own_files_away_and_no_others(images, weights, tmp_path):
    out = tmp_path / 'out'
    assert run(images / 'a.png', out, weights, '--save', 'labels,rois')[0] == 0
    (out / 'thesis.txt').write_text('do not lose')
    assert run(images / 'deep.tif', out, weights, '--overwrite', '--save', 'labels')[0] == 0
    assert sorted(path.name for path in out.iterdir()) == [
        '.mmsart', 'deep_masks.tif', 'methods.json', 'summary.csv', 'thesis.txt']


def test_results_are_no_images_of_the_next_batch(images, weights, tmp_path):
    """Neither by a pattern, nor by one that the shell has filled in, nor beside the images."""
    (tmp_path / 'plate_1').mkdir()
    shutil.copy(images / 'a.png', tmp_path / 'plate_1')
    for out, name, given in (
            (tmp_path / 'all', 'plate_1/a.png', lambda: [str(tmp_path / '**' / '*')]),
            (tmp_path / 'plate_all', 'a.png', lambda: sorted(tmp_path.glob('plate*/*.[pt]*')))):
        for _ in range(2):
            assert run(given(), out, weights, '--save', 'overlay,labels', '--resume')[0] == 0
            assert pd.read_csv(out / 'summary.csv')['image'].tolist() == [name]
        shutil.move(out, tmp_path / 'done' / out.name)
    again = tmp_path / 'done' / 'plate_again'
    shutil.copy(images / 'a.png', tmp_path / 'done' / 'b.png')  # two batches are there already
    assert run(tmp_path / 'done', again, weights, '--recursive', '--save', 'labels')[0] == 0
    assert pd.read_csv(again / 'summary.csv')['image'].tolist() == ['b.png']
    out = tmp_path / 'done' / 'plate_all'
    code, _, err = run(out / 'a_overlay.png', out, weights, '--resume')
    assert (code, 'a_overlay.png: found a result of an earlier batch' in err) == (2, True)
    code, _, err = run(tmp_path / 'plate_1', tmp_path / 'plate_1', weights, '--overwrite')
    assert (code, 'expected another one for the results' in err) == (2, True)


@pytest.mark.parametrize('record', [
    '[]', '{"files": 5}', '{"files": [5], "row": {}}', '{"files": []}', '[' * 100_000])
def test_a_record_of_other_content_is_none(images, weights, tmp_path, record):
    out = tmp_path / 'out'
    (out / OWN_FOLDER).mkdir(parents=True)
    for option in ('--resume', '--overwrite'):
        (out / OWN_FOLDER / 'a.json').write_text(record)
        code, printed, err = run(images / 'a.png', out, weights, option, '--save', 'table')
        assert code == 0, err
        assert 'already done' not in printed
        assert json.loads((out / OWN_FOLDER / 'a.json').read_text())['files']


def test_no_result_is_left_that_no_record_names(images, weights, tmp_path, monkeypatch):
    out, image = tmp_path / 'out', tmp_path / 'a.png'
    shutil.copy(images / 'a.png', image)

    def files_after(code, *options):
        assert run(image, out, weights, *options)[0] == code
        return {path.name for path in out.iterdir()} - {
            OWN_FOLDER, 'summary.csv', 'methods.json'}

    assert files_after(0, '--save', 'table,labels,overlay') == {
        'a_cells.csv', 'a_masks.tif', 'a_overlay.png'}
    assert files_after(0, '--save', 'table,labels', '--resume') == {'a_cells.csv', 'a_masks.tif'}
    with monkeypatch.context() as patch:
        patch.setattr(predict, 'write_previews', lambda *_: 1 / 0)
        assert files_after(3, '--save', 'rois,labels', '--resume') == set()
    assert files_after(0, '--save', 'table', '--resume') == {'a_cells.csv'}
    image.write_bytes(image.read_bytes()[:2000])
    assert files_after(3, '--save', 'table', '--resume') == set()
    assert not list((out / OWN_FOLDER).glob('*.jpg'))


def test_resume_keeps_the_results_of_other_images(images, weights, tmp_path):
    """Such as those of the day before, when pictures had the same names."""
    out, days = tmp_path / 'out', [tmp_path / 'day1', tmp_path / 'day2']
    for day, names in zip(days, ('ab', 'ac'), strict=True):
        day.mkdir()
        for name in names:
            shutil.copy(images / 'a.png', day / f'{name}.png')
    assert run(days[0], out, weights, '--save', 'table')[0] == 0
    before = contents(out)
    code, _, err = run(days[1], out, weights, '--save', 'table', '--resume')
    assert (code, err.count('\n')) == (2, 1)
    assert (f'{days[1] / "a.png"}: found results of {days[0] / "a.png"} under the name a in {out}, '
            'expected the same pictures to --resume, or another --out') in err
    assert contents(out) == before
    code, printed, _ = run(days[1] / 'c.png', out, weights, '--save', 'table', '--resume')
    assert (code, pd.read_csv(out / 'summary.csv')['stem'].tolist()) == (0, ['c'])
    assert f'2 more images, such as a, have results in {out} of an earlier time' in printed
    assert (out / 'b_cells.csv').read_bytes() == before['b_cells.csv']
    assert [each['images'] for each in read_methods(out)] == [['c', 'a', 'b']]
    assert run(days[1] / 'c.png', out, weights, '--save', 'table', '--resume', '--pixel-size',
               '0.5')[0] == 0
    assert [(each['images'], each['reading']['pixel_size']) for each in read_methods(out)] == [
        (['c'], 0.5), (['a', 'b'], None)]
    (days[0] / 'a.png').rename(days[0] / 'moved.png')
    assert run(days[1], out, weights, '--save', 'table', '--resume')[0] == 0


def test_resume_leaves_no_results_under_an_earlier_name(images, weights, tmp_path):
    """A picture beside another one of its name keeps its ending."""
    out, folder = tmp_path / 'out', tmp_path / 'in'
    folder.mkdir()
    shutil.copy(images / 'a.png', folder)
    assert run(folder, out, weights, '--save', 'table')[0] == 0
    cv2.imwrite(str(folder / 'a.jpg'), np.full((64, 64), 90, np.uint8))
    assert run(folder, out, weights, '--save', 'table', '--resume')[0] == 0
    assert {path.name for path in out.glob('*_cells.csv')} == {'a_png_cells.csv', 'a_jpg_cells.csv'}
    assert {path.stem for path in (out / OWN_FOLDER).glob('*.json')} == {'a_png', 'a_jpg'}


def test_resume_keeps_the_results_of_two_links_to_one_file(images, weights, tmp_path):
    out, folder = tmp_path / 'out', tmp_path / 'in'
    folder.mkdir()
    for name in ('b', 'c'):
        (folder / f'{name}.png').symlink_to(images / 'a.png')
    for _ in range(2):
        code, printed, _ = run(folder, out, weights, '--save', 'table', '--resume')
        assert code == 0
    assert '2 of 2 images are already done' in printed


@pytest.mark.parametrize('place', ['reading', 'writing'])
def test_a_defect_that_one_image_shows_does_not_end_the_others(weights, tmp_path, monkeypatch,
                                                               place):
    for name in 'abc':
        cv2.imwrite(str(tmp_path / f'{name}.png'), np.full((64, 64), 90, np.uint8))
    module, name = {'reading': (inference, '_OpenImage'),
                    'writing': (predict, 'summarize_image')}[place]
    right = getattr(module, name)

    def fail_for_b(image, *others):
        if (image.name or '').startswith('b'):
            raise ZeroDivisionError('of nobody')
        return right(image, *others)

    monkeypatch.setattr(module, name, fail_for_b)
    code, printed, err = run([tmp_path], tmp_path / 'out', weights)
    assert code == 3
    assert 'b.png: failed' in printed
    assert err.count('Traceback') == 1
    assert 'in fail_for_b' in err
    assert err.splitlines()[-1] == (
        'error: b.png: found an unforeseen ZeroDivisionError: of nobody')
    assert pd.read_csv(tmp_path / 'out' / 'summary.csv').status.tolist() == [
        'ok', 'failed: b.png: found an unforeseen ZeroDivisionError: of nobody', 'ok']


@pytest.mark.parametrize('formats', ['outlines', 'table'])
def test_a_full_disk_ends_the_batch_and_blames_no_image(images, weights, tmp_path, formats):
    """Whether it is met by a picture of the formats or by a preview."""
    with largest_file(8_000):  # of which the pictures of noise take more
        code, _, err = run([images / 'large.png', images / 'a.png'], tmp_path, weights,
                           '--save', formats)
    assert (code, err) == (
        2, 'error: File too large, expected room for what is written or printed\n')
    assert [path.name for path in tmp_path.rglob('*.json')] == ['methods.json']  # no record
    assert run([images / 'large.png'], tmp_path, weights, '--save', formats, '--resume')[0] == 0


def test_names_of_any_bytes(weights, tmp_path):
    folder = os.fsencode(tmp_path)
    for name in (b'10 \xb5m.png', b'a\nb.png', b'c' * 240 + b'.png'):
        with open(os.path.join(folder, name), 'wb') as file:
            file.write(cv2.imencode('.png', np.full((64, 64), 90, np.uint8))[1].tobytes())
    with open(os.path.join(folder, b'broken \xb5m.png'), 'wb'):
        pass
    out = tmp_path / 'out'
    for _ in range(2):
        code, printed, err = run([tmp_path], out, weights, '--save', EVERYTHING, '--resume')
        assert code == 3
        assert 'found an empty file' in err
    assert '3 of 4 images are already done' in printed
    table = pd.read_csv(out / 'summary.csv')
    assert table.image.tolist() == [
        '10 µm.png', 'a\nb.png', 'broken µm.png', 'c' * 240 + '.png']
    assert (table.status == 'ok').sum() == 3
    assert 'broken µm.png' in table.status[2]
    assert all((out / f'{stem}_outlines.png').is_file() for stem in table.stem.dropna())


def test_patterns_and_several_inputs(images, weights, tmp_path):
    code, _, err = run([str(images / '*.tif'), str(images / 'a.png'), str(images / 'a.png')],
                       tmp_path / 'out', weights, '--save', 'labels', '--quiet')
    assert code == 0, err
    assert pd.read_csv(tmp_path / 'out' / 'summary.csv')['image'].tolist() == [
        'deep.tif', 'stack.tif', 'a.png']


def test_files_that_differ_in_their_ending_keep_it(weights, tmp_path):
    for name in ('a.png', 'a.bmp', 'b.png'):
        cv2.imwrite(str(tmp_path / name), RNG.integers(0, 256, (40, 40), dtype=np.uint8))
    assert run(tmp_path, tmp_path / 'out', weights, '--save', 'labels')[0] == 0
    assert {path.name for path in (tmp_path / 'out').glob('*.tif')} == {
        'a_png_masks.tif', 'a_bmp_masks.tif', 'b_masks.tif'}


def test_every_image_of_a_file_with_several(weights, tmp_path):
    with tifffile.TiffWriter(tmp_path / 'a.tif') as writer:
        writer.write(RNG.integers(0, 256, (40, 40), dtype=np.uint8))
        writer.write(RNG.integers(0, 256, (40, 50), dtype=np.uint8))
    code, _, err = run(tmp_path / 'a.tif', tmp_path / 'out', weights, '--save', 'labels')
    assert (code, '--series all' in err) == (3, True)
    code, _, err = run(tmp_path / 'a.tif', tmp_path / 'out', weights, '--save', 'labels',
                       '--series', 'all', '--overwrite')
    assert code == 0, err
    assert tifffile.imread(tmp_path / 'out' / 'a_s1_masks.tif').shape == (40, 50)
    assert pd.read_csv(tmp_path / 'out' / 'summary.csv')['image'].tolist() == ['a.tif#0', 'a.tif#1']


@pytest.mark.parametrize(('options', 'message'), [
    (['--save', 'table,painting'], '--save: found painting, expected one or more of table'),
    (['--normalize', '5', '2'], '--normalize: found 5 2, expected numbers LO below HI'),
    (['--normalize', '0', 'inf'], '--normalize: found 0 inf, expected numbers LO below HI'),
    (['--pixel-size', '0'], '--pixel-size: found 0, expected 0.0001 to 1e+06 micrometres'),
    (['--pixel-size', '1e-300'], '--pixel-size: found 1e-300, expected 0.0001 to 1e+06'),
    (['--axes', 'QQ'], "--axes: found 'QQ', expected letters of T (times), Z (depths)"),
    (['--save', 'rois', '--cellprofiler'], '--cellprofiler: found --save rois, expected table in'),
    (['--save', 'table,rois', '--numbers'], '--numbers: found --save table,rois, expected outl'),
    (['--device', 'meta'], "--device: found 'meta', expected cpu or an available GPU"),
    (['--normalize', 'a', 'b'], '--normalize: found a b, expected two numbers LO HI or none'),
    (['--series', 'x'], "--series: found 'x', expected a number from 0 or all"),
    (['--device', 'abacus'], '--device: found'),
    (['--batch-size', '0'], '--batch-size: found 0')])
def test_wrong_options_write_nothing(images, weights, tmp_path, options, message):
    code, _, err = run(images / 'a.png', tmp_path / 'out', weights, *options)
    assert code == 2
    assert message in err
    assert not list(tmp_path.rglob('*.*'))


@pytest.mark.parametrize(('count', 'rest'), [('2', {}), ('x', {}), ('2', dict(RANK='0'))])
def test_a_clusters_variables_are_no_torchrun(
        images, weights, tmp_path, monkeypatch, count, rest):
    for name, value in dict(rest, WORLD_SIZE=count).items():
        monkeypatch.setenv(name, value)
    code, _, err = run(images / 'a.png', tmp_path / 'out', weights)
    assert (code, err.count('\n')) == (2, 1)
    assert f"WORLD_SIZE: found '{count}' in the environment without " in err
    assert not (tmp_path / 'out').exists()


def test_nothing_to_look_at(weights, tmp_path):
    (tmp_path / 'empty').mkdir()
    for given, message in ((tmp_path / 'none', 'no such file or folder'),
                           (tmp_path / 'empty', 'found no image'),
                           (tmp_path / '*.png', 'found no image')):
        code, _, err = run(given, tmp_path / 'out', weights)
        assert code == 2
        assert message in err


def test_shares_of_several_processes(whole, images, weights, tmp_path):
    """As torchrun starts them; the first writes what belongs to all."""
    def share(rank, meeting):
        os.environ.update(meeting, RANK=str(rank))
        code, _, _ = run(images, tmp_path / 'out', weights, '--recursive', '--save', EVERYTHING)
        raise SystemExit(code)

    with rendezvous() as meeting:
        processes = [FORK.Process(target=share, args=(rank, meeting)) for rank in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(300)
    assert [process.exitcode for process in processes] == [3, 0]  # one voice is enough
    assert contents(tmp_path / 'out') == contents(whole[0])
