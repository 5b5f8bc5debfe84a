// Files on their way to the server, and those that it has not got, with the reason.

import { upload } from './api.js';
import { $, element, number, toast } from './dom.js';

const AT_ONCE = 3; // uploads
const MOST_SHOWN = 100; // files that are not added
const TRUTH = ['.csv', '.json'];
const OWN_FOLDER = '.mmsart'; // in a folder of results

const ending = name => (/\.[^./]+$/.exec(name)?.[0] ?? '').toLowerCase();

export class Sending {
  // `reading()` gives options of reading, `rereadAs(ids)` asks whether pictures are to be read by
  // them, `changed()` asks for news, `shown()` is told of progress.
  constructor({ reading, rereadAs, changed, shown }) {
    Object.assign(this, { reading, rereadAs, changed, shown });
    this.waiting = []; // of { name, read, open }; `open` gives the file, `twice` adds it in another way, too
    this.underway = 0; // files, and folders that are looked through
    this.refused = []; // of { name, why, file, id }; a file can be tried again, an id is of the one that it is
    const input = $('file-input');
    $('add-files').addEventListener('click', () => input.click());
    input.addEventListener('change', () => { this.#addFiles(input.files); input.value = ''; });
    const { body } = document;
    body.addEventListener('dragover', event => { event.preventDefault(); this.#over(true); });
    body.addEventListener('dragleave', event => { if (!event.relatedTarget) this.#over(false); });
    body.addEventListener('drop', event => { event.preventDefault(); this.#over(false); this.#dropped(event.dataTransfer); });
    $('refused-retry').addEventListener('click', () => this.#add(this.#takeOut(each => each.file && !each.id).map(each => each.file)));
    $('refused-twice').addEventListener('click', () => this.#add(this.#takeOut(each => each.id).map(each => ({ ...each.file, twice: true }))));
    $('refused-anew').addEventListener('click', () => this.#readAnew());
    $('refused-close').addEventListener('click', () => { this.refused = []; this.#show(); });
    addEventListener('beforeunload', event => { if (this.count) event.preventDefault(); });
  }

  get count() { return this.waiting.length + this.underway; }

  // What the server takes.
  update({ upload_bytes: bytes, suffixes }) {
    if (bytes) Object.assign(this, { bytes, suffixes: [...suffixes, ...TRUTH] });
  }

  cancel() {
    for (const file of this.waiting) this.#refuse(file.name, 'cancelled', file);
    this.waiting = [];
    this.#show();
  }

  #over(on) { for (const id of ['drop', 'view']) $(id).classList.toggle('over', on); }

  #takes(name) { return !this.suffixes || this.suffixes.includes(ending(name)); }

  async #dropped(transfer) {
    const entries = [...transfer.items].map(each => each.webkitGetAsEntry?.()).filter(Boolean);
    if (!entries.some(entry => entry.isDirectory)) { this.#addFiles(transfer.files); return; }
    const found = [], others = new Set();
    this.underway++;
    for (const entry of entries) await this.#list(entry, found, others);
    this.underway--;
    if (others.size) this.#refuse('files of other kinds', [...others].sort().join(' '));
    this.#add(found);
  }

  // Look through a folder that was dropped; files keep their path in it as a name.
  async #list(entry, found, others) {
    const name = entry.fullPath.replace(/^\//, '');
    if (entry.name.startsWith('.')) return;
    if (entry.isFile) {
      // Tables in folders are of many kinds, and one that is taken replaces the truth that is there.
      if (TRUTH.includes(ending(name)) && name.includes('/')) this.#refuse(name, 'it is in a folder: drop it by itself to show it as truth');
      else if (this.#takes(name)) found.push({ name, open: () => new Promise((resolve, reject) => entry.file(resolve, reject)) });
      else others.add(ending(name) || name);
      return;
    }
    try {
      const reader = entry.createReader(), inside = [];
      for (;;) {
        const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!part.length) break;
        inside.push(...part);
      }
      if (inside.some(each => each.name === OWN_FOLDER)) this.#refuse(name, 'it is a folder of results: drop pictures that are in it by themselves');
      else for (const each of inside) await this.#list(each, found, others);
    } catch (error) {
      this.#refuse(name, error.message);
    }
  }

  #addFiles(files) { this.#add([...files].map(file => ({ name: file.name, open: async () => file }))); }

  #add(files) {
    const read = JSON.stringify(this.reading());
    for (const file of files) {
      if (this.#takes(file.name)) this.waiting.push({ read, ...file });
      else this.#refuse(file.name, ending(file.name) ? `files ending in ${ending(file.name)} are not read` : 'files without an ending are not read');
    }
    while (this.underway < AT_ONCE && this.waiting.length) this.#sendNext();
    this.#show();
  }

  async #sendNext() {
    const next = this.waiting.shift(), { name, read, twice = false } = next;
    this.underway++;
    try {
      const file = await next.open();
      if (file.size > this.bytes) this.#refuse(name, `${number(Math.round(file.size / 1e6))} MB, expected at most ${number(Math.round(this.bytes / 1e6))} MB; add its folder instead`);
      else if (TRUTH.includes(ending(name))) {
        const { images, pictures, found } = await upload(`/api/truth?${new URLSearchParams({ name })}`, file);
        toast(`${name}: truth of ${images} picture${images === 1 ? '' : 's'}, ${found} of the ${pictures} here that are done`);
      } else {
        const { id, outcome } = await upload(`/api/files?${new URLSearchParams({ name, read, twice })}`, file);
        if (outcome === 'known') this.#refuse(name, 'it is in the list already');
        if (outcome === 'differs') this.#refuse(name, 'it is in the list already, but read in another way than “Reading…” says now', next, id);
      }
    } catch (error) {
      const final = error.status >= 400 && error.status < 500;
      this.#refuse(name, error.message, final ? undefined : next);
    }
    this.underway--;
    this.changed();
    if (this.waiting.length) this.#sendNext();
    this.#show();
  }

  #refuse(name, why, file, id) {
    this.refused.push({ name, file, id, why: why.startsWith(`${name}: `) ? why.slice(name.length + 2) : why });
  }

  #readAnew() {
    const known = this.refused.filter(each => each.id);
    this.rereadAs(known.map(each => each.id), () => { this.#takeOut(each => known.includes(each)); this.#show(); });
  }

  #takeOut(wanted) {
    const taken = this.refused.filter(wanted);
    this.refused = this.refused.filter(each => !taken.includes(each));
    return taken;
  }

  #show() {
    const { refused } = this, more = refused.length - MOST_SHOWN, failed = refused.filter(each => each.file && !each.id).length;
    $('refused').hidden = !refused.length;
    $('refused').title = this.suffixes ? `Read are ${this.suffixes.join(', ')}.` : '';
    $('refused-title').textContent = `Not added: ${number(refused.length)}`;
    $('refused-differ').hidden = !refused.some(each => each.id);
    $('refused-retry').hidden = !failed;
    $('refused-retry').textContent = `Try ${number(failed)} again`;
    $('refused-list').replaceChildren(
      ...refused.slice(0, MOST_SHOWN).map(({ name, why }) => element('li', {}, element('strong', {}, name), ` ${why}`)),
      ...(more > 0 ? [element('li', { class: 'soft' }, `and ${number(more)} more`)] : []));
    this.shown();
  }
}
