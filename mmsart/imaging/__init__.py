"""A microscope's file -> frames: axes, depth, pixel size."""
from mmsart.imaging.normalization import Normalization
from mmsart.imaging.readers import IMAGE_SUFFIXES, count_series, open_image
from mmsart.imaging.source import PixelSize
from mmsart.imaging.stack import Frame, ImageStack, image_id

__all__ = ['IMAGE_SUFFIXES', 'Frame', 'ImageStack', 'Normalization', 'PixelSize', 'count_series',
           'image_id', 'open_image']
