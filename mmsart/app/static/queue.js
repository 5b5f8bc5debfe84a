// The list of pictures: progress and states, and what is done with them.

import { pictureOf, postJson, remove } from './api.js';
import { $, confirmed, duration, element, guarded, number } from './dom.js';

export const toDo = item => ['waiting', 'running'].includes(item.state);

export class Queue {
  // `open(id)` shows a picture, `reread(id)` asks how to read it and finds its cells anew, `changed()`
  // asks for news, and `sending` says what is on its way.
  constructor({ open, reread, changed, sending }) {
    Object.assign(this, { open, reread, changed, sending });
    this.items = [];
    this.rows = new Map();
    const ask = action => guarded(async () => { await postJson('/api/queue', { action: action() }); this.changed(); });
    $('pause').addEventListener('click', ask(() => (this.paused ? 'resume' : 'pause')));
    $('cancel').addEventListener('click', ask(() => { this.sending.cancel(); return 'cancel'; }));
    $('run-stopped').addEventListener('click', ask(() => 'again'));
    $('clear').addEventListener('click', guarded(async () => {
      const done = this.items.filter(item => !toDo(item));
      if (!await confirmed(`Remove ${done.length} pictures with their cells and corrections from the workspace? Files in folders of yours stay.`)) return;
      await postJson('/api/queue', { action: 'clear' });
      this.changed();
    }));
  }

  update(state) {
    this.paused = state.paused;
    this.secondsLeft = state.seconds_left;
    if (state.items) this.items = state.items;
    this.#showItems();
    this.showProgress();
  }

  showProgress() {
    const left = this.items.filter(toDo), sending = this.sending.count;
    const stopped = this.items.filter(item => item.state === 'stopped').length;
    $('progress').hidden = !left.length && !sending;
    $('clear').hidden = left.length === this.items.length;
    $('reread-all').hidden = this.items.length < 2;
    $('run-stopped').hidden = !stopped;
    $('run-stopped').textContent = stopped === 1 ? 'Run the cancelled one' : `Run ${stopped} cancelled`;
    const parts = [];
    if (sending) parts.push(`sending ${sending}`);
    if (left.length) parts.push(`${left.length} to do`);
    if (this.paused) parts.push('paused');
    else if (left.length && this.secondsLeft !== null && this.secondsLeft !== undefined) parts.push(`about ${duration(this.secondsLeft)} left`);
    const text = parts.join(' · ');
    if ($('progress-text').value !== text) $('progress-text').value = text;
    $('pause').textContent = this.paused ? 'Resume' : 'Pause';
    // Of what was in the queue since it was empty last.
    if (!left.length) this.batch = new Set();
    this.batch ??= new Set();
    left.forEach(item => this.batch.add(item.id));
    const known = this.items.filter(item => this.batch.has(item.id));
    const share = known.reduce((sum, item) => sum + (toDo(item) ? item.progress : 1), 0);
    $('progress-bar').value = known.length ? share / known.length : 0;
  }

  // Where all is one above the other, the list is below the picture.
  #show(id) {
    this.open(id);
    document.querySelector('.stage').scrollIntoView({ block: 'nearest' });
  }

  select(id) {
    this.current = id;
    this.#showItems();
  }

  // Move the selection by keyboard.
  step(way) {
    const at = this.items.findIndex(item => item.id === this.current);
    const next = this.items[Math.max(0, Math.min(this.items.length - 1, at + way))];
    if (next && next.id !== this.current) this.#show(next.id);
  }

  #showItems() {
    const list = $('items'), wanted = new Set(this.items.map(item => item.id));
    let left = -1; // where a row has taken the keyboard's place with it
    for (const [id, row] of this.rows) {
      if (wanted.has(id)) continue;
      if (row.root.contains(document.activeElement)) left = [...list.children].indexOf(row.root);
      row.root.remove();
      this.rows.delete(id);
    }
    this.items.forEach((item, k) => {
      let row = this.rows.get(item.id);
      if (!row) {
        row = this.#makeRow(item);
        this.rows.set(item.id, row);
      }
      if (list.children[k] !== row.root) list.insertBefore(row.root, list.children[k] ?? null);
      row.show(item, item.id === this.current);
    });
    if (left >= 0) ([...list.children].at(left)?.querySelector('.item') ?? list.lastElementChild?.querySelector('.item') ?? $('add-files')).focus();
  }

  #makeRow(first) {
    const thumb = element('img', { class: 'thumb', alt: '', loading: 'lazy', width: '48', height: '48' });
    const name = element('span', { class: 'name' }), what = element('span', { class: 'what' });
    const bar = element('progress', { max: '1', 'aria-hidden': 'true' });
    const button = element('button', { type: 'button', class: 'item', onclick: () => this.#show(first.id) }, thumb, element('span', {}, name, what, bar));
    const stop = element('button', { type: 'button', title: 'Cancel or remove', onclick: guarded(() => this.#drop(first.id)) }, '✕');
    const again = element('button', { type: 'button', title: 'Find the cells anew, read in another way if you like', onclick: () => this.reread(first.id) }, '↻');
    const root = element('li', {}, button, element('span', { class: 'side' }, stop, again));
    return {
      root, show: (item, current) => {
        root.classList.toggle('current', current);
        button.setAttribute('aria-current', current ? 'true' : 'false');
        if (name.textContent !== item.name) { name.textContent = item.name; name.title = item.name; }
        const picture = pictureOf(item, 'thumbnail');
        if (thumb.getAttribute('src') !== picture) thumb.src = picture;
        const text = describe(item);
        if (what.textContent !== text) what.textContent = text;
        what.classList.toggle('failed', Boolean(item.error));
        what.title = item.error;
        bar.hidden = item.state !== 'running';
        bar.value = item.progress;
        stop.setAttribute('aria-label', `${toDo(item) ? 'Cancel' : 'Remove'} ${item.name}`);
        again.setAttribute('aria-label', `Find the cells of ${item.name} anew`);
        again.hidden = toDo(item);
      } };
  }

  async #drop(id) {
    const item = this.items.find(each => each.id === id);
    if (toDo(item)) await postJson(`/api/items/${id}`, { action: 'cancel' });
    else {
      if (item.state === 'done' && !await confirmed(`Remove ${item.name} with its cells${item.edits ? ' and corrections' : ''} from the workspace?`)) return;
      await remove(`/api/items/${id}`);
    }
    this.changed();
  }
}

function describe(item) {
  const error = item.error.startsWith(`${item.name}: `) ? item.error.slice(item.name.length + 2) : item.error;
  if (item.state === 'failed') return error;
  if (item.state === 'running') return `looking … ${Math.round(100 * item.progress)} %`;
  if (item.state === 'waiting') return 'waiting';
  if (item.state === 'stopped') return 'cancelled';
  return [count(item.facts), notes(item.facts), item.edits && 'corrected', item.checked && '✓ checked', error && `as before, since finding them anew failed: ${error}`].filter(Boolean).join(' · ');
}

// Warnings stand in the panel of a picture that is open: the list says which ones to open.
function notes({ warnings: { length } }) { return length && `⚠ ${length} note${length === 1 ? '' : 's'}`; }

// Counts follow thresholds in the background: they are said when they are known.
function count({ counts, counted, frames, unreadable }) {
  if (counted < frames) return frames > 1 ? `counting … ${Math.floor(100 * counted / frames)} %` : 'counting …';
  const all = counts.reduce((sum, each) => sum + each, 0);
  const damaged = unreadable ? ` · ${unreadable === 1 ? 'a frame' : `${unreadable} frames`} cannot be read` : '';
  return `${number(all)} cell${all === 1 ? '' : 's'}${frames > 1 ? ` in ${frames} frames` : ''}${damaged}`;
}
