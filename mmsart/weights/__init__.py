"""Checkpoints of other libraries as weights for our configs.

Importing this package makes mmengine read local checkpoints through it (see
:mod:`mmsart.weights.loader`): nothing pickled is run, and foreign key names are translated.
"""
from mmsart.weights.importer import ImportedWeights, import_checkpoint
from mmsart.weights.loader import register_loaders
from mmsart.weights.package import find_package_weights
from mmsart.weights.safe_load import read_checkpoint

register_loaders()

__all__ = ['ImportedWeights', 'find_package_weights', 'import_checkpoint', 'read_checkpoint']
