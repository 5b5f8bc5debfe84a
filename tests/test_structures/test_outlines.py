import numpy as np
import pytest
import shapely
from scipy import ndimage

from mmsart.structures.mask.outlines import trace_outline


def as_shapes(polygons):
    return [shapely.Polygon(polygon.exterior, polygon.holes) for polygon in polygons]


def test_a_pixel():
    [polygon] = trace_outline(np.array([[1]], np.uint8), left=7, top=3)
    assert polygon.exterior.tolist() == [[7, 3], [8, 3], [8, 4], [7, 4]]
    assert polygon.holes == []


def test_no_pixel():
    assert trace_outline(np.zeros((3, 4), np.uint8)) == []
    assert trace_outline(np.zeros((0, 0), np.uint8)) == []


def test_pixels_that_touch_at_a_corner_are_two_pieces():
    assert len(trace_outline(np.eye(2))) == 2


def test_a_hole_that_touches_the_outside_at_a_corner_is_a_hole():
    [polygon] = trace_outline(np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1]]))
    assert [hole.tolist() for hole in polygon.holes] == [[[2, 1], [1, 1], [1, 2], [2, 2]]]
    assert shapely.Polygon(polygon.exterior, polygon.holes).is_valid


@pytest.mark.parametrize('seed', range(8))
def test_polygons_are_the_pixels(seed):
    """Valid shapes, a piece each, that hold the centres of their pixels and no others."""
    rng = np.random.default_rng(seed)
    for _ in range(60):
        patch = (rng.random(rng.integers(1, 11, 2)) < rng.uniform(0.1, 0.95)).astype(np.uint8)
        polygons = trace_outline(patch)
        shapes = as_shapes(polygons)
        assert all(shape.is_valid for shape in shapes), patch
        assert len(shapes) == ndimage.label(patch)[1]
        whole = shapely.MultiPolygon(shapes)
        assert whole.is_valid, patch
        assert whole.area == patch.sum()
        ys, xs = np.mgrid[:patch.shape[0], :patch.shape[1]]
        np.testing.assert_array_equal(shapely.contains_xy(whole, xs + 0.5, ys + 0.5), patch)


@pytest.mark.parametrize('seed', range(3))
def test_rings_turn_at_each_corner_and_run_with_the_inside_to_the_right(seed):
    rng = np.random.default_rng(seed)
    for _ in range(60):
        for polygon in trace_outline(rng.random((9, 9)) < rng.uniform(0.2, 0.9)):
            for number, ring in enumerate([polygon.exterior, *polygon.holes]):
                steps = np.diff(ring, axis=0, append=ring[:1])
                horizontal = steps[:, 1] == 0
                assert ((steps != 0).sum(axis=1) == 1).all()
                assert (horizontal != np.roll(horizontal, 1)).all()
                # y points down, so what shapely calls anticlockwise is clockwise on a screen
                assert shapely.LinearRing(ring).is_ccw == (number == 0)
                assert len(np.unique(ring, axis=0)) == len(ring)
