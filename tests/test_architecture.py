"""The imports of mmsart/ keep to the layers of docs/architecture.md."""
import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'mmsart'
MODULES = {'.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__'): path
           for path in sorted(PACKAGE.rglob('*.py'))
           if 'zoo/' not in path.as_posix() or path.parent.name == 'zoo'}  # models have configs
ENTRY = ('mmsart', 'mmsart.__main__')  # what Python runs first; nothing imports them for a name


def read_layers():
    """Return the height of each package in the list of the docs; the lowest is 0."""
    text = (ROOT / 'docs/architecture.md').read_text()
    block, = re.findall('```layers\n(.*?)```', text, re.S)
    lines = [line.split(', ') for line in block.strip().splitlines()]
    return {name: height for height, line in enumerate(reversed(lines)) for name in line}


def imported(path):
    """List the modules of mmsart that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f'{path}: expected absolute imports'
            found |= {f'{node.module}.{alias.name}' for alias in node.names}
    modules = {name if name in MODULES else name.rpartition('.')[0] for name in found}
    return modules & set(MODULES)


IMPORTS = {name: imported(path) for name, path in MODULES.items()}
EDGES = [(name, target) for name, targets in IMPORTS.items() for target in sorted(targets)
         if name not in ENTRY]


def package_of(module):
    return module.split('.')[1] if '.' in module else module


@pytest.mark.parametrize('package', sorted({package_of(name) for name in MODULES} - {
    'mmsart', '__main__'}))
def test_every_package_has_its_layer_and_its_line(package):
    assert package in read_layers()
    assert re.search(rf'`{package}(/|\.py)`', (ROOT / 'docs/architecture.md').read_text())


def test_no_import_goes_up_or_sideways():
    layers = read_layers()
    wrong = [f'{name} imports {target}' for name, target in EDGES
             if package_of(name) != package_of(target) and target != 'mmsart'
             and layers[package_of(target)] >= layers[package_of(name)]]
    assert len(EDGES) > 100
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(' -> '.join(reversed(error.args[1])))


def test_results_and_their_files_need_no_torch():
    """Exporters, post-processing and tuning work where no network runs."""
    allowed = {'mmsart.structures.data_samples', 'mmsart.structures.mask.paste',
               'mmsart.structures.mask.cropped_masks', 'mmsart.structures.mask.point_samples',
               'mmsart.structures.mask.roi_targets'}
    heavy = [name for name, path in MODULES.items()
             if name.startswith(('mmsart.structures', 'mmsart.formats', 'mmsart.postprocessing'))
             and name not in allowed and re.search(
                 r'^(import|from) (torch|mmdet|mmcv|mmengine)', path.read_text(), re.M)]
    assert heavy == []
