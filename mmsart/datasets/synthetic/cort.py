"""Cortical neurons: few rounded bodies in a mesh of thin neurites, among many dead cells."""
import numpy as np

from mmsart.datasets.synthetic.canvas import Canvas
from mmsart.datasets.synthetic.shapes import blob, polygon_area, rotate, walk
from mmsart.datasets.synthetic.sites import Sites


def grow_cort(canvas: Canvas, rng: np.random.Generator, number: int) -> None:
    """Fill a field with cells of this type.

    Args:
        canvas: an empty field; gets the cells, their neurites and the debris.
        rng: source of chance.
        number: cells to place; fewer where there is no more room.
    """
    sites = Sites(canvas, rng, clustering=0.3, patchiness=0.5)
    age = rng.random()  # young cultures have smooth neurites, old ones a mesh of fragments
    thickness = rng.uniform(70, 105)
    centres = []
    for attempt in range(6 * number + 60):
        if len(canvas.boxes) >= number:
            break
        cell = sites.cell_rng()
        area = float(np.clip(197 * np.exp(cell.normal(0, 0.48)), 45, 1200))
        centre, direction = sites.propose(cell, 1.3 * np.sqrt(area))
        shape = blob(cell, cell.uniform(1.05, 1.7), 1.0, 0.1)
        outline = rotate(shape * np.sqrt(area / polygon_area(shape)), direction) + centre
        if canvas.add([outline], thickness=thickness * cell.uniform(0.6, 1.5),
                      dome=cell.uniform(0.0, 0.3), texture=0.25,
                      max_hidden=0.15 + 0.5 * (attempt > 3 * number), min_area=40):
            centres.append(centre)
            _soma(canvas, cell, centre, np.sqrt(area) / 2)
    _neurites(canvas, rng, np.reshape(centres, (-1, 2)), age)
    _mesh(canvas, rng, np.reshape(centres, (-1, 2)), age)
    _debris(canvas, rng, age)


def _soma(canvas: Canvas, rng: np.random.Generator, centre: np.ndarray, radius: float) -> None:
    """Add the bright nucleus and the granules of a body."""
    canvas.add_dots(centre[None], np.array([0.5 * radius]), -rng.uniform(0, 30, 1))
    number = int(rng.integers(1, 5))
    places = centre + rng.normal(0, 0.4 * radius, (number, 2))
    canvas.add_dots(places, rng.uniform(1.0, 2.0, number), rng.uniform(-110, 80, number))


def _neurites(canvas: Canvas, rng: np.random.Generator, centres: np.ndarray, age: float) -> None:
    """Let dendrites and axons radiate from the bodies."""
    thick: list[np.ndarray] = []
    thin: list[np.ndarray] = []
    for centre in centres:
        number = int(rng.integers(2, 6 + int(10 * age)))
        heading = rng.uniform(0, 2 * np.pi, number)
        start = centre + 6 * np.stack([np.cos(heading), np.sin(heading)], 1)
        for path in walk(rng, start, heading, 40, 4.0, 0.09):
            length = int(np.clip(rng.exponential(11), 3, 40))
            thick.append(path[:min(length, 4)])
            thin.append(path[:length])
    canvas.add_lines(thick, 2, rng.uniform(15, 32), 0.5)
    canvas.add_lines(thin, 1, rng.uniform(40, 65), 0.35 + 0.6 * age)


def _mesh(canvas: Canvas, rng: np.random.Generator, centres: np.ndarray, age: float) -> None:
    """Add neurites whose bodies are elsewhere: long smooth ones, or short beaded ones."""
    share = canvas.height * canvas.width / 366080
    size = np.array([canvas.width, canvas.height])
    long = rng.poisson(share * rng.uniform(60, 170))
    start = rng.uniform(0, 1, (long, 2)) * size
    paths = walk(rng, start, rng.uniform(0, 2 * np.pi, long), 90, 4.0, 0.08)
    ends = np.clip(rng.exponential(32, long), 6, 90).astype(int)
    canvas.add_lines([path[:end] for path, end in zip(paths, ends, strict=True)], 1,
                     rng.uniform(28, 50), 0.3 + 0.6 * age)
    if age < 0.35 or not len(centres):
        return
    pieces = rng.poisson(share * 7000 * (age - 0.3) * rng.uniform(0.5, 1.2))
    source = centres[rng.integers(len(centres), size=pieces)]
    heading = rng.uniform(0, 2 * np.pi, pieces)
    distance = rng.gamma(2.0, 48, pieces) + 6
    start = source + distance[:, None] * np.stack([np.cos(heading), np.sin(heading)], 1)
    paths = walk(rng, start, heading + rng.normal(0, 0.35, pieces), 6, 1.7, 0.25)
    ends = rng.integers(2, 6, pieces)
    canvas.add_lines([path[:end] for path, end in zip(paths, ends, strict=True)], 1,
                     rng.uniform(35, 60), 1.3)


def _debris(canvas: Canvas, rng: np.random.Generator, age: float) -> None:
    """Add dead cells, round with a bright rim, single and in small heaps."""
    share = canvas.height * canvas.width / 366080
    size = np.array([canvas.width, canvas.height])
    heaps = rng.poisson(share * rng.uniform(60, 190))
    number = 1 + rng.geometric(0.75, heaps) - 1
    places = np.repeat(rng.uniform(0, 1, (heaps, 2)) * size, number, axis=0)
    places = places + rng.normal(0, 4, places.shape)
    radii = rng.gamma(9, 0.22, len(places)) + 0.6
    canvas.add_dots(places, radii, rng.uniform(140, 420, len(places)))
    canvas.add_dots(places + rng.normal(0, 0.8, places.shape), 0.4 * radii,
                    -rng.uniform(-60, 260, len(places)))
    specks = rng.poisson(share * (40 + 500 * age * rng.random()))
    canvas.add_dots(rng.uniform(0, 1, (specks, 2)) * size, rng.uniform(0.6, 1.3, specks),
                    rng.uniform(25, 110, specks))
