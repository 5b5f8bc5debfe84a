"""What is imported is declared, and what is declared is pinned, for every Python version."""
import ast
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # which pytest brings

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
DEPENDENCIES = [Requirement(line) for line in PROJECT['dependencies']]
EXTRAS = [Requirement(line) for lines in PROJECT['optional-dependencies'].values()
          for line in lines]
PYTHONS = ('3.10', '3.11', '3.12', '3.13', '3.14')


UNPINNED = {
    'wandb': PYTHONS,  # sends what it sees to a service, so no test runs it
    'nd2': PYTHONS,  # nothing freely at hand writes such files; tested against a stand-in
    'onnx': ('3.10',), 'onnxruntime': ('3.10',),  # this onnxruntime has no wheel for it
    'pylibczirw': ('3.14',),  # has none for it
}
"""What `make install` leaves out, by the versions of Python."""


def pins(python):
    """Read what `make install` installs on a version of Python, {name: version}."""
    lines = [line for name in ('requirements.txt', 'requirements-lite.txt')
             for line in (ROOT / name).read_text().splitlines()]
    lines += re.findall(r'\b(?:torch|setuptools)==[\d.]+', (ROOT / 'Makefile').read_text())
    texts = [re.sub(r'(^|\s)#.*', '', line).strip() for line in lines]
    found = [Requirement(text) for text in texts if text]
    return {canonicalize_name(each.name): str(each.specifier)[2:] for each in found
            if each.marker is None or each.marker.evaluate({'python_version': python})
            if str(each.specifier).startswith('==')}


@pytest.mark.parametrize('python', PYTHONS)
def test_pins_fit_what_the_package_asks_for(python):
    pinned = pins(python)
    asked = [(canonicalize_name(each.name), each) for each in [*DEPENDENCIES, *EXTRAS]]
    assert {name for name, _ in asked} - pinned.keys() == {
        name for name, pythons in UNPINNED.items() if python in pythons}
    wrong = {str(each): pinned[name] for name, each in asked
             if name in pinned and not each.specifier.contains(pinned[name])}
    assert wrong == {}


def test_python_versions_are_those_declared():
    from packaging.specifiers import SpecifierSet
    declared = SpecifierSet(PROJECT['requires-python'])
    assert [python for python in ('3.9', *PYTHONS, '3.15') if python in declared] == [*PYTHONS]


def imported_modules():
    """List the top-level modules that the package imports, wherever it does so."""
    for path in (ROOT / 'mmsart').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((alias.name.partition('.')[0], path) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                yield node.module.partition('.')[0], path


def test_what_is_imported_is_declared():
    declared = {canonicalize_name(each.name) for each in [*DEPENDENCIES, *EXTRAS]}
    providers = metadata.packages_distributions()
    undeclared = {
        module: path for module, path in imported_modules()
        if module not in sys.stdlib_module_names and module != 'mmsart'
        if module in providers  # else it is an extra's that is not there
        if not {canonicalize_name(name) for name in providers[module]} & declared}
    assert undeclared == {}
