"""Generated phase-contrast-like images with their masks."""
from mmsart.datasets.synthetic.generator import GeneratedImage, draw_count, generate_image

__all__ = ['GeneratedImage', 'draw_count', 'generate_image']
