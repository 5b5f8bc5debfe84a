// The list of pictures: adding, progress, states.

import { pictureOf, postJson, remove, upload } from './api.js';
import { $, confirmed, duration, element, guarded, number, toast } from './dom.js';

const AT_ONCE = 3; // uploads
const TRUTH = /\.(csv|json)$/i;

export class Queue {
  // `open(id)` shows a picture, `reading()` gives options of reading, `changed()` asks for news.
  constructor({ open, reading, reread, changed }) {
    Object.assign(this, { open, reading, reread, changed });
    this.items = [];
    this.rows = new Map();
    this.sending = [];
    this.underway = 0;
    const input = $('file-input');
    $('add-files').addEventListener('click', () => input.click());
    input.addEventListener('change', () => { this.add(input.files); input.value = ''; });
    $('pause').addEventListener('click', guarded(async () => { await postJson('/api/queue', { action: this.paused ? 'resume' : 'pause' }); this.changed(); }));
    $('cancel').addEventListener('click', guarded(async () => { this.sending = []; await postJson('/api/queue', { action: 'cancel' }); this.changed(); }));
    $('clear').addEventListener('click', guarded(async () => {
      const done = this.items.filter(item => !['waiting', 'running'].includes(item.state));
      if (!await confirmed(`Remove ${done.length} pictures with their cells and corrections from the workspace? Files in folders of yours stay.`)) return;
      await postJson('/api/queue', { action: 'clear' });
      this.changed();
    }));
    const { body } = document;
    body.addEventListener('dragover', event => { event.preventDefault(); this.#over(true); });
    body.addEventListener('dragleave', event => { if (!event.relatedTarget) this.#over(false); });
    body.addEventListener('drop', event => { event.preventDefault(); this.#over(false); this.#dropped(event.dataTransfer); });
  }

  #over(on) { for (const id of ['drop', 'view']) $(id).classList.toggle('over', on); }

  async #dropped(transfer) {
    const entries = [...transfer.items].map(each => each.webkitGetAsEntry?.()).filter(Boolean);
    if (!entries.some(entry => entry.isDirectory)) { this.add(transfer.files); return; }
    const files = [];
    for (const entry of entries) await collect(entry, files);
    this.add(files.filter(file => /\.(png|tiff?|jpe?g|bmp|webp|gif|lsm|czi|nd2|lif|csv|json)$/i.test(file.name)));
  }

  add(files) {
    const read = JSON.stringify(this.reading());
    for (const file of files) this.sending.push({ file, read });
    while (this.underway < AT_ONCE && this.sending.length) this.#sendNext();
    this.#showProgress();
  }

  async #sendNext() {
    const { file, read } = this.sending.shift();
    this.underway++;
    try {
      if (file.size > this.uploadBytes) throw new Error(`${file.name}: ${number(Math.round(file.size / 1e6))} MB, expected at most ${number(Math.round(this.uploadBytes / 1e6))} MB; add its folder instead`);
      if (TRUTH.test(file.name)) {
        const { images, pictures, found } = await upload(`/api/truth?${new URLSearchParams({ name: file.name })}`, file);
        toast(`${file.name}: truth of ${images} pictures, ${found} of the ${pictures} here that are done`);
      } else await upload(`/api/files?${new URLSearchParams({ name: file.name, read })}`, file);
    } catch (error) {
      toast(error.message);
    }
    this.underway--;
    this.changed();
    if (this.sending.length) this.#sendNext();
    this.#showProgress();
  }

  update(state) {
    this.paused = state.paused;
    this.secondsLeft = state.seconds_left;
    if (state.upload_bytes) this.uploadBytes = state.upload_bytes;
    if (state.items) this.items = state.items;
    this.#showItems();
    this.#showProgress();
  }

  #showProgress() {
    const open = this.items.filter(item => ['waiting', 'running'].includes(item.state));
    const sending = this.sending.length + this.underway;
    $('progress').hidden = !open.length && !sending;
    $('clear').hidden = !this.items.some(item => !['waiting', 'running'].includes(item.state));
    const parts = [];
    if (sending) parts.push(`sending ${sending}`);
    if (open.length) parts.push(`${open.length} to do`);
    if (this.paused) parts.push('paused');
    else if (open.length && this.secondsLeft !== null && this.secondsLeft !== undefined) parts.push(`about ${duration(this.secondsLeft)} left`);
    const text = parts.join(' · ');
    if ($('progress-text').value !== text) $('progress-text').value = text;
    $('pause').textContent = this.paused ? 'Resume' : 'Pause';
    // Of what was in the queue since it was empty last.
    if (!open.length) this.batch = new Set();
    this.batch ??= new Set();
    open.forEach(item => this.batch.add(item.id));
    const known = this.items.filter(item => this.batch.has(item.id));
    const share = known.reduce((sum, item) => sum + (['waiting', 'running'].includes(item.state) ? item.progress : 1), 0);
    $('progress-bar').value = known.length ? share / known.length : 0;
  }

  select(id) {
    this.current = id;
    this.#showItems();
  }

  // Move the selection by keyboard.
  step(way) {
    const at = this.items.findIndex(item => item.id === this.current);
    const next = this.items[Math.max(0, Math.min(this.items.length - 1, at + way))];
    if (next && next.id !== this.current) this.open(next.id);
  }

  #showItems() {
    const list = $('items'), wanted = new Set(this.items.map(item => item.id));
    for (const [id, row] of this.rows) if (!wanted.has(id)) { row.root.remove(); this.rows.delete(id); }
    this.items.forEach((item, k) => {
      let row = this.rows.get(item.id);
      if (!row) {
        row = this.#makeRow(item);
        this.rows.set(item.id, row);
      }
      if (list.children[k] !== row.root) list.insertBefore(row.root, list.children[k] ?? null);
      row.show(item, item.id === this.current);
    });
  }

  #makeRow(first) {
    const thumb = element('img', { class: 'thumb', alt: '', loading: 'lazy', width: '48', height: '48' });
    const name = element('span', { class: 'name' }), what = element('span', { class: 'what' });
    const bar = element('progress', { max: '1', 'aria-hidden': 'true' });
    const button = element('button', { type: 'button', class: 'item', onclick: () => this.open(first.id) }, thumb, element('span', {}, name, what, bar));
    const stop = element('button', { type: 'button', title: 'Cancel or remove', onclick: guarded(() => this.#drop(first.id)) }, '✕');
    const again = element('button', { type: 'button', title: 'Run again', onclick: guarded(() => this.#again(first.id)) }, '↻');
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
        what.classList.toggle('failed', item.state === 'failed');
        what.title = item.error;
        bar.hidden = item.state !== 'running';
        bar.value = item.progress;
        stop.setAttribute('aria-label', `${['waiting', 'running'].includes(item.state) ? 'Cancel' : 'Remove'} ${item.name}`);
        again.setAttribute('aria-label', `Run ${item.name} again`);
        again.hidden = ['waiting', 'running'].includes(item.state);
      } };
  }

  async #drop(id) {
    const item = this.items.find(each => each.id === id);
    if (['waiting', 'running'].includes(item.state)) await postJson(`/api/items/${id}`, { action: 'cancel' });
    else {
      if (item.state === 'done' && !await confirmed(`Remove ${item.name} with its cells${item.edits ? ' and corrections' : ''} from the workspace?`)) return;
      await remove(`/api/items/${id}`);
    }
    this.changed();
  }

  async #again(id) {
    const item = this.items.find(each => each.id === id);
    if (item.edits && !await confirmed(`Find the cells of ${item.name} anew? Its corrections are lost then.`, 'Find anew')) return;
    if (item.state === 'failed') { this.reread(item); return; }
    await postJson(`/api/items/${id}`, { action: 'again' });
    this.changed();
  }
}

function describe(item) {
  if (item.state === 'failed') return item.error.startsWith(`${item.name}: `) ? item.error.slice(item.name.length + 2) : item.error;
  if (item.state === 'running') return `looking … ${Math.round(100 * item.progress)} %`;
  if (item.state === 'waiting') return 'waiting';
  if (item.state === 'stopped') return 'cancelled';
  return `${count(item.facts)}${item.edits ? ' · corrected' : ''}${item.checked ? ' · ✓ checked' : ''}`;
}

// Counts follow thresholds in the background: they are said when they are known.
function count({ counts, counted, frames, unreadable }) {
  if (counted < frames) return frames > 1 ? `counting … ${Math.floor(100 * counted / frames)} %` : 'counting …';
  const all = counts.reduce((sum, each) => sum + each, 0);
  const damaged = unreadable ? ` · ${unreadable === 1 ? 'a frame' : `${unreadable} frames`} cannot be read` : '';
  return `${number(all)} cell${all === 1 ? '' : 's'}${frames > 1 ? ` in ${frames} frames` : ''}${damaged}`;
}

async function collect(entry, files) {
  if (entry.isFile) { files.push(await new Promise((resolve, reject) => entry.file(resolve, reject))); return; }
  const reader = entry.createReader();
  for (;;) {
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!part.length) return;
    for (const each of part) await collect(each, files);
  }
}
