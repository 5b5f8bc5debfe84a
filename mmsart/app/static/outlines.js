// From pixels to outlines: walks along the edges of pixels, and paths to draw.

const DX = [1, 0, -1, 0], DY = [0, 1, 0, -1]; // right, down, left, up

// Trace the edges of a patch (w x h, row by row). Gives rings as Int32Array of corners x, y in the
// image, a step of one pixel each; the inside lies to the right. Pieces that touch at a corner only
// are rings of their own, as the server counts them.
export function traceRings(patch, width, height, left, top) {
  const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && patch[y * width + x] === 1;
  const seen = new Uint8Array(patch.length); // upper edges of pixels that a ring went along
  const rings = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!inside(x, y) || inside(x, y - 1) || seen[y * width + x]) continue;
      const ring = [];
      let px = x, py = y, way = 0;
      do {
        ring.push(px + left, py + top);
        if (way === 0) seen[py * width + px] = 1;
        px += DX[way];
        py += DY[way];
        // The pixels ahead, to the right and to the left of the way.
        const [ax, ay] = [px + (way === 0 || way === 1 ? 0 : -1), py + (way === 1 || way === 2 ? 0 : -1)];
        const [rx, ry] = [[ax, py], [px - 1, ay], [ax, py - 1], [px, ay]][way];
        const [lx, ly] = [[ax, py - 1], [px, ay], [ax, py], [px - 1, ay]][way];
        if (!inside(rx, ry)) way = (way + 1) % 4;
        else if (inside(lx, ly)) way = (way + 3) % 4;
      } while (px !== x || py !== y || way !== 0);
      rings.push(Int32Array.from(ring));
    }
  }
  return rings;
}

// Add rings to a path. `step` is the least distance of corners in pixels: 0 follows every pixel's
// edge; above it the middles of the edges are joined, which is smooth where pixels are small.
export function addRings(path, rings, step) {
  for (const ring of rings) {
    if (step === 0) addExact(path, ring);
    else addSmooth(path, ring, step);
    path.closePath();
  }
}

function addExact(path, ring) {
  const n = ring.length;
  path.moveTo(ring[0], ring[1]);
  for (let k = 2; k < n; k += 2) {
    const next = (k + 2) % n;
    const straight = (ring[k] - ring[k - 2] === ring[next] - ring[k]) && (ring[k + 1] - ring[k - 1] === ring[next + 1] - ring[k + 1]);
    if (!straight) path.lineTo(ring[k], ring[k + 1]);
  }
}

function addSmooth(path, ring, step) {
  const n = ring.length, least = step * step;
  let lastX = (ring[0] + ring[2]) / 2, lastY = (ring[1] + ring[3]) / 2;
  path.moveTo(lastX, lastY);
  for (let k = 2; k < n; k += 2) {
    const next = (k + 2) % n;
    const x = (ring[k] + ring[next]) / 2, y = (ring[k + 1] + ring[next + 1]) / 2;
    if ((x - lastX) ** 2 + (y - lastY) ** 2 < least) continue;
    path.lineTo(x, y);
    lastX = x;
    lastY = y;
  }
}
