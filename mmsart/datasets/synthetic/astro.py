"""Astrocytes: large, thin, of irregular form, with long arms that belong to the cell."""
import cv2
import numpy as np

from mmsart.datasets.synthetic.canvas import Canvas
from mmsart.datasets.synthetic.shapes import blob, corners, polygon_area, ribbon, rotate, walk
from mmsart.datasets.synthetic.sites import Sites

_KINDS = ('star', 'spindle', 'flat', 'round')


def grow_astro(canvas: Canvas, rng: np.random.Generator, number: int) -> None:
    """Fill a field with cells of this type.

    Args:
        canvas: an empty field; gets the cells, their inner structures and the debris.
        rng: source of chance.
        number: cells to place; fewer where there is no more room.
    """
    sites = Sites(canvas, rng, clustering=0.5, patchiness=1.0)
    crowding = number / (canvas.height * canvas.width) * 4576  # 1 for 80 cells on 520 x 704
    median = 690 * max(crowding, 0.5) ** -0.3
    mix = rng.dirichlet((3, 4, 3, 1.2))
    thickness = rng.uniform(50, 80)
    for attempt in range(6 * number + 60):
        if len(canvas.boxes) >= number:
            break
        cell = sites.cell_rng()
        kind = _KINDS[int(cell.choice(4, p=mix))]
        area = median * np.exp(cell.normal(0, 0.75)) * (0.35 if kind == 'round' else 1.0)
        area = float(np.clip(area, 80, 9000))
        centre, direction = sites.propose(cell, 1.2 * np.sqrt(area))
        shape = _shape(cell, kind, area)
        placed = canvas.add(
            [rotate(part, direction) + centre for part in shape],
            thickness=thickness * _strength(cell, kind), dome=1.0 if kind == 'round' else 0.35,
            texture=0.16 if kind == 'flat' else 0.25,
            max_hidden=0.3 + 0.4 * (attempt > 3 * number), overlap=1 + int(cell.random() < 0.3),
            min_area=60)
        if placed:
            _inner(canvas, cell, kind, centre, area)
            _annotate_badly(canvas, cell)
    _debris(canvas, rng)


def _strength(rng: np.random.Generator, kind: str) -> float:
    """Draw the optical thickness of a cell as a share of the field's."""
    low, high = {'star': (0.9, 1.8), 'spindle': (0.8, 1.7), 'flat': (0.3, 0.65),
                 'round': (1.5, 3.0)}[kind]
    return float(rng.uniform(low, high))


def _shape(rng: np.random.Generator, kind: str, area: float) -> list[np.ndarray]:
    """Draw the parts of a cell of about the given area around (0, 0)."""
    if kind == 'round':
        parts = [blob(rng, 1.0, rng.uniform(0.85, 1.0), 0.05)]
    elif kind == 'flat':
        outline = corners(rng, rng.uniform(1.2, 3.2), 1.0, int(rng.integers(3, 6)))
        parts = [_frayed(rng, outline, 0.035)]
    elif kind == 'spindle':
        parts = [_frayed(rng, corners(rng, rng.uniform(2.5, 5.5), 1.0, 2), 0.02)]
        ends = np.array([1.0, -1.0])[:, None] * (np.ptp(parts[0][:, 0]) / 2, 0)
        parts += _arms(rng, 0.6 * ends, np.array([0, np.pi]), 0.45, rng.exponential(3.0, 2) + 1)
    else:
        number = int(rng.integers(3, 7))
        angle = 2 * np.pi * (np.arange(number) + rng.uniform(-0.35, 0.35, number)) / number
        start = 0.3 * np.stack([np.cos(angle), np.sin(angle)], 1)
        parts = [_frayed(rng, corners(rng, rng.uniform(1.4, 2.4), 1.2, number), 0.03)]
        parts += _arms(rng, start, angle, 0.36, rng.exponential(2.2, number) + 0.6)
    scale = np.sqrt(area / (0.93 * sum(polygon_area(part) for part in parts)))
    return [part * scale for part in parts]


def _arms(rng: np.random.Generator, start: np.ndarray, heading: np.ndarray, width: float,
          lengths: np.ndarray) -> list[np.ndarray]:
    """Draw arms that taper and end in a small foot; in units of the body's width."""
    arms = []
    taper = np.append(np.linspace(1, 0.3, 8) ** 1.3, [0.25, 0.4, 0.3])
    for path, length in zip(walk(rng, start, heading, 10, 0.1, 0.09), lengths, strict=True):
        wobble = 1 + 0.15 * rng.normal(size=11)
        arms.append(ribbon(path[0] + (path - path[0]) * length, width * taper * wobble))
    return arms


def _frayed(rng: np.random.Generator, outline: np.ndarray, size: float) -> np.ndarray:
    """Roughen an edge by a share of the radius."""
    step = np.linspace(0, 1, 4, endpoint=False)[None, :, None]
    dense = outline[:, None] * (1 - step) + np.roll(outline, -1, 0)[:, None] * step
    dense = dense.reshape(-1, 2)
    return dense * (1 + size * rng.normal(size=(len(dense), 1)))


def _inner(canvas: Canvas, rng: np.random.Generator, kind: str, centre: np.ndarray,
           area: float) -> None:
    """Add nucleus and granules."""
    size = np.sqrt(area)
    if kind == 'flat':
        canvas.add_dots(centre[None], np.array([np.clip(size / 6, 3, 8)]), np.array([-12.0]))
        number = int(rng.integers(3, 6 + int(size / 4)))
        places = centre + rng.normal(0, size / 7, (number, 2))
        canvas.add_dots(places, rng.uniform(0.8, 1.6, number), rng.uniform(-40, 90, number))
        return
    number = int(rng.integers(1, 4))
    places = centre + rng.normal(0, size / 12, (number, 2))
    bright = -rng.uniform(40, 200, number) if kind == 'round' else rng.uniform(-70, 150, number)
    canvas.add_dots(places, rng.uniform(1.2, 2.6, number), bright)


def _annotate_badly(canvas: Canvas, rng: np.random.Generator) -> None:
    """Replace some masks by what hurried annotators leave: crude polygons, empty insides."""
    draw = rng.random()
    patch = canvas.patches[-1]
    if draw < 0.05:
        contours, _ = cv2.findContours(patch, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        crude = np.zeros_like(patch)
        rough = [cv2.approxPolyDP(contour, 4.0, True) for contour in contours]
        cv2.fillPoly(crude, rough, (1,))
    elif draw < 0.065:
        framed = cv2.copyMakeBorder(patch, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
        core = cv2.erode(framed, np.ones((3, 3), np.uint8), iterations=3)[1:-1, 1:-1]
        crude = patch & (1 - core)
    else:
        return
    if crude.sum() >= 0.25 * patch.sum():
        canvas.patches[-1] = crude


def _debris(canvas: Canvas, rng: np.random.Generator) -> None:
    """Add dark specks and a few round dead cells. They are not cells of the truth."""
    share = canvas.height * canvas.width / 366080
    size = np.array([canvas.width, canvas.height])
    specks = rng.poisson(share * rng.uniform(10, 110))
    canvas.add_dots(rng.uniform(0, 1, (specks, 2)) * size, rng.uniform(0.6, 1.5, specks),
                    rng.uniform(15, 130, specks))
    dead = rng.poisson(share * rng.uniform(3, 22))
    places = rng.uniform(0, 1, (dead, 2)) * size
    radii = rng.uniform(2.5, 5.5, dead)
    canvas.add_dots(places, radii, rng.uniform(70, 190, dead))
    canvas.add_dots(places + rng.normal(0, 1, places.shape), 0.5 * radii,
                    -rng.uniform(80, 330, dead))
