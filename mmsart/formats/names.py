"""Names of formats and files, for tools that list them before they import what writes them."""

SUMMARY_FILE = 'summary.csv'
"""A row per image, in a folder of results."""

METHODS_FILE = 'methods.json'
"""How results were made, in their folder."""

OWN_FOLDER = '.mmsart'
"""In a folder of results, what the package keeps for itself: a record per image, written last;
previews; the classes' colours."""

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
