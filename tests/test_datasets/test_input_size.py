"""The size of a network's input."""
import mmdet.datasets.transforms  # noqa: F401  (registers Resize)
import pytest

from mmsart.datasets.input_size import input_size


@pytest.mark.parametrize(('step', 'size'), [
    (dict(scale=(512, 512), keep_ratio=False), (512, 512)),
    (dict(scale=(1000, 260), keep_ratio=True), (260, 352)),
    (dict(scale_factor=0.5), (260, 352)),
    (dict(scale_factor=(0.5, 1.0)), (520, 352)),
])
def test_the_size_is_that_of_the_pipeline(step, size):
    assert input_size([dict(type='Load'), dict(type='Resize', **step)], 520, 704) == size
    assert input_size([dict(type='Load')], 520, 704) == (520, 704)


def test_each_resize_counts():
    steps = [dict(type='Resize', scale_factor=0.5), dict(type='Resize', scale_factor=0.5)]
    assert input_size(steps, 520, 704) == (130, 176)
