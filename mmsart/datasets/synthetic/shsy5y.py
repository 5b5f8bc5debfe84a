"""Neuroblastoma cells: many small flat bodies side by side, thin processes, clumps of debris."""
import numpy as np

from mmsart.datasets.synthetic.canvas import Canvas
from mmsart.datasets.synthetic.shapes import blob, corners, polygon_area, rotate, walk
from mmsart.datasets.synthetic.sites import Sites


def grow_shsy5y(canvas: Canvas, rng: np.random.Generator, number: int) -> None:
    """Fill a field with cells of this type.

    Args:
        canvas: an empty field; gets the cells, their processes and the debris.
        rng: source of chance.
        number: cells to place; fewer where there is no more room.
    """
    sites = Sites(canvas, rng, clustering=0.58, patchiness=0.45)
    crowding = number / (canvas.height * canvas.width) * 1086  # 1 for 337 cells on 520 x 704
    median = 190 * max(crowding, 0.7) ** -0.35
    thickness = rng.uniform(55, 80)
    links = rng.uniform(0.4, 0.9)
    near: list[np.ndarray] = []
    far: list[np.ndarray] = []
    for attempt in range(6 * number + 60):
        if len(canvas.boxes) >= number:
            break
        cell = sites.cell_rng()
        area = float(np.clip(median * np.exp(cell.normal(0, 0.62)), 45, 1500))
        centre, direction = sites.propose(cell, 1.1 * np.sqrt(area))
        is_round = cell.random() < 0.1
        outline = _outline(cell, area * (0.6 if is_round else 1.0), is_round)
        outline = rotate(outline, direction) + centre
        placed = canvas.add(
            [outline], thickness=thickness * cell.uniform(0.6, 1.5) * (1.6 if is_round else 1),
            dome=1.2 if is_round else 0.5, texture=0.22,
            max_hidden=0.25 + 0.4 * (attempt > 3 * number), min_area=40)
        if placed and is_round:
            _refract(canvas, cell, centre, np.sqrt(area) / 2)
        elif placed and cell.random() < 0.85:
            _sprout(cell, outline, centre, near, far)
    _link(canvas, rng, links, far)
    canvas.add_lines(near, 2, 0.4 * thickness, 0.3)
    canvas.add_lines(far, 1, 0.5 * thickness, 0.4)
    _clumps(canvas, rng, rng.poisson(0.07 * number))


def _outline(rng: np.random.Generator, area: float, is_round: bool) -> np.ndarray:
    """Draw an outline of a given area around (0, 0), long along x."""
    if is_round:
        shape = blob(rng, 1.0, rng.uniform(0.8, 1.0), 0.06)
    elif rng.random() < 0.3:
        shape = blob(rng, rng.uniform(1.4, 4.0), 1.0, 0.15)
    else:
        shape = corners(rng, rng.uniform(1.3, 3.4), 1.0, int(rng.choice([2, 3, 4, 4])))
    shape = shape * (1 + 0.04 * rng.normal(size=(len(shape), 1)))
    return shape * np.sqrt(area / polygon_area(shape))


def _refract(canvas: Canvas, rng: np.random.Generator, centre: np.ndarray, radius: float) -> None:
    """Light up spots within a rounded cell."""
    number = int(rng.integers(1, 4))
    spots = centre + rng.normal(0, 0.4 * radius, (number, 2))
    canvas.add_dots(spots, rng.uniform(1.5, 3, number), -rng.uniform(40, 160, number))


def _sprout(rng: np.random.Generator, outline: np.ndarray, centre: np.ndarray,
            near: list[np.ndarray], far: list[np.ndarray]) -> None:
    """Let processes leave a body from the points that lie farthest out."""
    offset = outline - centre
    distance = np.hypot(*offset.T)
    tips = np.argsort(distance)[::-1][[0, len(distance) // 3]][:int(rng.integers(1, 3))]
    heading = np.arctan2(offset[tips, 1], offset[tips, 0])
    for path in walk(rng, outline[tips] - 0.15 * offset[tips], heading, 16, 3.5, 0.09):
        length = int(np.clip(rng.exponential(8), 3, 16))
        near.append(path[:3])
        far.append(path[2:length + 2])


def _link(canvas: Canvas, rng: np.random.Generator, share: float, far: list[np.ndarray]) -> None:
    """Stretch thin processes from cell to cell."""
    boxes = np.reshape(canvas.boxes, (-1, 4)).astype(float)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    for centre in centres[rng.random(len(centres)) < share]:
        distance = np.hypot(*(centres - centre).T)
        reach = np.flatnonzero((distance > 15) & (distance < rng.uniform(25, 140)))
        if not len(reach):
            continue
        other = centres[reach[int(rng.random() * len(reach))]]
        step = np.linspace(0, 1, 10)[:, None]
        sag = rng.normal(0, 0.06) * np.sin(np.pi * step) * (other - centre)[::-1] * (-1, 1)
        far.append(centre + step * (other - centre) + sag)


def _clumps(canvas: Canvas, rng: np.random.Generator, number: int) -> None:
    """Add heaps of blebs: dark rims around bright middles. They are not cells of the truth."""
    for _ in range(number):
        if canvas.boxes and rng.random() < 0.7:
            x1, y1, x2, y2 = canvas.boxes[rng.integers(len(canvas.boxes))]
            centre = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
        else:
            centre = rng.uniform(0, 1, 2) * (canvas.width, canvas.height)
        blebs = int(np.clip(rng.exponential(9), 2, 40))
        spread = 1.5 * np.sqrt(blebs)
        places = centre + rng.normal(0, spread, (blebs, 2))
        radii = rng.uniform(1.6, 3.8, blebs)
        canvas.add_dots(places, radii, rng.uniform(50, 170, blebs))
        canvas.add_dots(places + rng.normal(0, 0.7, places.shape), 0.55 * radii,
                        -rng.uniform(60, 330, blebs))
