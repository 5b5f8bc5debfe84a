"""What the pages promise: links lead somewhere, the detector in five lines trains."""
import re
from pathlib import Path

import pytest
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate

from mmsart.apis.config import load_config

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_and_files_are_there(page):
    text = page.read_text()
    for link in re.findall(r'\]\(([^)#:]+)(?:#[^)]*)?\)', text):
        assert (page.parent / link).exists(), link
    for name in re.findall(r'(?:tools|benchmarks|configs)/[\w/.-]+\.(?:py|sh)', text):
        assert (ROOT / name).exists(), name


def test_every_page_is_in_the_index():
    index = (ROOT / 'docs/index.md').read_text()
    for page in PAGES[1:]:
        assert f']({page.name})' in index or page.name == 'index.md', page.name


def test_another_detector_in_five_lines(tmp_path, write_table):
    page = (ROOT / 'docs/index.md').read_text()
    config = re.search(r'```python\n(.*?)```', page, re.DOTALL).group(1)
    assert config.count('\n') <= 6  # the list of bases is broken in two
    (tmp_path / 'own.py').write_text(config)
    root = write_table([dict(annotation='1 9 11 9 21 9 31 9 41 9'), dict(id='b')])
    cfg = load_config(str(tmp_path / 'own.py'), [f'data_root={root}/'])
    cfg.model.backbone.update(depth=18, init_cfg=None)
    cfg.model.neck.in_channels = [64, 128, 256, 512]
    detector = MODELS.build(cfg.model)
    dataset = cfg.train_dataloader.dataset
    del dataset['split'], dataset['subset']
    data = detector.data_preprocessor(pseudo_collate([DATASETS.build(dataset)[0]]), True)
    losses = detector(**data, mode='loss')
    total = sum(torch.stack([*map(torch.mean, loss)]).sum() if isinstance(loss, list) else loss
                for loss in losses.values())
    total.backward()
    assert total.isfinite()
