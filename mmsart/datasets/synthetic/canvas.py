"""The optical thickness of a field of view, the instances placed in it, and its photograph."""
from collections.abc import Sequence

import cv2
import numpy as np

from mmsart.datasets.synthetic.shapes import rasterise


class Canvas:
    """A field of view under construction.

    Phase contrast shows differences of optical thickness: the microscope takes the wide
    surroundings' mean away, so that a thick body is dark within a bright rim, the halo, and a
    flat one shows little but its edge. The canvas therefore adds up thickness; :meth:`develop`
    takes the photograph.

    Args:
        height: image height in pixels.
        width: image width in pixels.
        rng: source of chance for textures.
        frame_rng: source of chance for what differs between two pictures of one field: the
            cells' small movements and the noise.
    """

    def __init__(self, height: int, width: int, rng: np.random.Generator,
                 frame_rng: np.random.Generator) -> None:
        self.height = height
        self.width = width
        self.frame_rng = frame_rng
        self.bodies = np.zeros((height, width), np.float32)
        self.details = np.zeros((height, width), np.float32)
        self.taken = np.zeros((height, width), np.uint8)
        self.boxes: list[tuple[int, int, int, int]] = []
        self.patches: list[np.ndarray] = []
        self.grain = smooth_noise(rng, height, width, 0.9)
        self.lumps = smooth_noise(rng, height, width, 1.6)

    def drift(self) -> np.ndarray:
        """Draw how far a cell moved from its place, xy in pixels."""
        return self.frame_rng.normal(0, 1.5, 2)

    def add(self, polygons: Sequence[np.ndarray], *, thickness: float, dome: float,
            texture: float, max_hidden: float = 0.3, overlap: int = 1,
            min_area: int = 30) -> bool:
        """Put a cell in if there is room.

        Args:
            polygons: outlines whose union is the cell, each (P, 2), xy in pixels.
            thickness: optical thickness in grey levels of contrast.
            dome: height of the rounded middle, 0 for a flat cell, about 1 for a round one.
            texture: size of the inner structures as a share of the thickness.
            max_hidden: share of the cell that may lie where other cells are; it is cut away,
                but for a seam.
            overlap: width of the seam in pixels that the cell shares with those it touches.
            min_area: a cell with fewer visible pixels is left out.

        Returns:
            Whether the cell was put in.
        """
        drawn = rasterise(polygons, self.height, self.width)
        if drawn is None:
            return False
        box, coverage = drawn
        x1, y1, x2, y2 = box
        mask = coverage >= 128
        taken = self.taken[y1:y2, x1:x2]
        area = int(mask.sum())
        hidden = int((mask & (taken > 0)).sum())
        if area < min_area or hidden > max_hidden * area:
            return False
        if hidden:
            mask = self._cut(mask, taken, overlap)
            if mask.sum() < max(min_area, area // 2):
                return False
            coverage = np.where(mask, coverage, 0).astype(np.uint8)
        self.raise_patch(box, coverage, thickness, dome, texture)
        taken[mask] = 1
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        top, left, bottom, right = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
        self.boxes.append((x1 + int(left), y1 + int(top), x1 + int(right), y1 + int(bottom)))
        self.patches.append(mask[top:bottom, left:right].astype(np.uint8))
        return True

    @staticmethod
    def _cut(mask: np.ndarray, taken: np.ndarray, overlap: int) -> np.ndarray:
        """Keep the largest piece of a mask outside the taken pixels, and a seam into them."""
        core = cv2.erode(taken, np.ones((3, 3), np.uint8), iterations=overlap) if overlap else taken
        free = (mask & (core == 0)).astype(np.uint8)
        number, labels, stats, _ = cv2.connectedComponentsWithStats(free, connectivity=4)
        if number < 2:
            return np.zeros_like(mask)
        return labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))

    def raise_patch(self, box: tuple[int, int, int, int], coverage: np.ndarray,
                    thickness: float, dome: float, texture: float) -> None:
        """Add the thickness of one body.

        Args:
            box: half-open x1, y1, x2, y2 in pixels.
            coverage: uint8 (y2 - y1, x2 - x1), 0 to 255.
            thickness: optical thickness in grey levels of contrast.
            dome: height of the rounded middle as a share of the thickness.
            texture: size of the inner structures as a share of the thickness.
        """
        x1, y1, x2, y2 = box
        profile = coverage.astype(np.float32) / 255
        structure = self.lumps[y1:y2, x1:x2] + 0.6 * self.grain[y1:y2, x1:x2]
        height = 1 + texture * structure
        if dome:
            inside = cv2.copyMakeBorder(
                (coverage >= 128).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
            depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1]
            height = height + dome * np.sqrt(depth / max(float(depth.max()), 1.0))
        self.bodies[y1:y2, x1:x2] += profile * height * np.float32(thickness)

    def add_lines(self, paths: Sequence[np.ndarray], width: int, thickness: float,
                  beads: float) -> None:
        """Add thin processes.

        Args:
            paths: curves, each (P, 2), xy in pixels.
            width: line width in pixels.
            thickness: optical thickness in grey levels of contrast.
            beads: 0 for even lines, about 1 for lines that break up into beads.
        """
        if not paths:
            return
        layer = np.zeros((self.height, self.width), np.uint8)
        fixed = [np.round((path - 0.5) * 16).astype(np.int32) for path in paths]
        cv2.polylines(layer, fixed, False, (255,), width, cv2.LINE_AA, 4)
        strength = layer.astype(np.float32) * np.float32(thickness / 255)
        if beads:
            strength *= np.maximum(1 + beads * (0.7 * self.lumps + 0.5 * self.grain), 0)
        self.details += strength

    def add_dots(self, centres: np.ndarray, radii: np.ndarray, thickness: np.ndarray) -> None:
        """Add small round bodies.

        Args:
            centres: (K, 2), xy in pixels.
            radii: (K,), in pixels.
            thickness: (K,), optical thickness of each; below 0 for bodies that light up.
        """
        for (x, y), radius, value in zip(centres, radii, thickness, strict=True):
            reach = int(radius) + 2
            x1, y1 = max(int(x) - reach, 0), max(int(y) - reach, 0)
            x2, y2 = min(int(x) + reach + 1, self.width), min(int(y) + reach + 1, self.height)
            if x1 >= x2 or y1 >= y2:
                continue
            rows, columns = np.ogrid[y1:y2, x1:x2]
            distance = np.hypot(columns + 0.5 - x, rows + 0.5 - y)
            edge = np.clip(radius + 0.5 - distance, 0, 1)
            shape = edge * np.clip(1.3 - distance / radius / 2, 0, 1)
            self.details[y1:y2, x1:x2] += (value * shape).astype(np.float32)

    def develop(self, *, sharpness: float, halo: float, noise: float) -> np.ndarray:
        """Photograph the field.

        Args:
            sharpness: standard deviation of the lens's blur in pixels.
            halo: standard deviation of the surroundings whose mean is taken away, in pixels.
            noise: standard deviation of the noise in grey levels.

        Returns:
            uint8 (height, width), with a mean of about 128.
        """
        # A body slopes down to its edge; lines and granules are as sharp as the lens.
        thickness = cv2.GaussianBlur(self.bodies, (0, 0), 0.45) + self.details
        near = cv2.GaussianBlur(thickness, (0, 0), sharpness)
        contrast = 1.03 * (cv2.GaussianBlur(thickness, (0, 0), halo) - near)
        rng = self.frame_rng
        shade = cv2.resize(
            rng.standard_normal((4, 5), np.float32), (self.width, self.height),
            interpolation=cv2.INTER_CUBIC)
        film = smooth_noise(rng, self.height, self.width, 0.5)
        grey = 128 + contrast + np.float32(noise) * film + np.float32(0.2) * shade
        return np.clip(np.rint(grey - (grey.mean() - 128)), 0, 255).astype(np.uint8)


def smooth_noise(rng: np.random.Generator, height: int, width: int, sigma: float) -> np.ndarray:
    """Draw noise of a given grain.

    Args:
        rng: source of chance.
        height: rows.
        width: columns.
        sigma: standard deviation of the smoothing in pixels.

    Returns:
        float32 (height, width), mean 0, standard deviation 1.
    """
    noise = cv2.GaussianBlur(rng.standard_normal((height, width), np.float32), (0, 0), sigma)
    deviation = float(noise.std())
    return (noise - noise.mean()) / np.float32(deviation or 1.0)
