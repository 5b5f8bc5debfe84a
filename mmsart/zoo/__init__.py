"""Models that come with the package: weights, settings, cards."""
from mmsart.zoo.models import (
    SCHEME,
    ZOO,
    ZooModel,
    default_model,
    find_model,
    list_models,
    locate_model,
    open_model,
)

__all__ = [
    'SCHEME',
    'ZOO',
    'ZooModel',
    'default_model',
    'find_model',
    'list_models',
    'locate_model',
    'open_model',
]
