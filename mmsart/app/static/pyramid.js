// The picture of a frame in tiles, loaded as they are looked at.

import { pictureOf } from './api.js';

const MOST = 400; // tiles in memory
const TRIES = 4; // of a tile that does not come
const WAIT = 1000; // milliseconds before the second try, then twice as long each time

export class Pyramid {
  // `onLoad()` is called with each tile, `onFail(address)` where one does not come: it is asked for
  // again when it is looked at.
  constructor(item, frame, tile, { onLoad, onFail }) {
    this.address = tile => pictureOf(item, `frames/${frame}/tiles/${tile}`);
    this.width = item.facts.width;
    this.height = item.facts.height;
    this.tile = tile;
    Object.assign(this, { onLoad, onFail });
    this.sizes = [[this.width, this.height]];
    while (Math.max(...this.sizes.at(-1)) > tile) this.sizes.push(this.sizes.at(-1).map(side => Math.ceil(side / 2)));
    this.tiles = new Map();
  }

  get top() { return this.sizes.length - 1; }

  // Draw what is visible of the picture; the view gives pixels of the screen for one of the image.
  draw(context, scale, x1, y1, x2, y2) {
    const wanted = Math.max(0, Math.min(this.top, Math.floor(Math.log2(1 / scale) + 0.25)));
    context.imageSmoothingEnabled = scale < 3;
    context.imageSmoothingQuality = 'high';
    let complete = true;
    for (const level of wanted === this.top ? [this.top] : [this.top, wanted]) {
      const side = this.tile * 2 ** level;
      for (let row = Math.max(0, Math.floor(y1 / side)); row * side < Math.min(y2, this.height); row++) {
        for (let column = Math.max(0, Math.floor(x1 / side)); column * side < Math.min(x2, this.width); column++) {
          const image = this.get(level, column, row);
          if (!image) { complete = false; continue; }
          // The last column of a halved level may stand for half a pixel more than there is.
          context.drawImage(image, column * side, row * side, image.naturalWidth * 2 ** level, image.naturalHeight * 2 ** level);
        }
      }
    }
    return complete;
  }

  get(level, column, row) {
    const key = `${level}/${column}/${row}`;
    let entry = this.tiles.get(key);
    if (entry) {
      this.tiles.delete(key); // to the end: looked at last
      this.tiles.set(key, entry);
      return entry.ready ? entry.image : null;
    }
    entry = { image: null, ready: false };
    this.tiles.set(key, entry);
    this.#load(key, entry);
    if (this.tiles.size > MOST) this.tiles.delete(this.tiles.keys().next().value);
    return null;
  }

  async #load(key, entry) {
    for (let tries = 0; tries < TRIES && this.tiles.get(key) === entry; tries++) {
      if (tries) await new Promise(resolve => setTimeout(resolve, WAIT * 2 ** (tries - 1)));
      const image = new Image();
      image.decoding = 'async';
      image.src = this.address(key);
      try { await image.decode(); } catch { continue; }
      Object.assign(entry, { image, ready: true });
      this.onLoad();
      return;
    }
    if (this.tiles.get(key) !== entry) return; // not wanted any more
    this.tiles.delete(key);
    this.onFail(this.address(key));
  }

  // Grey values of the smallest level, for the contrast.
  greys() {
    const entry = this.tiles.get(`${this.top}/0/0`);
    if (!entry?.ready) return null;
    const canvas = new OffscreenCanvas(entry.image.naturalWidth, entry.image.naturalHeight);
    const context = canvas.getContext('2d');
    context.drawImage(entry.image, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const counts = new Uint32Array(256);
    for (let k = 0; k < data.length; k += 4) counts[data[k + 1]]++;
    return counts;
  }
}
