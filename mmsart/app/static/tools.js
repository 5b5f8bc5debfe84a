// Tools on the picture: select, draw, paint, split; by mouse and, with the cross, by keyboard.

import { $, toast } from './dom.js';

const STEP = 12, FINE = 1; // pixels of the screen that an arrow key moves the cross
const CLOSE = 9; // pixels of the screen: a click so near the first corner ends a polygon

const HINTS = {
  polygon: 'Click the corners; click the first one again or press Enter to finish, Esc to drop it.',
  brush: 'Paint a cell. What touches the selected cell is added to it.',
  erase: 'Erase from the selected cell, or from the first one that the brush meets.',
  split: 'Draw a line across a cell: click its points and press Enter, or drag.',
};
const LONG = 500; // milliseconds from which a finger or pen adds to what is selected, as Shift does
const RUBBER = 5; // the button that a pen's other end is

export class Tools {
  // `edit(request)` sends a correction; `onSelect` and `onHover` tell what is picked, `say` how far
  // a drawing is, for who does not see it.
  constructor(view, { edit, onSelect, onHover, say, label }) {
    Object.assign(this, { view, edit, onSelect, onHover, say, label });
    this.tool = 'select';
    this.points = [];
    this.pointer = null; // where the mouse is, in the image
    this.cross = null; // where the keyboard's cross is
    this.stroke = null;
    this.touching = new Map(); // pointers that are down, and where on the screen
    view.paintTool = context => this.paint(context);
    const box = view.box;
    box.addEventListener('pointerdown', event => this.#down(event));
    box.addEventListener('pointermove', event => this.#move(event));
    box.addEventListener('pointerup', event => this.#up(event));
    box.addEventListener('pointercancel', event => { this.touching.delete(event.pointerId); this.cancel(); });
    box.addEventListener('pointerleave', () => { this.pointer = null; this.#hover(null); });
    box.addEventListener('dblclick', event => { if (this.tool !== 'select' && this.points.length > 1) { event.preventDefault(); this.finish(); } });
    box.addEventListener('wheel', event => {
      event.preventDefault();
      const [x, y] = this.#place(event);
      view.zoom(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0015)), x, y);
    }, { passive: false });
    box.addEventListener('contextmenu', event => event.preventDefault());
    document.querySelectorAll('[data-tool]').forEach(button => button.addEventListener('click', () => this.use(button.dataset.tool)));
    $('brush-size').addEventListener('input', () => view.draw('overlay'));
    this.use('select');
  }

  get paints() { return this.tool === 'brush' || this.tool === 'erase'; }

  get radius() { return Number($('brush-size').value); }
  set radius(value) { $('brush-size').value = value; this.view.draw('overlay'); }

  use(tool) {
    this.cancel();
    this.tool = tool;
    document.querySelectorAll('[data-tool]').forEach(button => {
      button.setAttribute('aria-checked', String(button.dataset.tool === tool));
      button.tabIndex = button.dataset.tool === tool ? 0 : -1;
    });
    $('brush-group').hidden = !this.paints;
    $('hint').hidden = !(tool in HINTS) || !this.view.cells;
    $('hint').textContent = HINTS[tool] ?? '';
    this.say(HINTS[tool] ? `${tool}: ${HINTS[tool]}` : tool);
    this.#cursor();
  }

  cancel() {
    this.points = [];
    this.stroke = this.dragging = null;
    this.view.draw('overlay');
  }

  // End what is drawn and send it.
  finish() {
    const points = this.points, { tool } = this;
    this.cancel();
    if (tool === 'polygon' && points.length > 2) this.edit({ kind: 'draw', shape: 'polygon', points, label: this.label() });
    if (tool === 'split' && points.length > 1) this.#split(points);
  }

  #split(points) {
    const [id] = this.view.selected.size === 1 ? this.view.selected : [];
    this.edit(id === undefined ? { kind: 'split', points } : { kind: 'split', points, id });
  }

  #finishStroke() {
    const { points, erase } = this.stroke;
    this.stroke = null;
    if (!this.view.cells) { this.view.draw('overlay'); return; } // they are being loaded anew
    const shape = { shape: 'brush', points, radius: this.radius };
    const [id] = this.view.selected.size === 1 ? this.view.selected : [];
    if (erase) this.#erase(id ?? this.#firstBelow(points), shape);
    else if (id !== undefined) this.edit({ kind: 'extend', id, label: this.label(), ...shape });
    else this.edit({ kind: 'draw', label: this.label(), ...shape });
  }

  #erase(id, shape) {
    if (id === undefined) { toast('erase: found no cell below the brush, expected it to pass over one'); this.view.draw('overlay'); }
    else this.edit({ kind: 'erase', id, ...shape });
  }

  #firstBelow(points) {
    const { cells } = this.view, row = points.map(([x, y]) => cells.at(x, y)).find(each => each >= 0);
    return row === undefined ? undefined : cells.ids[row];
  }

  // Mouse and pen

  #place(event) {
    const { left, top } = this.view.box.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  #down(event) {
    if (!this.view.pyramid || event.target.closest('button')) return;
    this.view.box.focus({ preventScroll: true });
    this.view.box.setPointerCapture(event.pointerId);
    this.cross = null;
    const [x, y] = this.#place(event), at = this.view.toImage(x, y);
    this.touching.set(event.pointerId, [x, y]);
    if (this.touching.size > 1) { // a pinch; what the first finger has begun was not meant
      this.stroke = this.dragging = null;
      this.view.draw('overlay');
      return;
    }
    const rubber = event.button === RUBBER, pans = event.button !== 0 && !rubber;
    if (!pans && this.paints && this.view.cells) {
      this.stroke = { points: [at], erase: this.tool === 'erase' || event.altKey || rubber };
      this.view.draw('overlay');
      return;
    }
    this.dragging = { x, y, moved: false, pans: pans || this.tool === 'select' || this.tool === 'polygon', shift: event.shiftKey || event.ctrlKey || event.metaKey, since: event.timeStamp };
    if (!this.dragging.pans && this.tool === 'split') this.dragging.line = [at];
    this.#cursor();
  }

  #move(event) {
    const [x, y] = this.#place(event);
    if (this.touching.size > 1) { this.#pinch(event.pointerId, [x, y]); return; }
    const at = this.view.toImage(x, y);
    this.pointer = at;
    if (this.stroke) {
      const [lastX, lastY] = this.stroke.points.at(-1);
      if (Math.hypot(at[0] - lastX, at[1] - lastY) * this.view.scale > 1.5) this.stroke.points.push(at);
      this.view.draw('overlay');
      return;
    }
    const { dragging } = this;
    if (dragging) {
      if (!dragging.moved && Math.hypot(x - dragging.x, y - dragging.y) < 4) return;
      dragging.moved = true;
      if (dragging.pans) this.view.pan(x - dragging.x, y - dragging.y);
      else if (dragging.line) { dragging.line.push(at); this.view.draw('overlay'); }
      if (dragging.pans) { dragging.x = x; dragging.y = y; }
      this.#cursor();
      return;
    }
    this.#hover(at, x, y);
    if (this.tool !== 'select') this.view.draw('overlay');
  }

  // Two fingers: what lies between them stays there, and grows as they part.
  #pinch(pointer, place) {
    const [before, after] = [this.touching, new Map(this.touching).set(pointer, place)].map(touching => {
      const [[x1, y1], [x2, y2]] = touching.values();
      return { x: (x1 + x2) / 2, y: (y1 + y2) / 2, apart: Math.hypot(x2 - x1, y2 - y1) };
    });
    this.touching.set(pointer, place);
    this.view.pan(after.x - before.x, after.y - before.y);
    this.view.zoom(after.apart / Math.max(before.apart, 1), after.x, after.y);
  }

  #up(event) {
    this.touching.delete(event.pointerId);
    const { dragging } = this, [x, y] = this.#place(event);
    this.dragging = null;
    if (this.stroke) this.#finishStroke();
    else if (dragging?.line && dragging.moved) this.#split(dragging.line);
    else if (dragging && !dragging.moved && event.button === 0) {
      const long = event.pointerType !== 'mouse' && event.timeStamp - dragging.since > LONG;
      this.pick(this.view.toImage(x, y), dragging.shift || long);
    }
    this.#cursor();
  }

  // A click, by mouse or with the cross.
  pick(at, more) {
    const { view } = this;
    if (!view.cells) return;
    if (this.tool === 'polygon' || this.tool === 'split') {
      const [first] = this.points;
      if (this.tool === 'polygon' && this.points.length > 2 && Math.hypot(at[0] - first[0], at[1] - first[1]) * view.scale < CLOSE) { this.finish(); return; }
      this.points.push(at);
      this.say(`${this.tool}: ${this.points.length} point${this.points.length === 1 ? '' : 's'}`);
      view.draw('overlay');
      return;
    }
    const row = view.cells.at(...at), id = row < 0 ? null : view.cells.ids[row];
    if (!more) {
      const alone = view.selected.size === 1 && view.selected.has(id);
      view.selected.clear();
      if (id !== null && !alone) view.selected.add(id);
    } else if (id !== null && !view.selected.delete(id)) view.selected.add(id);
    view.draw('overlay');
    this.onSelect();
  }

  // What lies at a place of the image, found and true.
  #hover(at, x, y) {
    const { view } = this, [row, trueRow] = [view.cells, view.truth].map(cells => (at && cells ? cells.at(...at) : -1));
    if (row !== view.hovered) {
      view.hovered = row;
      view.draw('overlay');
    }
    this.onHover(row, trueRow, x, y);
    this.#cursor();
  }

  #cursor() {
    const pans = this.dragging?.pans && this.dragging.moved;
    this.view.box.dataset.cursor = pans ? 'grabbing' : this.tool !== 'select' ? 'crosshair' : this.view.hovered >= 0 ? 'pointer' : 'grab';
  }

  // Keyboard: a cross that arrow keys move; gives whether the key was taken.

  key(event) {
    const { view } = this;
    if (!view.pyramid) return false;
    const step = event.shiftKey ? FINE : STEP;
    const ways = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key in ways) { this.#moveCross(...ways[event.key]); return true; }
    if (event.key === ' ') { this.#space(event.shiftKey); return true; }
    if (event.key === 'Enter' && this.points.length) { this.finish(); return true; }
    return false;
  }

  #moveCross(dx, dy) {
    const { view } = this;
    const [pane] = view.panes;
    this.cross ??= this.pointer ?? view.toImage(pane.width / 2, pane.height / 2);
    this.cross = [this.cross[0] + dx / view.scale, this.cross[1] + dy / view.scale];
    this.cross = [Math.max(0, Math.min(view.pyramid.width - 0.01, this.cross[0])), Math.max(0, Math.min(view.pyramid.height - 0.01, this.cross[1]))];
    if (this.stroke) this.stroke.points.push(this.cross);
    view.reveal(...this.cross);
    const [x, y] = view.toScreen(...this.cross);
    this.#hover(this.cross, x, y);
    view.draw('overlay');
  }

  #space(more) {
    if (!this.cross) { this.#moveCross(0, 0); if (this.tool === 'select') return; }
    if (!this.paints) { this.pick(this.cross, more); return; }
    if (this.stroke) { this.#finishStroke(); this.say(`${this.tool}: ended`); return; }
    if (this.view.cells) this.stroke = { points: [this.cross], erase: more || this.tool === 'erase' };
    this.say(`${this.tool}: begun`);
    this.view.draw('overlay');
  }

  // Drop what is drawn; else go back to selecting; else select nothing.
  escape() {
    if (this.points.length || this.stroke) { this.cancel(); return; }
    if (this.tool !== 'select') { this.use('select'); return; }
    this.cross = null;
    this.view.selected.clear();
    this.view.draw('overlay');
    this.onSelect();
  }

  // Make the brush larger or smaller, by pixels.
  resize(by) { this.radius += by; }

  // Select the cell after or before the selected one, in the order of their numbers.
  next(way) {
    const { view } = this;
    if (!view.cells?.count) return;
    const rows = [...view.selected].map(id => view.cells.rows.get(id)).filter(row => row !== undefined);
    const last = rows.length ? rows.at(-1) : way > 0 ? -1 : view.cells.count;
    const row = (last + way + view.cells.count) % view.cells.count;
    view.selected = new Set([view.cells.ids[row]]);
    const [x1, y1, x2, y2] = view.cells.boxes.subarray(4 * row, 4 * row + 4);
    view.reveal((x1 + x2) / 2, (y1 + y2) / 2);
    view.draw('overlay');
    this.onSelect();
  }

  // What the tool shows, in pixels of the image.

  paint(context) {
    const { view } = this, width = 1 / view.scale;
    const line = (points, close) => {
      context.beginPath();
      points.forEach(([x, y], k) => k ? context.lineTo(x, y) : context.moveTo(x, y));
      if (close) context.closePath();
      for (const [colour, wide] of [['#000', 4], ['#fff', 2]]) {
        context.strokeStyle = colour;
        context.lineWidth = wide * width;
        context.stroke();
      }
    };
    const end = this.cross ?? this.pointer;
    if (this.points.length) line(end ? [...this.points, end] : this.points, this.tool === 'polygon');
    for (const [x, y] of this.points) {
      context.beginPath();
      context.arc(x, y, 4 * width, 0, 7);
      context.fillStyle = '#fff';
      context.fill();
      context.strokeStyle = '#000';
      context.lineWidth = width;
      context.stroke();
    }
    if (this.dragging?.line) line(this.dragging.line);
    if (this.stroke) {
      context.strokeStyle = this.stroke.erase ? '#d55e00aa' : '#ffffffaa';
      context.lineWidth = 2 * this.radius;
      context.lineCap = context.lineJoin = 'round';
      context.beginPath();
      this.stroke.points.forEach(([x, y], k) => k ? context.lineTo(x, y) : context.moveTo(x, y));
      const [x, y] = this.stroke.points[0];
      if (this.stroke.points.length === 1) context.lineTo(x + 0.01, y);
      context.stroke();
    }
    if (this.paints && end) {
      context.beginPath();
      context.arc(...end, this.radius, 0, 7);
      context.strokeStyle = '#fff';
      context.lineWidth = 1.5 * width;
      context.stroke();
    }
    if (this.cross) {
      const [x, y] = this.cross, arm = 11 * width;
      for (const [colour, wide] of [['#000', 4], ['#fff', 1.5]]) {
        context.strokeStyle = colour;
        context.lineWidth = wide * width;
        context.beginPath();
        context.moveTo(x - arm, y);
        context.lineTo(x + arm, y);
        context.moveTo(x, y - arm);
        context.lineTo(x, y + arm);
        context.stroke();
      }
    }
  }
}
