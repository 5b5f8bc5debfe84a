"""A microscope's file -> frames: axes, depth, pixel size."""
from mmsart.imaging.ids import image_id, name_id
from mmsart.imaging.normalization import Normalization
from mmsart.imaging.readers import IMAGE_SUFFIXES, count_series, open_image
from mmsart.imaging.source import PixelSize
from mmsart.imaging.stack import Frame, ImageStack

__all__ = ['IMAGE_SUFFIXES', 'Frame', 'ImageStack', 'Normalization', 'PixelSize', 'count_series',
           'image_id', 'name_id', 'open_image']
