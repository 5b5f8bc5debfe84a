"""mmdet is imported without a word."""
import subprocess
import sys

import matplotlib.font_manager  # noqa: F401  makes its cache; what takes over 5 s there is told
import pytest


@pytest.mark.parametrize('code', [
    'from mmsart.utils.quiet import import_mmdet\nimport_mmdet()\n'
    'import mmsart.registration, mmsart.apis.runs',
    'from mmsart.apis import CellSegmenter', 'from mmsart.apis import *',
    'from mmsart.apis import load_config\n'
    'load_config("mmsart::demo/maskrcnn_mobilenetv2_two_stage.py")'])
def test_nothing_is_said_when_mmdet_is_imported(code):
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert found.stdout + found.stderr == ''
