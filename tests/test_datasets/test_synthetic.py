import numpy as np
import pytest

from mmsart.datasets.classes import CLASSES
from mmsart.datasets.synthetic import draw_count, generate_image
from mmsart.datasets.synthetic.canvas import Canvas
from mmsart.datasets.synthetic.shapes import (
    blob,
    corners,
    polygon_area,
    rasterise,
    ribbon,
    rotate,
)
from mmsart.structures.mask.rle import kaggle_to_bitmap
from mmsart.utils import UserError

SQUARE = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]])


def bitmaps(sample):
    """Paint the masks one by one."""
    full = np.zeros((len(sample), *sample.image.shape), np.uint8)
    for mask, (x1, y1, x2, y2), patch in zip(full, sample.boxes, sample.patches, strict=True):
        mask[y1:y2, x1:x2] = patch
    return full


@pytest.mark.parametrize('cell_type', CLASSES)
def test_image_and_masks_are_well_formed(cell_type):
    sample = generate_image(cell_type, np.random.default_rng(0), 160, 192)
    assert sample.image.shape == (160, 192)
    assert sample.image.dtype == np.uint8
    assert abs(float(sample.image.mean()) - 128) < 1.5
    assert len(sample) >= 1
    for (x1, y1, x2, y2), patch in zip(sample.boxes.tolist(), sample.patches, strict=True):
        assert 0 <= x1 < x2 <= 192
        assert 0 <= y1 < y2 <= 160
        assert patch.shape == (y2 - y1, x2 - x1)
        assert set(np.unique(patch)) <= {0, 1}


@pytest.mark.parametrize('cell_type', CLASSES)
def test_texts_are_the_masks(cell_type):
    sample = generate_image(cell_type, np.random.default_rng(1), 96, 128)
    painted = bitmaps(sample)
    for text, mask in zip(sample.texts(), painted, strict=True):
        np.testing.assert_array_equal(kaggle_to_bitmap(text, (96, 128)), mask)
    np.testing.assert_array_equal(sample.areas, painted.sum((1, 2)))


@pytest.mark.parametrize('cell_type', CLASSES)
def test_same_seed_same_image_and_another_seed_another(cell_type):
    one, same, other = (
        generate_image(cell_type, np.random.default_rng(seed), 96, 96) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.image, same.image)
    assert one.texts() == same.texts()
    assert (one.image != other.image).mean() > 0.1


def test_frames_of_a_field_are_alike_but_not_equal():
    def frame(field, number):
        return generate_image('cort', np.random.default_rng(field), 260, 352, num_cells=15,
                              frame_rng=np.random.default_rng(number))

    def shared(one, other):
        a, b = bitmaps(one).any(0), bitmaps(other).any(0)
        return (a & b).sum() / (a | b).sum()

    first, second, stranger = frame(0, 1), frame(0, 2), frame(1, 3)
    assert (first.image != second.image).any()
    assert 0.5 < shared(first, second) < 1
    assert shared(first, stranger) < 0.3


def test_cells_are_visible_where_the_masks_are():
    """Contrast inside the masks is well above that of the bare ground."""
    for cell_type in CLASSES:
        sample = generate_image(cell_type, np.random.default_rng(2), 256, 256)
        inside = bitmaps(sample).any(0)
        contrast = np.abs(sample.image.astype(float) - 128)
        assert contrast[inside].mean() > 1.5 * contrast[~inside].mean(), cell_type


@pytest.mark.parametrize(('cell_type', 'mean_area', 'most_shared'), [
    ('shsy5y', 224, 0.05), ('astro', 906, 0.06), ('cort', 240, 0.03)])
def test_areas_and_overlaps_follow_the_competition(cell_type, mean_area, most_shared):
    samples = [generate_image(cell_type, np.random.default_rng([9, seed]), 400, 400)
               for seed in range(3)]
    areas = np.concatenate([sample.areas for sample in samples])
    assert 0.65 * mean_area < areas.mean() < 1.5 * mean_area
    layers = [bitmaps(sample).sum(0) for sample in samples]
    shared = np.mean([(layer > 1).sum() / (layer > 0).sum() for layer in layers])
    assert 0 < shared < most_shared


@pytest.mark.parametrize(('cell_type', 'mean', 'most'), [
    ('shsy5y', 337, 790), ('astro', 80, 594), ('cort', 33.7, 108)])
def test_counts_follow_the_competition_and_the_size(cell_type, mean, most):
    rng = np.random.default_rng(0)
    counts = [draw_count(cell_type, rng) for _ in range(4000)]
    assert np.mean(counts) == pytest.approx(mean, rel=0.06)
    assert max(counts) <= most
    quarter = [draw_count(cell_type, rng, 260, 352) for _ in range(4000)]
    assert np.mean(quarter) == pytest.approx(mean / 4, rel=0.06)


def test_the_number_asked_for_is_placed():
    assert len(generate_image('cort', np.random.default_rng(0), num_cells=40)) == 40
    assert len(generate_image('shsy5y', np.random.default_rng(0), num_cells=790)) == 790


def test_smallest_size_of_each_type():
    for cell_type in CLASSES:
        for seed in range(10):
            sample = generate_image(cell_type, np.random.default_rng(seed), 32, 32)
            assert len(sample) >= 1


def test_bad_arguments():
    with pytest.raises(UserError, match="found 'hela', expected one of shsy5y, astro, cort"):
        generate_image('hela', np.random.default_rng(0))
    with pytest.raises(UserError, match='found 31 x 100'):
        generate_image('cort', np.random.default_rng(0), 31, 100)


def test_polygon_area_of_known_shapes():
    assert polygon_area(SQUARE) == 100
    assert polygon_area(SQUARE[:3]) == 50
    rng = np.random.default_rng(0)
    ellipse = blob(rng, 20, 10, 0)
    assert polygon_area(ellipse) == pytest.approx(np.pi * 50, rel=0.01)
    assert polygon_area(rotate(ellipse, 0.7)) == pytest.approx(polygon_area(ellipse))


def test_rotate_turns_x_towards_y():
    np.testing.assert_allclose(rotate(np.array([[1.0, 0.0]]), np.pi / 2), [[0, 1]], atol=1e-12)


def test_ribbon_of_a_straight_path():
    path = np.stack([np.linspace(0, 10, 6), np.zeros(6)], 1)
    assert polygon_area(ribbon(path, np.full(6, 3.0))) == pytest.approx(30)


def test_corners_reach_their_extent():
    outline = corners(np.random.default_rng(0), 40, 10, 2)
    assert np.ptp(outline[:, 0]) == pytest.approx(40, rel=0.25)


def test_rasterise_covers_the_square_and_is_cut_at_the_border():
    box, coverage = rasterise([SQUARE + 5], 40, 40)
    mask = np.zeros((40, 40), bool)
    mask[box[1]:box[3], box[0]:box[2]] = coverage >= 128
    assert mask[6:14, 6:14].all()
    assert not mask[:4].any()
    assert not mask[16:].any()
    box, coverage = rasterise([SQUARE - 5], 40, 40)
    assert box[:2] == (0, 0)
    assert coverage.shape == (box[3], box[2])
    assert rasterise([SQUARE + 50], 40, 40) is None


def test_a_later_cell_is_cut_to_a_seam_or_refused():
    rng = np.random.default_rng(0)
    canvas = Canvas(64, 64, rng, rng)
    look = dict(thickness=50, dome=0.5, texture=0.1)
    assert canvas.add([SQUARE * 2 + 10], **look)
    assert not canvas.add([SQUARE * 2 + 12], **look)  # four fifths of it are hidden
    assert canvas.add([SQUARE * 2 + (26, 10)], **look)
    total = np.zeros((64, 64), int)
    for (x1, y1, x2, y2), patch in zip(canvas.boxes, canvas.patches, strict=True):
        total[y1:y2, x1:x2] += patch
    shared = np.flatnonzero((total > 1).any(0))
    assert 1 <= len(shared) <= 2  # columns of the seam
    assert len(canvas.boxes) == 2


def test_a_thick_body_is_dark_with_a_bright_rim():
    rng = np.random.default_rng(0)
    canvas = Canvas(64, 64, rng, rng)
    canvas.add([SQUARE + 27], thickness=120, dome=0.0, texture=0.0)
    image = canvas.develop(sharpness=0.4, halo=1.5, noise=0.01).astype(int)
    assert image[32, 28] < 120  # inside, at the edge
    assert image[32, 25] > 135  # the halo
    assert abs(image[32, 5] - 128) <= 2
