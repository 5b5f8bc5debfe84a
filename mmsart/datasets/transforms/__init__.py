"""Pipeline steps that keep masks in their own boxes."""
from mmsart.datasets.transforms.loading import LoadSartoriusAnnotations
from mmsart.datasets.transforms.mixing import (
    CroppedCopyPaste,
    CroppedRandomAffine,
    CroppedRandomErasing,
)

__all__ = ['CroppedCopyPaste', 'CroppedRandomAffine', 'CroppedRandomErasing',
           'LoadSartoriusAnnotations']
