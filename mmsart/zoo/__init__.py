"""Models that come with the package: weights, settings, cards."""
from mmsart.zoo.models import ZOO, ZooModel, default_model, find_model, list_models, open_model

__all__ = ['ZOO', 'ZooModel', 'default_model', 'find_model', 'list_models', 'open_model']
