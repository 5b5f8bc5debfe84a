"""Checkpoints of other libraries as weights for our configs.

Importing this package makes mmengine read checkpoints through it (see
:mod:`mmsart.weights.loader`): nothing pickled is run, and foreign key names are translated.
"""
from mmsart.weights.importer import ImportedWeights, import_checkpoint
from mmsart.weights.loader import register_loaders
from mmsart.weights.matching import (
    LoadReport,
    build_without_weights,
    check_checkpoint_fits,
    load_weights,
    match_weights,
    model_shapes,
)
from mmsart.weights.package import find_package_weights
from mmsart.weights.report_hook import WeightsReportHook
from mmsart.weights.resolve import check_pretrained, choose_source, prepare_load_from
from mmsart.weights.safe_load import read_checkpoint

register_loaders()

__all__ = [
    'ImportedWeights', 'LoadReport', 'WeightsReportHook', 'build_without_weights',
    'check_checkpoint_fits', 'check_pretrained', 'choose_source', 'find_package_weights',
    'import_checkpoint', 'load_weights', 'match_weights', 'model_shapes', 'prepare_load_from',
    'read_checkpoint']
