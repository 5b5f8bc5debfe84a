// The cells of a frame, decoded from the server's block: exact pixels, looked up by place.

import { addRings, traceRings } from './outlines.js';

const BUCKET = 64; // pixels of the side of a square of the index of places

export class Cells {
  constructor(buffer) {
    const view = new DataView(buffer);
    const headerLength = view.getUint32(0, true);
    this.header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, headerLength)));
    const n = this.count = this.header.count;
    this.width = this.header.width;
    this.height = this.header.height;
    const padded = Math.ceil(n / 4) * 4;
    let at = 4 + headerLength;
    const take = (Kind, length, bytes) => { const made = new Kind(buffer, at, length); at += bytes; return made; };
    this.ids = take(Int32Array, n, 4 * n);
    this.boxes = take(Int32Array, 4 * n, 16 * n);
    this.scores = take(Float32Array, n, 4 * n);
    this.labels = take(Int32Array, n, 4 * n);
    this.made = take(Uint8Array, n, padded);
    this.bits = new Uint8Array(buffer, at);
    this.begins = new Float64Array(n + 1);
    for (let i = 0; i < n; i++) this.begins[i + 1] = this.begins[i] + this.boxWidth(i) * this.boxHeight(i);
    this.areas = this.#countPixels();
    this.rows = new Map();
    for (let i = 0; i < n; i++) this.rows.set(this.ids[i], i);
    this.rings = new Array(n);
    this.#index();
  }

  boxWidth(i) { return this.boxes[4 * i + 2] - this.boxes[4 * i]; }
  boxHeight(i) { return this.boxes[4 * i + 3] - this.boxes[4 * i + 1]; }

  // Whether the mask of cell i holds the pixel.
  holds(i, x, y) {
    const left = this.boxes[4 * i], top = this.boxes[4 * i + 1];
    if (x < left || y < top || x >= this.boxes[4 * i + 2] || y >= this.boxes[4 * i + 3]) return false;
    return this.#bit(this.begins[i] + (y - top) * this.boxWidth(i) + x - left) === 1;
  }

  // The cell at a place of the image, or -1; the one with the best score where masks overlap.
  at(x, y) {
    const column = Math.floor(x / BUCKET), row = Math.floor(y / BUCKET);
    if (x < 0 || y < 0 || column >= this.columns || row >= this.bucketRows) return -1;
    for (const i of this.bucket(column, row)) if (this.holds(i, Math.floor(x), Math.floor(y))) return i;
    return -1;
  }

  bucket(column, row) {
    const k = row * this.columns + column;
    return this.members.subarray(this.splits[k], this.splits[k + 1]);
  }

  // Cells whose box meets a rectangle, each once, in order.
  within(x1, y1, x2, y2) {
    const found = [];
    for (let i = 0; i < this.count; i++) {
      if (this.boxes[4 * i] < x2 && this.boxes[4 * i + 2] > x1 && this.boxes[4 * i + 1] < y2 && this.boxes[4 * i + 3] > y1) found.push(i);
    }
    return found;
  }

  // Closed walks along the edges of the pixels of cell i, see outlines.js.
  outline(i) {
    if (!this.rings[i]) this.rings[i] = traceRings(this.patch(i), this.boxWidth(i), this.boxHeight(i), this.boxes[4 * i], this.boxes[4 * i + 1]);
    return this.rings[i];
  }

  // Add the outline of cell i to a path. `step` is the least distance of corners in pixels: 0
  // follows every pixel's edge. From 2 on, where a pixel of the screen holds several of the image,
  // the ends of some rows will do: tracing thousands of cells would keep a slider waiting.
  addOutline(path, i, step) {
    if (step >= 2) this.#addRowEnds(path, i, step);
    else addRings(path, this.outline(i), step);
  }

  #addRowEnds(path, i, step) {
    const left = this.boxes[4 * i], top = this.boxes[4 * i + 1], width = this.boxWidth(i), height = this.boxHeight(i);
    const right = [];
    let begun = false;
    for (let y = 0; y < height; y = y < height - 1 ? Math.min(y + step, height - 1) : height) {
      const begin = this.begins[i] + y * width;
      let first = 0, last = width - 1;
      while (first < width && !this.#bit(begin + first)) first++;
      if (first === width) continue;
      while (!this.#bit(begin + last)) last--;
      const at = top + (y === height - 1 ? y + 1 : y); // the first row's upper edge, the last one's lower
      if (begun) path.lineTo(left + first, at);
      else path.moveTo(left + first, at);
      begun = true;
      right.push(left + last + 1, at);
    }
    for (let k = right.length - 2; k >= 0; k -= 2) path.lineTo(right[k], right[k + 1]);
    if (begun) path.closePath();
  }

  patch(i) {
    const size = this.begins[i + 1] - this.begins[i], pixels = new Uint8Array(size);
    for (let k = 0, at = this.begins[i]; k < size; k++, at++) pixels[k] = this.#bit(at);
    return pixels;
  }

  #bit(at) { return (this.bits[Math.floor(at / 8)] >> (7 - at % 8)) & 1; } // more than 2^31 may be

  #countPixels() {
    const areas = new Uint32Array(this.count), ones = new Uint8Array(256);
    for (let k = 1; k < 256; k++) ones[k] = ones[k >> 1] + (k & 1);
    for (let i = 0; i < this.count; i++) {
      let at = this.begins[i], sum = 0;
      const end = this.begins[i + 1];
      while (at < end && at % 8) sum += this.#bit(at++);
      while (at + 8 <= end) { sum += ones[this.bits[at / 8]]; at += 8; }
      while (at < end) sum += this.#bit(at++);
      areas[i] = sum;
    }
    return areas;
  }

  #index() {
    this.columns = Math.max(1, Math.ceil(this.width / BUCKET));
    this.bucketRows = Math.max(1, Math.ceil(this.height / BUCKET));
    const counts = new Uint32Array(this.columns * this.bucketRows + 1);
    const visit = action => {
      for (let i = 0; i < this.count; i++) {
        const [x1, y1, x2, y2] = [0, 1, 2, 3].map(k => this.boxes[4 * i + k]);
        for (let row = Math.floor(y1 / BUCKET); row * BUCKET < y2; row++) {
          for (let column = Math.floor(x1 / BUCKET); column * BUCKET < x2; column++) action(row * this.columns + column, i);
        }
      }
    };
    visit(k => { counts[k + 1]++; });
    for (let k = 1; k < counts.length; k++) counts[k] += counts[k - 1];
    this.splits = counts;
    this.members = new Uint32Array(counts[counts.length - 1]);
    const next = counts.slice();
    visit((k, i) => { this.members[next[k]++] = i; });
  }
}
