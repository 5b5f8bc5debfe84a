"""Configs that are read and not run."""
import math

import pytest
from mmengine.config import Config

from mmsart.apis.literal_config import read_literal_config
from mmsart.utils import UserError
from tests.test_configs import LEAVES


def test_what_mmengine_writes_is_read_back():
    values = dict(
        model=dict(type='A', sizes=[1, -2.5, 1e-9], pair=(1, 'a'), off=None, on=True),
        options={'a.b': 1, 'c d': [dict(x=1)]}, far=-math.inf, empty=dict(), words="it's \"so\"")
    assert read_literal_config(Config(values).pretty_text, 'a').to_dict() == values


@pytest.mark.parametrize('path', LEAVES[::3], ids=lambda path: path.stem)
def test_every_config_survives(path):
    cfg = Config.fromfile(path)
    assert read_literal_config(cfg.pretty_text, 'a').to_dict() == cfg.to_dict()


@pytest.mark.parametrize('text', [
    'import os', '__import__("os").system("true")', 'a = open("x")', 'a = [b for b in c]',
    'a = dict(**b)', 'a = dict([("a", 1)])', 'a = {**b}', 'a, b = 1, 2', 'a = 1 +', 'a: int = 1',
    'a = dict(b=lambda: 1)', 'a = (1).__class__', 'a = [' * 300])
def test_anything_else_is_refused(text):
    with pytest.raises(UserError, match=r'x.pth: expected a config .* it was not run'):
        read_literal_config(text, 'x.pth')
