"""Masks decoded pixel by pixel, by nothing but loops: the truth for readers that are fast."""
import numpy as np


def decode_kaggle(text, height, width):
    """Paint Kaggle's ``start length`` pairs; None where they are no mask of the image."""
    numbers = [int(word) for word in text.replace('\t', ' ').split(' ') if word]
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    flat = np.zeros(height * width, bool)
    end = 1
    for start, length in pairs:
        if start < end or length < 1 or start + length - 1 > height * width:
            return None
        end = start + length
        flat[start - 1:end - 1] = True
    return flat.reshape(height, width)


def decode_counts(code):
    """Read COCO's compressed counts character by character."""
    counts, value, shift = [], 0, 0
    for character in code:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    return counts


def decode_coco_rle(rle):
    """Paint an RLE down the columns of an image of its own size."""
    height, width = map(int, rle['size'])
    counts = rle['counts']
    if isinstance(counts, bytes):
        counts = counts.decode()
    if isinstance(counts, str):
        counts = decode_counts(counts)
    flat = [bool(place % 2) for place, count in enumerate(counts) for _ in range(int(count))]
    assert len(flat) == height * width, 'no mask of this size'
    return np.array(flat, bool).reshape(width, height).T


def decode_polygons(polygons, height, width):
    """Ask of each pixel's centre whether an odd number of edges lies above it.

    Returns:
        Which pixels are inside of a polygon, and of which this is certain: those within 1 pixel
        of an outline are decided by rounding.
    """
    inside = np.zeros((height, width), bool)
    certain = np.ones((height, width), bool)
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    for polygon in polygons:
        points = np.array(polygon, float).reshape(-1, 2)
        odd = np.zeros((height, width), bool)
        for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
            if x1 != x2:
                crosses = (x1 <= x) != (x2 <= x)
                odd ^= crosses & (y1 + (x - x1) * (y2 - y1) / (x2 - x1) <= y)
            length = (x2 - x1) ** 2 + (y2 - y1) ** 2
            share = ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length if length else 0 * x
            share = share.clip(0, 1)
            distance = np.hypot(x - x1 - share * (x2 - x1), y - y1 - share * (y2 - y1))
            certain &= distance > 1
        inside |= odd
    return inside, certain
