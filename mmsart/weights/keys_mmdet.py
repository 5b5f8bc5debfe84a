"""mmdet 1.x's names and class order under those of versions 2 and 3, which share theirs."""
from mmsart.weights.renaming import Renamer, StateDict, background_to_end

V1 = Renamer([(r'((?:bbox|mask)_head\..*)', r'roi_head.\1'), (r'(.*)', r'\1')])


def import_mmdet_v1(source: StateDict) -> tuple[StateDict, list[str]]:
    """Name mmdet 1.x's two-stage detectors as mmdet 3 does, background last.

    Version 1 had the heads at the top level and background as class 0, with rows of its own in
    regression and masks. Its anchors and box sizes also differed by a pixel, so that boxes shift
    slightly until training has made up for it.
    """
    weights, unknown = V1.rename(source)
    return background_to_end(weights), unknown
