"""Pipeline steps that keep masks in their own boxes."""
from mmsart.datasets.transforms.boxes_from_masks import BoxesFromMasks
from mmsart.datasets.transforms.cached_loading import LoadCachedImage
from mmsart.datasets.transforms.instance_weights import (
    PackWeightedInputs,
    WeightedFilterAnnotations,
    WeightedRandomCrop,
)
from mmsart.datasets.transforms.loading import LoadCroppedAnnotations
from mmsart.datasets.transforms.mixing import (
    CroppedCopyPaste,
    CroppedRandomAffine,
    CroppedRandomErasing,
)
from mmsart.datasets.transforms.random_brightness_contrast import RandomBrightnessContrast
from mmsart.datasets.transforms.random_cell_scale import RandomCellScale
from mmsart.datasets.transforms.random_scale import RandomScale
from mmsart.datasets.transforms.random_tile import RandomTile
from mmsart.datasets.transforms.random_transpose import RandomTranspose
from mmsart.datasets.transforms.repair_masks import RepairMasks

__all__ = ['BoxesFromMasks', 'CroppedCopyPaste', 'CroppedRandomAffine', 'CroppedRandomErasing',
           'LoadCachedImage', 'LoadCroppedAnnotations', 'PackWeightedInputs',
           'RandomBrightnessContrast', 'RandomCellScale', 'RandomScale', 'RandomTile',
           'RandomTranspose', 'RepairMasks', 'WeightedFilterAnnotations', 'WeightedRandomCrop']
