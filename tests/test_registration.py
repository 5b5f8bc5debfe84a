"""What configs can name is what registration.py names."""
import importlib
import pkgutil

import mmdet.registry
from mmengine.registry import Registry

import mmsart
from mmsart import registration


def test_registration_names_whatever_registers_itself():
    for module in pkgutil.walk_packages(mmsart.__path__, 'mmsart.'):
        if not module.name.startswith(('mmsart.ops', 'mmsart.app', 'mmsart.__main__')):
            importlib.import_module(module.name)
    registries = [each for each in vars(mmdet.registry).values() if isinstance(each, Registry)]
    for registry in registries:
        for found in registry.module_dict.values():
            if getattr(found, '__module__', '').startswith('mmsart.'):
                assert found.__name__ in registration.__all__
                assert getattr(registration, found.__name__) is found
