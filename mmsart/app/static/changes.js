// What the user changes, on its way to the server: none of it is lost when another picture is opened
// meanwhile, and none of it is done to cells that another window has changed.

import { postForBlock, postJson } from './api.js';
import { Cells } from './cells.js';
import { guarded, inTurn, toast } from './dom.js';

const CONFLICT = 409;

export class Changes {
  // `corrected(id, frame, cells, request)` is given the cells after a correction, `overtaken(id)` is
  // told that another window was first, and `kept()` that the server has taken thresholds or a
  // check mark; `settings(id)` gives the thresholds that the page shows of a picture.
  constructor({ corrected, overtaken, kept, settings }) {
    Object.assign(this, { corrected, overtaken, kept, settings });
    this.begun = 0; // changes so far
    this.underway = new Set(); // those that the server has not answered
    this.corrections = new Map(); // of each picture: how many of them are corrections, and the last one
    this.seen = new Map(); // of each picture: { revision } as the user sees it
    this.thresholds = new Map(); // that wait, of each picture or of 'all'
    addEventListener('beforeunload', event => { if (this.open) event.preventDefault(); });
  }

  // Run an action that changes something on the server.
  async track(action) {
    this.begun++;
    const run = action();
    this.underway.add(run);
    try { return await run; } finally { this.underway.delete(run); }
  }

  get open() { return this.underway.size; }

  // Wait until the server has answered everything: what is written then holds what the page shows.
  async all() { while (this.open) await Promise.allSettled(this.underway); }

  // How many corrections of a picture are under way, and when they are through.
  pending(id) { return this.corrections.get(id)?.count ?? 0; }
  async settled(id) { await this.corrections.get(id)?.last; }

  // The user sees a picture at a revision. Where corrections are under way, their answers say it.
  show(id, revision) {
    if (!this.pending(id) && this.seen.get(id)?.revision !== revision) this.seen.set(id, { revision });
  }

  // Corrections go one after another, each to the picture and frame that it was made for. Those made
  // upon what another window has changed are not made at all.
  correct(id, frame, request) {
    const seen = this.seen.get(id), last = this.track(() => this.#correctNext(seen, id, frame, request));
    this.corrections.set(id, { count: this.pending(id) + 1, last });
    return last;
  }

  #correctNext = inTurn(guarded(async (seen, id, frame, request) => {
    let buffer;
    try {
      if (seen.overtaken) return;
      const body = { ...request, revision: seen.revision, settings: this.settings(id) };
      buffer = await postForBlock(`/api/items/${id}/frames/${frame}/edits`, body);
    } catch (error) {
      seen.overtaken = error.status === CONFLICT;
      if (seen.overtaken) this.overtaken(id);
      throw error;
    } finally {
      this.corrections.get(id).count--;
    }
    const cells = new Cells(buffer);
    seen.revision = cells.header.revision;
    await this.corrected(id, frame, cells, request);
  }));

  // Let the server keep thresholds of a picture, or of 'all', those of `items`: one request after
  // another, so that it ends up with what the sliders show; of several that wait the last one counts.
  keep(id, settings, items = [id]) {
    this.thresholds.delete(id); // to the end of those that wait
    this.thresholds.set(id, { settings, items });
    return this.track(() => this.#keepNext());
  }

  #keepNext = inTurn(guarded(async () => {
    const [next] = this.thresholds;
    if (!next) return true;
    const [id, body] = next;
    this.thresholds.delete(id);
    const { refused } = await postJson('/api/settings', body);
    if (refused.length) toast(`${refused.length} picture${refused.length === 1 ? ' keeps its' : 's keep their'} thresholds: ${refused[0]}`);
    await this.kept();
    return true;
  }));

  async mark(id, checked) {
    await this.track(guarded(() => postJson(`/api/items/${id}`, { action: checked ? 'check' : 'uncheck' })));
    await this.kept();
  }
}
