"""Pipeline steps that keep masks in their own boxes."""
from mmsart.datasets.transforms.loading import LoadSartoriusAnnotations

__all__ = ['LoadSartoriusAnnotations']
