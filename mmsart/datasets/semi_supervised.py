"""Labelled images, each with an unlabelled one beside it."""
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmdet.registry import DATASETS
from torch.utils.data import Dataset

from mmsart.utils.errors import UserError

LABELLED = 'sup'
"""The branch that mmdet's semi-supervised detectors learn from by its annotations."""


@DATASETS.register_module()
class SemiSupervisedDataset(Dataset):
    """Give each labelled image with an unlabelled one, drawn anew, in the branches of mmdet.

    An epoch is a pass over the labelled images, and half of each batch is unlabelled. mmdet puts
    both kinds into one data set and has a sampler without an end fill batches from it.

    Args:
        datasets: the labelled data set, whose pipeline ends in ``PackDetInputs``, and the
            unlabelled one, whose pipeline ends in ``MultiBranch``.

    Raises:
        UserError: there are not two data sets.
    """

    def __init__(self, datasets: Sequence[Any]) -> None:
        if len(datasets) != 2:
            raise UserError(f'SemiSupervisedDataset: datasets: found {len(datasets)}, expected '
                            'two, a labelled and an unlabelled one')
        self.datasets = [DATASETS.build(each) if isinstance(each, dict) else each
                         for each in datasets]

    @property
    def metainfo(self) -> dict:
        """That of the labelled data set."""
        return self.datasets[0].metainfo

    def full_init(self) -> None:
        """Read both data sets, if they have waited with it."""
        for dataset in self.datasets:
            dataset.full_init()

    def __len__(self) -> int:
        return len(self.datasets[0])

    def __getitem__(self, index: int) -> dict[str, dict[str, Any]]:
        labelled, unlabelled = self.datasets
        branches = unlabelled[np.random.randint(len(unlabelled))]
        return {key: {LABELLED: value, **branches[key]}
                for key, value in labelled[index].items()}
