"""What configs can name is what registration.py names."""
import ast
from pathlib import Path

import mmsart
from mmsart import registration


def registered_classes():
    """List the classes of the package that a decorator registers."""
    return [
        node.name for path in sorted(Path(mmsart.__file__).parent.rglob('*.py'))
        for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)
        and any('register_module' in ast.unparse(each) for each in node.decorator_list)]


def test_registration_names_whatever_registers_itself():
    found = registered_classes()
    assert len(found) > 30
    assert set(found) == set(registration.__all__)
    assert all(isinstance(getattr(registration, name), type) for name in found)
