"""Import everything that registers itself with mmdet, for `custom_imports` of the configs."""
import mmsart.datasets.checked_coco
import mmsart.datasets.sartorius
import mmsart.datasets.synthetic.dataset
import mmsart.datasets.transforms
import mmsart.engine
import mmsart.evaluation.metrics
import mmsart.models
import mmsart.visualization  # noqa: F401
