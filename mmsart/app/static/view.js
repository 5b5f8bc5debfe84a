// The view: where on the picture we are, and drawing it. Three canvases lie on each other: the
// picture, the cells, and whatever a tool shows.

import { colouring, TRUTH } from './colours.js';
import { $ } from './dom.js';

const MANY = 1200; // visible cells from which paths of whole colours are kept
const TOGETHER = 24; // cells in a path: what browsers take to add to one grows with its length
const LINE = 1.6; // pixels of the screen
const MARGIN = 0.96; // of the window that a whole picture takes

export class View {
  constructor() {
    this.box = $('view');
    this.canvases = ['picture', 'cells', 'overlay'].map($);
    this.contexts = this.canvases.map(canvas => canvas.getContext('2d'));
    this.pyramid = this.cells = this.truth = null;
    this.classColours = [];
    this.look = { draw: 'outline', colour: 'class', opacity: 0.9, truth: 'off' };
    this.selected = new Set();
    this.hovered = -1;
    this.scale = 1;
    this.x = this.y = 0; // of the image, at the window's corner
    this.fitted = true; // until the user zooms or moves it, also when the window changes
    this.paintTool = () => {};
    this.onView = () => {};
    this.dirty = new Set();
    this.paths = new Map();
    new ResizeObserver(() => this.#resize()).observe(this.box);
    this.#resize();
  }

  // What is shown

  show(pyramid, keepPlace) {
    const same = keepPlace && this.pyramid && this.pyramid.width === pyramid?.width && this.pyramid.height === pyramid?.height;
    this.pyramid = pyramid;
    this.cells = this.truth = null;
    this.selected.clear();
    this.hovered = -1;
    this.paths.clear();
    if (pyramid && !same) this.fit();
    this.draw();
  }

  setCells(cells) {
    this.cells = cells;
    this.hovered = -1;
    this.selected = new Set([...this.selected].filter(id => cells.rows.has(id)));
    this.paths.clear();
    this.draw('cells', 'overlay');
  }

  setTruth(truth) { this.truth = truth; this.paths.clear(); this.draw(); }
  setLook(change) {
    Object.assign(this.look, change);
    if ('colour' in change) this.paths.clear();
    this.draw('picture', 'cells', 'overlay');
  }

  // Places. A pane is the part of the window that shows the picture once.

  get panes() {
    const { clientWidth: width, clientHeight: height } = this.box;
    if (this.look.truth !== 'beside' || !this.truth) return [{ left: 0, width, height, truth: false }];
    const half = Math.floor(width / 2);
    return [{ left: 0, width: half, height, truth: false }, { left: half, width: width - half, height, truth: true }];
  }
  toImage(x, y) {
    const pane = this.panes.findLast(each => x >= each.left) ?? this.panes[0];
    return [this.x + (x - pane.left) / this.scale, this.y + y / this.scale];
  }
  toScreen(x, y) { return [(x - this.x) * this.scale, (y - this.y) * this.scale]; }

  fit() {
    const { width, height } = this.panes[0];
    if (!this.pyramid || !width || !height) return;
    this.scale = MARGIN * Math.min(width / this.pyramid.width, height / this.pyramid.height);
    this.x = (this.pyramid.width - width / this.scale) / 2;
    this.y = (this.pyramid.height - height / this.scale) / 2;
    this.fitted = true;
    this.#moved();
  }
  zoom(factor, x = this.panes[0].width / 2, y = this.panes[0].height / 2) {
    if (!this.pyramid) return;
    const pane = this.panes.findLast(each => x >= each.left) ?? this.panes[0];
    const [ix, iy] = this.toImage(x, y);
    const least = 0.2 * Math.min(1, pane.width / this.pyramid.width, pane.height / this.pyramid.height);
    this.scale = Math.min(40, Math.max(least, this.scale * factor));
    this.fitted = false;
    this.x = ix - (x - pane.left) / this.scale;
    this.y = iy - y / this.scale;
    this.#moved();
  }
  pan(dx, dy) {
    if (dx || dy) this.fitted = false;
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
    this.#moved();
  }
  reveal(x, y) {
    const { width, height } = this.panes[0], margin = 30;
    const [sx, sy] = this.toScreen(x, y);
    this.pan(sx < margin ? margin - sx : sx > width - margin ? width - margin - sx : 0,
      sy < margin ? margin - sy : sy > height - margin ? height - margin - sy : 0);
  }
  #moved() {
    if (!this.pyramid) return;
    const { width, height } = this.panes[0], rest = 40 / this.scale; // something stays in sight
    this.x = Math.max(rest - width / this.scale, Math.min(this.pyramid.width - rest, this.x));
    this.y = Math.max(rest - height / this.scale, Math.min(this.pyramid.height - rest, this.y));
    this.draw();
    this.onView();
  }

  // Drawing

  draw(...layers) {
    const begin = !this.dirty.size;
    for (const layer of layers.length ? layers : ['picture', 'cells', 'overlay']) this.dirty.add(layer);
    if (begin) requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    const layers = this.dirty;
    this.dirty = new Set();
    const [picture, cells, overlay] = this.contexts;
    if (layers.has('picture')) this.#drawPicture(picture);
    if (layers.has('cells')) {
      this.#drawCells(cells);
      this.box.dataset.drawn = Number(this.box.dataset.drawn ?? 0) + 1; // what tests wait for
      this.box.dataset.cells = this.cells?.count ?? '';
    }
    if (layers.has('overlay')) this.#drawOverlay(overlay);
  }

  #clear(context) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  }
  #enter(context, pane) {
    const ratio = this.ratio, scale = this.scale * ratio;
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.beginPath();
    context.rect(pane.left * ratio, 0, pane.width * ratio, pane.height * ratio);
    context.clip();
    context.setTransform(scale, 0, 0, scale, (pane.left - this.x * this.scale) * ratio, -this.y * this.scale * ratio);
  }
  #window(pane) { return [this.x, this.y, this.x + pane.width / this.scale, this.y + pane.height / this.scale]; }

  #drawPicture(context) {
    this.#clear(context);
    this.box.dataset.picture = '';
    if (!this.pyramid) return;
    let complete = true;
    for (const pane of this.panes) {
      this.#enter(context, pane);
      complete = this.pyramid.draw(context, this.scale * this.ratio, ...this.#window(pane)) && complete;
      context.restore();
    }
    this.box.dataset.picture = complete ? 'whole' : 'loading';
  }

  #drawCells(context) {
    this.#clear(context);
    if (!this.cells || !this.pyramid) return;
    for (const pane of this.panes) {
      this.#enter(context, pane);
      const beside = pane.truth;
      const shown = beside ? this.truth : this.cells;
      if (this.look.draw !== 'none' || beside) this.#drawSet(context, shown, this.#window(pane), beside ? 'truth' : 'cells');
      if (this.look.truth === 'over' && this.truth) {
        context.globalAlpha = 1;
        this.#strokeAll(context, this.truth, this.#window(pane), TRUTH, [5 / this.scale, 3 / this.scale]);
      }
      context.restore();
    }
    const panes = this.panes;
    if (panes.length > 1) {
      context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      context.fillStyle = '#fff';
      context.fillRect(panes[1].left - 1, 0, 2, panes[1].height);
      context.font = '13px system-ui, sans-serif';
      for (const pane of panes) {
        const text = pane.truth ? 'truth' : 'found';
        const width = context.measureText(text).width;
        context.fillStyle = '#101418cc';
        context.fillRect(pane.left + 8, 8, width + 14, 22);
        context.fillStyle = '#fff';
        context.fillText(text, pane.left + 15, 24);
      }
    }
  }

  // Least distance of an outline's corners: exact from 4 pixels of the screen for one of the image.
  get step() { return this.scale >= 4 ? 0 : this.scale >= 0.75 ? 1 : 2 ** Math.ceil(Math.log2(1 / this.scale)); }

  #drawSet(context, cells, area, name) {
    const { of, colours } = colouring(name === 'truth' && this.look.colour === 'score' ? 'class' : this.look.colour, cells, cells.header.colours ?? this.classColours);
    const groups = this.#groups(cells, area, of, colours.length, name);
    context.globalAlpha = this.look.opacity;
    context.lineJoin = 'round';
    const line = Math.min(LINE, Math.max(0.8, LINE * Math.sqrt(this.scale))) / this.scale;
    groups.forEach((paths, k) => paths.forEach(path => {
      if (groups.few && this.look.draw === 'outline') { // a dark rim lets every colour stand out on grey
        context.strokeStyle = '#00000080';
        context.lineWidth = line + 1.8 / this.scale;
        context.stroke(path);
      }
      context.lineWidth = line;
      if (this.look.draw === 'fill') {
        context.fillStyle = colours[k];
        context.globalAlpha = this.look.opacity * 0.6;
        context.fill(path, 'evenodd');
        context.globalAlpha = this.look.opacity;
      }
      context.strokeStyle = colours[k];
      context.stroke(path);
    }));
  }

  // Paths of each colour: of all cells, kept from frame to frame, or of the visible ones.
  #groups(cells, area, of, count, name) {
    const visible = cells.within(...area);
    const all = visible.length > MANY;
    const key = `${name} ${this.step} ${this.look.colour}`;
    if (all && this.paths.has(key)) return this.paths.get(key);
    const members = Array.from({ length: count }, () => []);
    if (all) for (let i = 0; i < cells.count; i++) members[of(i)].push(i);
    else for (const i of visible) members[of(i)].push(i);
    const groups = members.map(rows => this.#pathsOf(cells, rows));
    if (all) this.paths.set(key, groups);
    groups.few = !all;
    return groups;
  }

  #pathsOf(cells, rows) {
    const paths = [];
    rows.forEach((i, k) => {
      if (k % TOGETHER === 0) paths.push(new Path2D());
      cells.addOutline(paths.at(-1), i, this.step);
    });
    return paths;
  }

  #strokeAll(context, cells, area, colour, dash) {
    const paths = this.#pathsOf(cells, cells.within(...area));
    context.setLineDash(dash);
    for (const [style, width] of [['#000', 2.6], [colour, LINE]]) {
      context.strokeStyle = style;
      context.lineWidth = width / this.scale;
      paths.forEach(path => context.stroke(path));
    }
    context.setLineDash([]);
  }

  #drawOverlay(context) {
    this.#clear(context);
    if (!this.pyramid) return;
    const [pane] = this.panes;
    this.#enter(context, pane);
    if (this.cells) {
      const chosen = [...this.selected].map(id => this.cells.rows.get(id)).filter(i => i !== undefined);
      if (chosen.length) this.#emphasise(context, chosen, 3);
      if (this.hovered >= 0) this.#emphasise(context, [this.hovered], 2);
    }
    this.paintTool(context);
    context.restore();
  }

  #emphasise(context, rows, width) {
    const path = new Path2D();
    for (const i of rows) this.cells.addOutline(path, i, this.step);
    context.lineJoin = 'round';
    context.strokeStyle = '#000';
    context.lineWidth = (width + 2.5) / this.scale;
    context.stroke(path);
    context.strokeStyle = '#fff';
    context.lineWidth = width / this.scale;
    context.stroke(path);
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.box;
    this.ratio = window.devicePixelRatio || 1;
    for (const canvas of this.canvases) {
      canvas.width = Math.max(1, Math.round(width * this.ratio));
      canvas.height = Math.max(1, Math.round(height * this.ratio));
    }
    if (this.fitted) this.fit();
    this.dirty = new Set(['picture', 'cells', 'overlay']);
    this.drawNow();
  }
}
