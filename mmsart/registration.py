"""Import everything that registers itself with mmdet, for `custom_imports` of the configs.

mmdet imports its own parts when it is asked for one; in configs that inherit ``mmsart::…``, mmsart
is asked instead, so what none of ours imports stands here too.
"""
import mmdet.engine
import mmdet.visualization  # noqa: F401

import mmsart.datasets.checked_coco
import mmsart.datasets.sartorius
import mmsart.datasets.synthetic.dataset
import mmsart.datasets.transforms
import mmsart.engine
import mmsart.evaluation.metrics
import mmsart.models  # noqa: F401
