import numpy as np
import pytest

from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.visualization.draw import (
    FN_COLOUR,
    FP_COLOUR,
    TP_COLOUR,
    draw_comparison,
    draw_instances,
)

PALETTE = np.array([(86, 180, 233), (230, 159, 0), (0, 158, 115)], np.uint8)
GREY = np.full((20, 30), 100, np.uint8)


def squares(*places, side=6):
    masks = np.zeros((len(places), *GREY.shape), np.uint8)
    for mask, (x, y) in zip(masks, places, strict=True):
        mask[y:y + side, x:x + side] = 1
    return masks


def painted(picture, colour):
    return (picture == np.array(colour)).all(-1)


def test_outline_lies_inside_the_mask_and_nothing_else_changes():
    masks = squares((4, 5))
    picture = draw_instances(GREY, masks, colours=PALETTE[[1]])
    expected = masks[0].copy()
    expected[6:10, 5:9] = 0  # the inside of a square of 6
    np.testing.assert_array_equal(painted(picture, PALETTE[1]), expected > 0)
    assert (picture[expected == 0] == 100).all()


def test_touching_cells_keep_their_own_lines():
    picture = draw_instances(GREY, squares((4, 5), (10, 5)), colours=PALETTE[[0, 2]])
    assert painted(picture, PALETTE[0])[5:11, 9].all()
    assert painted(picture, PALETTE[2])[5:11, 10].all()


def test_masks_at_the_border_have_an_outline_there():
    picture = draw_instances(GREY, squares((0, 0)), colours=PALETTE[[0]])
    assert painted(picture, PALETTE[0])[0, :6].all()


def test_scale_magnifies_picture_and_masks():
    masks = squares((4, 5))
    picture = draw_instances(GREY, masks, colours=PALETTE[[0]], scale=3)
    assert picture.shape == (60, 90, 3)
    rows, columns = np.nonzero(painted(picture, PALETTE[0]))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (15, 32, 12, 29)


def test_fill_mixes_colours():
    picture = draw_instances(GREY, squares((4, 5)), colours=np.array([[200, 0, 100]]), fill=0.5)
    assert picture[8, 7].tolist() == [150, 50, 100]


def test_without_labels_neighbours_in_the_list_differ():
    picture = draw_instances(GREY, squares((2, 2), (12, 2)))
    assert (picture[2, 2] != picture[2, 12]).any()


@pytest.mark.parametrize('kind', ['bitmaps', 'cropped', 'rles'])
def test_any_kind_of_masks(kind):
    bitmaps = squares((4, 5), (15, 9))
    cropped = CroppedMasks.from_bitmaps(bitmaps)
    masks = dict(bitmaps=bitmaps, cropped=cropped, rles=cropped.to_rles())[kind]
    np.testing.assert_array_equal(
        draw_instances(GREY, masks), draw_instances(GREY, bitmaps))


def test_no_instances_and_empty_masks():
    for masks in (squares(), np.zeros((1, *GREY.shape), np.uint8)):
        assert (draw_instances(GREY, masks) == 100).all()


def test_wrong_number_of_colours():
    with pytest.raises(ValueError, match='found 2 colours, expected one for each of 1 masks'):
        draw_instances(GREY, squares((1, 1)), colours=PALETTE[[0, 1]])


def test_input_is_not_drawn_on():
    colour = np.stack([GREY] * 3, -1)
    draw_instances(colour, squares((1, 1)))
    assert (colour == 100).all()


def test_comparison_colours_tell_hit_missed_and_wrong():
    hit = np.array([True, False])
    picture = draw_comparison(GREY, squares((2, 2), (20, 2)), squares((2, 2), (2, 12)), hit, hit)
    assert picture.shape == (44, 64, 3)
    left, right = picture[24:, :30], picture[24:, 34:]
    assert painted(left, TP_COLOUR)[2, 2]
    assert painted(left, FN_COLOUR)[2, 20]
    assert painted(right, TP_COLOUR)[2, 2]
    assert painted(right, FP_COLOUR)[12, 2]
    assert not painted(right, FN_COLOUR).any()


@pytest.mark.parametrize(('gts', 'preds'), [
    (squares(), squares((1, 1))), (squares((1, 1)), squares()), (squares(), squares())])
def test_comparison_with_an_empty_side(gts, preds):
    hits = [np.zeros(len(masks), bool) for masks in (gts, preds)]
    assert draw_comparison(GREY, gts, preds, *hits, caption='a').shape == (44, 64, 3)
