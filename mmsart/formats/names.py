"""Names of the formats, for tools that list them before they import what writes them."""

FORMATS = {
    'table': 'place, shape and brightness of each cell',
    'outlines': 'picture with outlines',
    'overlay': 'picture with tinted cells',
    'labels': 'label image, a TIFF for ImageJ and others',
    'rois': 'regions for ImageJ and Fiji',
    'geojson': 'detections for QuPath',
    'coco': 'COCO annotations',
    'submission': "run-length code in the format of Kaggle's Sartorius competition",
}
"""What each of :data:`mmsart.formats.saving.SAVERS` writes, in a few words."""

DEFAULT_FORMATS = ('table', 'outlines', 'labels')
