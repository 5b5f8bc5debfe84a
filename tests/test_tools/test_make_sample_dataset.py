import os
import stat

import cv2
import numpy as np
import pandas as pd
import pytest

from mmsart.datasets.classes import CLASSES
from mmsart.datasets.synthetic import sample_folder
from mmsart.datasets.train_csv import read_train_csv
from tools.dataset_converters.make_sample_dataset import main

SMALL = ('--size', '64', '80', '--test', '2', '--unlabelled', '1')
COLUMNS = ['id', 'annotation', 'width', 'height', 'cell_type', 'plate_time', 'sample_date',
           'sample_id', 'elapsed_timedelta']


def contents(folder):
    return {path.relative_to(folder): path.read_bytes()
            for path in folder.rglob('*') if path.is_file()}


def test_layout(tmp_path, capsys):
    out = tmp_path / 'data'
    assert main([str(out), '--images', '8', *SMALL]) == 0
    frame = pd.read_csv(out / 'train.csv', dtype=str, keep_default_na=False)
    assert list(frame.columns) == COLUMNS
    assert (frame != '').all(axis=None)
    table = read_train_csv(out / 'train.csv')
    assert len(table) == 8
    assert all(len(name) == 12 and int(name, 16) >= 0 for name in table.image_ids)
    assert {path.stem for path in (out / 'train').iterdir()} == set(table.image_ids)
    assert set(table.cell_types) == set(CLASSES)
    assert cv2.imread(str(next((out / 'train').iterdir())), cv2.IMREAD_UNCHANGED).shape == (64, 80)
    assert len(list((out / 'train_semi_supervised').iterdir())) == 1
    submission = pd.read_csv(out / 'sample_submission.csv')
    assert sorted(submission['id']) == sorted(p.stem for p in (out / 'test').iterdir())
    assert '8 labelled images' in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ['data']


@pytest.mark.parametrize('umask', [0o022, 0o077])
def test_the_folder_is_for_whom_the_umask_admits(tmp_path, monkeypatch, umask):
    before = os.umask(umask)
    try:
        with monkeypatch.context() as patch:
            patch.delattr(os, 'umask')  # to ask for it would change it for other threads too
            assert main([str(tmp_path / 'data'), '--images', '1', *SMALL]) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / 'data').stat().st_mode) == 0o777 & ~umask


def test_images_share_fields_of_view(tmp_path):
    assert main([str(tmp_path / 'data'), '--images', '12', *SMALL]) == 0
    table = read_train_csv(tmp_path / 'data/train.csv')
    fields, images = np.unique(table.sample_ids, return_counts=True)
    assert 1 < len(fields) < 12
    assert images.max() > 1
    frame = pd.read_csv(tmp_path / 'data/train.csv')
    first = frame.groupby('id').first()
    times = first.groupby('sample_id')['elapsed_timedelta']
    assert (times.nunique() == times.size()).all()


def test_same_seed_same_files(tmp_path):
    for name, seed in (('a', '1'), ('b', '1'), ('c', '2')):
        main([str(tmp_path / name), '--images', '3', '--seed', seed, *SMALL])
    assert contents(tmp_path / 'a') == contents(tmp_path / 'b')
    assert contents(tmp_path / 'a').keys() != contents(tmp_path / 'c').keys()


def test_types_and_dense(tmp_path):
    main([str(tmp_path / 'data'), '--images', '2', '--types', 'cort', '--dense', *SMALL])
    table = read_train_csv(tmp_path / 'data/train.csv')
    assert sorted(table.cell_types) == ['cort', 'cort', 'shsy5y']


def test_a_filled_folder_is_kept(tmp_path, capsys):
    (tmp_path / 'train.csv').write_text('mine')
    assert main([str(tmp_path), '--images', '1', *SMALL]) == 2
    assert 'the folder is not empty' in capsys.readouterr().err
    assert contents(tmp_path).keys() == {(tmp_path / 'train.csv').relative_to(tmp_path)}


def test_force_replaces_a_data_set_but_nothing_else(tmp_path, capsys):
    out = tmp_path / 'data'
    main([str(out), '--images', '2', *SMALL])
    assert main([str(out), '--images', '1', '--force', *SMALL]) == 0
    assert len(read_train_csv(out / 'train.csv')) == 1
    for name in ('thesis.tex', 'train/mine.png'):
        (out / name).write_text('mine')
        before = contents(out)
        assert main([str(out), '--images', '1', '--force', *SMALL]) == 2
        assert f'data: holds {name}, which' in capsys.readouterr().err
        assert contents(out) == before
        (out / name).unlink()


def test_force_replaces_no_real_data_of_the_same_layout(tmp_path, capsys):
    out = tmp_path / 'data'
    main([str(out), '--images', '1', *SMALL])
    (out / 'generated.txt').unlink()
    before = contents(out)
    assert main([str(out), '--images', '1', '--force', *SMALL]) == 2
    assert 'data: found no generated.txt, as generated data have it' in capsys.readouterr().err
    assert contents(out) == before


@pytest.mark.parametrize(('options', 'message'), [
    (['--images', '0'], 'images: found 0, expected at least 1'),
    (['--seed', '-1'], 'seed: found -1'),
    (['--size', '8', '80'], 'size: found 8 x 80'),
    (['--size', '80', '99999999'], 'size: found 80 x 99999999, expected 32 to 16384 pixels'),
    (['--types', 'hela'], "types: found 'hela'"),
    (['--test', '-1'], 'test: found -1'),
])
def test_bad_options_write_nothing(tmp_path, capsys, options, message):
    assert main([str(tmp_path / 'data'), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count('\n') == 1
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_a_data_set_stays_one(tmp_path):
    (tmp_path / 'real').mkdir()
    (tmp_path / 'link').symlink_to(tmp_path / 'real')
    assert main([str(tmp_path / 'link'), '--images', '1', *SMALL]) == 0
    assert main([str(tmp_path / 'link'), '--images', '1', '--force', *SMALL]) == 0
    assert (tmp_path / 'link').is_symlink()
    assert (tmp_path / 'real/train.csv').is_file()


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(sample_folder, '_write_submission', interrupt)
    assert main([str(tmp_path / 'data'), '--images', '1', *SMALL]) == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(('number', 'expected'), [
    (606, [155, 131, 320]), (5, [2, 1, 2]), (3, [1, 1, 1]), (1, [0, 0, 1]), (0, [0, 0, 0])])
def test_shares_follow_the_competition(number, expected):
    assert sum(sample_folder._shares(CLASSES, number)) == number
    assert list(sample_folder._shares(CLASSES, number)) == expected
