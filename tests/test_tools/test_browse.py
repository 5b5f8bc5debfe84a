import cv2
import pytest

from mmsart.datasets.synthetic.sample_folder import SamplePlan, write_sample_dataset
from mmsart.datasets.train_csv import read_train_csv
from tools.analysis_tools.browse import main


@pytest.fixture
def data(tmp_path):
    write_sample_dataset(tmp_path / 'data', SamplePlan(images=4, size=(64, 80)))
    return tmp_path / 'data'


def test_four_pictures(tmp_path, data, monkeypatch, capsys):
    monkeypatch.setenv('SARTORIUS_ROOT', str(data))
    assert main(['--out', str(tmp_path / 'out'), '--samples', '1']) == 0
    names = sorted(path.stem for path in (tmp_path / 'out').iterdir())
    assert names == ['areas', 'cells_per_image', 'class_distribution', 'samples']
    for line in capsys.readouterr().out.split():
        assert cv2.imread(line).std() > 5


def test_classes_of_any_name(tmp_path, data):
    table = data / 'train.csv'
    table.write_text(table.read_text().replace('shsy5y', 'round').replace('astro', 'cell').replace(
        'cort', 'cell'))
    assert read_train_csv(table, None).classes == ('cell', 'round')
    assert main(['--data-root', str(data), '--out', str(tmp_path / 'out')]) == 0
    assert len(list((tmp_path / 'out').iterdir())) == 4


def test_missing_data_is_one_line(tmp_path, capsys):
    assert main(['--data-root', str(tmp_path), '--out', str(tmp_path / 'out')]) == 2
    assert 'train.csv: no such file' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(('break_it', 'message'), [
    (lambda path: path.unlink(), 'no such file, expected an image'),
    (lambda path: path.write_bytes(b'no image'), 'not a readable image'),
    (lambda path: cv2.imwrite(str(path), cv2.imread(str(path))[:40]), 'found 80 x 40 pixels'),
])
def test_bad_image_is_one_line(tmp_path, data, capsys, break_it, message):
    for path in (data / 'train').iterdir():
        break_it(path)
    assert main(['--data-root', str(data), '--out', str(tmp_path / 'out')]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_bad_number_of_samples(data, capsys):
    assert main(['--data-root', str(data), '--samples', '0']) == 2
    assert 'expected at least one sample' in capsys.readouterr().err
