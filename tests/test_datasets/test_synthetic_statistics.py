import numpy as np
import pytest

from mmsart.datasets.synthetic.sample_folder import SamplePlan, write_sample_dataset
from mmsart.datasets.synthetic.statistics import (
    PERIODS,
    cell_statistics,
    data_statistics,
    image_statistics,
)
from mmsart.datasets.train_csv import read_train_csv
from tools.analysis_tools.image_statistics import main


@pytest.mark.parametrize('period', [4, 8, 16])
def test_power_of_a_wave_is_at_its_period(period):
    wave = np.rint(128 + 50 * np.sin(2 * np.pi * np.arange(128) / period))
    figures = image_statistics(np.tile(wave.astype(np.uint8), (128, 1)))
    powers = {at: figures[f'log10 power at {at} px'] for at in PERIODS}
    assert max(powers, key=powers.get) == period
    assert figures['std'] == pytest.approx(50 / np.sqrt(2), rel=0.02)


def test_power_of_white_noise_is_its_variance():
    noise = np.random.default_rng(0).normal(128, 10, (256, 300)).round().astype(np.uint8)
    figures = image_statistics(noise)
    for period in PERIODS:
        assert figures[f'log10 power at {period} px'] == pytest.approx(2, abs=0.15)
    assert figures['p25'] == pytest.approx(128 - 6.7, abs=1)


def test_cells_of_a_known_image(write_table):
    # rows of 10 pixels: 2 x 2 square, and two rows of 3 and 1 that share one pixel with it
    root = write_table([dict(annotation='1 2 11 2'), dict(annotation='12 3 22 1')])
    figures = cell_statistics(read_train_csv(root / 'train.csv'), 0)
    assert figures == pytest.approx(dict(cells=2, area=4, fill=(1 + 4 / 6) / 2, shared=1 / 7))


def test_tool_prints_columns(tmp_path, capsys):
    write_sample_dataset(tmp_path / 'a', SamplePlan(images=1, size=(64, 64), types=('cort',)))
    assert main([str(tmp_path / 'a'), str(tmp_path / 'a')]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'cort'
    assert lines[1].split() == ['images', '1.000', '1.000']
    assert data_statistics(tmp_path / 'a').keys() == {'cort'}
    table = tmp_path / 'a' / 'train.csv'
    table.write_text(table.read_text().replace('cort', 'round'))
    assert data_statistics(tmp_path / 'a').keys() == {'round'}


def test_missing_image_is_one_line(write_table, capsys):
    root = write_table([dict()], images=False)
    assert main([str(root)]) == 2
    assert 'a.png: no such file, expected an image' in capsys.readouterr().err
