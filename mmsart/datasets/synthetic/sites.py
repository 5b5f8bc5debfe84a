"""Where the cells of a field sit and which way they lie."""
import numpy as np

from mmsart.datasets.synthetic.canvas import Canvas, smooth_noise


class Sites:
    """Propose cells' places, in clusters and along a common direction.

    Each cell has a source of chance of its own, so that a cell that finds no room does not change
    the cells after it: pictures of one field stay alike when its cells move a little.

    Args:
        canvas: the field.
        rng: source of chance.
        clustering: share of the cells that settle beside an earlier one.
        patchiness: 0 for an even field, larger for fields with bare ground.
    """

    def __init__(self, canvas: Canvas, rng: np.random.Generator, clustering: float,
                 patchiness: float) -> None:
        self.canvas = canvas
        self.clustering = clustering
        coarse = -(-canvas.height // 8), -(-canvas.width // 8)
        self.density = np.exp(patchiness * smooth_noise(rng, *coarse, 9))
        self.density /= self.density.max()
        self.direction = 1.2 * smooth_noise(rng, *coarse, 14) + rng.uniform(0, np.pi)
        self._seed = int(rng.integers(2 ** 62))
        self._proposed: list[tuple[float, float, float]] = []

    def cell_rng(self) -> np.random.Generator:
        """Return the next cell's own source of chance."""
        return np.random.default_rng([self._seed, len(self._proposed)])

    def propose(self, rng: np.random.Generator, size: float) -> tuple[np.ndarray, float]:
        """Propose one place.

        Args:
            rng: the cell's source of chance.
            size: diameter of the cell in pixels.

        Returns:
            The centre xy in pixels, and the direction there in radians.
        """
        height, width = self.canvas.height, self.canvas.width
        if self._proposed and rng.random() < self.clustering:
            x, y, other = self._proposed[int(rng.random() * len(self._proposed))]
            angle = self._direction_at(x, y) + rng.normal(0, 0.9)
            distance = rng.choice([-1, 1]) * (size + other) / 2
            x, y = x + distance * np.cos(angle), y + distance * np.sin(angle)
        else:
            for _ in range(8):
                x, y = rng.uniform(0, width), rng.uniform(0, height)
                if rng.random() < self.density[int(y) // 8, int(x) // 8]:
                    break
        x, y = float(np.clip(x, 1, width - 1)), float(np.clip(y, 1, height - 1))
        self._proposed.append((x, y, size))
        angle = self._direction_at(x, y) + rng.normal(0, 0.35)
        return np.array([x, y]) + self.canvas.drift(), angle

    def _direction_at(self, x: float, y: float) -> float:
        row = min(max(int(y) // 8, 0), self.direction.shape[0] - 1)
        column = min(max(int(x) // 8, 0), self.direction.shape[1] - 1)
        return float(self.direction[row, column])
