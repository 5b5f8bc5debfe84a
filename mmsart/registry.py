"""The scope `mmsart`, so that configs elsewhere can build on those of the package.

After ``import mmsart.registry``, ``_base_ = 'mmsart::sartorius/maskrcnn_two_stage.py'`` is found,
and ``type='mmsart.SartoriusDataset'`` is built. mmsart registers what it has with mmdet; these
registries are empty children of mmdet's, which is where they look.
"""
import mmdet.registry
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import Registry

MODULE2PACKAGE['mmsart'] = 'mmsart'  # the packages whose configs mmengine knows
REGISTRIES = [
    Registry(parent.name, parent=parent, scope='mmsart', locations=['mmsart.registration'])
    for parent in vars(mmdet.registry).values()
    if isinstance(parent, Registry) and parent.scope == 'mmdet']
