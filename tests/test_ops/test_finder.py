"""Who provides mmcv._ext, in processes of their own: what is imported there stays."""
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmsart.ops import COMPILE_MMCV, STAND_IN, are_compiled, stand_in

ROOT = Path(__file__).parents[2]


def run_python(code, packages):
    """Run code where ``packages``, {path: text}, come before those installed."""
    for name, text in packages.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    return done.stdout.strip(), done.stderr.strip()


def script(folder, *lines):
    return '\n'.join(['import sys', f'sys.path.insert(0, {str(folder)!r})', *lines])


ASK = ('import mmsart, mmsart.ops', 'import mmcv._ext',
       'print(mmcv._ext.__file__, mmsart.ops.are_compiled())')


def test_python_stands_in_where_nothing_is_compiled(tmp_path):
    out, err = run_python(script(tmp_path, *ASK), {tmp_path / 'mmcv/__init__.py': ''})
    assert out == f'{STAND_IN} False', err


def test_a_compiled_extension_wins(tmp_path):
    extension = tmp_path / 'mmcv/_ext.py'  # any module that the path knows
    out, err = run_python(script(tmp_path, *ASK),
                          {tmp_path / 'mmcv/__init__.py': '', extension: ''})
    assert out == f'{extension} True', err


MMDET_FIRST = ('import mmdet.structures.mask.structures', 'import mmsart', 'print("imported")')
MMDET = '\n'.join(['try:', '    import mmcv._ext', 'except ImportError:', '    pass'])


def mmdet_packages(folder):
    """Return an mmdet that passes over missing operators, as the real one does."""
    names = ('mmcv', 'mmdet', 'mmdet/structures', 'mmdet/structures/mask')
    return {folder / name / '__init__.py': '' for name in names} | {
        folder / 'mmdet/structures/mask/structures.py': MMDET}


def test_mmdet_imported_before_without_operators_is_an_error(tmp_path):
    out, err = run_python(script(tmp_path, *MMDET_FIRST), mmdet_packages(tmp_path))
    assert out == ''
    assert err.endswith('ImportError: mmdet was imported before mmsart and has found no operators '
                        'of mmcv; import mmsart first')


def test_mmdet_may_come_first_where_operators_are_compiled(tmp_path):
    out, err = run_python(script(tmp_path, *MMDET_FIRST),
                          mmdet_packages(tmp_path) | {tmp_path / 'mmcv/_ext.py': ''})
    assert out == 'imported', err


def test_mmcv_and_mmdet_import_with_the_operators_in_use():
    import mmcv.ops
    import mmdet.structures.mask.structures as structures
    assert structures.roi_align is mmcv.ops.roi_align
    extension = sys.modules['mmcv._ext']
    assert (extension.__file__ == STAND_IN) != are_compiled()


def test_other_operators_raise_when_they_are_called():
    operator = stand_in.deform_conv_forward
    with pytest.raises(NotImplementedError) as error:
        operator(torch.zeros(1), groups=2)
    assert 'deform_conv_forward' in str(error.value)
    assert COMPILE_MMCV in str(error.value)
    assert '\n' not in str(error.value)


def test_names_of_the_import_system_are_none_of_its_operators():
    assert not hasattr(stand_in, '__path__')
