// The page: what is shown, and what happens when.

import { getBlock, getJson, meanServer, postForBlock, postJson } from './api.js';
import { Cells } from './cells.js';
import { Changes } from './changes.js';
import { css, gradient } from './colours.js';
import { setUpContrast } from './contrast.js';
import { Decide } from './decide.js';
import { setUpExport, setUpFolders, setUpHelp, showFormats } from './dialogs.js';
import { $, confirmed, duration, element, guarded, latest, number, toast } from './dom.js';
import { drawHistogram } from './histogram.js';
import { Pyramid } from './pyramid.js';
import { Queue, toDo } from './queue.js';
import { setUpReading } from './reading.js';
import { Sending } from './sending.js';
import { setUpTheme } from './theme.js';
import { Tools } from './tools.js';
import { View } from './view.js';

const POLL = 1000; // milliseconds between questions for news

const page = { version: '', items: [], id: null, frame: 0, shown: '', model: null, tile: 512, ask: 0, polls: 0, answered: 0 };
const view = new View();
const current = () => page.items.find(item => item.id === page.id) ?? null;
const done = () => (current()?.state === 'done' ? current() : null);

// News from the server

async function poll() {
  const asked = ++page.polls, { begun, open: changing } = changes;
  try {
    const state = await getJson(`/api/state?since=${page.version}`);
    if (asked < page.answered) return; // overtaken by an answer to a later question
    page.answered = asked;
    if (page.start && page.start !== state.start) { // started anew, perhaps with another workspace
      page.start = state.start; // once, should the user stay for files on their way
      location.reload();
      return;
    }
    page.start = state.start;
    meanServer(state.start);
    if (page.lost) { page.lost = false; $('toast').hidden = true; view.draw('picture'); }
    page.version = state.version;
    if (state.items) take(state);
    sending.update(state);
    queue.update(state);
    if (!page.id && page.items.length) open(firstToShow());
    else await refresh();
    if (!changing && begun === changes.begun) follow(); // else the news may be older than what is shown
  } catch (error) {
    if (!page.lost) { page.lost = true; toast(error.message); }
  }
}

const firstToShow = () => (page.items.find(item => item.state === 'done') ?? page.items[0]).id;

function take(state) {
  page.items = state.items;
  page.tile = state.tile;
  if (!page.model) {
    page.model = state.model;
    $('model').textContent = `model ${state.model.name}`;
    $('model').title = state.program;
    showFormats(state.formats);
  }
  showKept(state);
  if (page.id && !current()) page.id = null;
  if (page.truths !== state.truths) { page.truths = state.truths; showTruth(); }
}

function showKept({ keep_days: days, kept }) {
  const named = `${kept.slice(0, 5).join(', ')}${kept.length > 5 ? ` and ${kept.length - 5} more` : ''}`;
  $('keep-text').textContent = days ? `Pictures and results are removed from the workspace ${days} days after their last change, but for those that are corrected, checked or have thresholds of their own.${kept.length ? ` These are older: ${named}.` : ''}` : '';
}

// The picture that is shown

const open = guarded(async id => {
  page.id = id;
  page.frame = 0;
  page.shown = '';
  queue.select(id);
  await refresh();
});

// Show what has changed of the current picture since it was shown last.
const refresh = guarded(async () => {
  const item = current();
  const shown = item ? `${item.id} ${item.runs} ${item.state} ${item.error}` : '';
  if (shown === page.shown) return;
  page.shown = shown;
  showEmpty(item);
  showControls(item);
  $('hint').hidden = true;
  if (!done()) {
    page.ask++; // cells that are under way are another picture's
    view.show(null);
    $('status').value = '';
    showCells();
    if (item && item.state === 'running') page.shown = '';
    return;
  }
  await showFrame(page.frame, false);
});

// Another window may have changed what is shown.
function follow() {
  const item = done(), { cells } = view;
  if (!item || !cells || decide.moving) return;
  $('checked').checked = item.checked;
  const same = decide.shows(item);
  if (same && cells.header.revision === item.revision) return;
  if (!same) decide.show(item);
  choose(decide.settings);
}

async function showFrame(frame, keepPlace) {
  const item = done();
  if (!item) return;
  frame = Math.min(frame, item.facts.frames - 1); // read in another way, it may have fewer
  page.frame = frame;
  const ask = ++page.ask;
  view.classColours = item.facts.colours;
  const onFail = guarded(async address => { if (page.id === item.id) await getBlock(address); }); // says why
  view.show(new Pyramid(item, frame, page.tile, { onLoad: () => view.draw('picture'), onFail }), keepPlace);
  showStack(item);
  showCells();
  $('status').value = 'loading the cells …';
  let buffer;
  try {
    await changes.settled(item.id);
    if (ask !== page.ask) return;
    buffer = await postForBlock(`/api/items/${item.id}/frames/${frame}/cells`);
  } finally {
    if (ask === page.ask) $('status').value = '';
  }
  if (ask !== page.ask) return;
  setCells(new Cells(buffer));
  chooseClass();
  tools.use(tools.tool);
  say('');
  await showTruth();
}

function setCells(cells) {
  changes.show(page.id, cells.header.revision);
  view.setCells(cells);
  showCells();
}

// New cells are of the class that most cells here have, until another one is chosen.
function chooseClass() {
  const { classes } = done().facts, counts = new Array(classes.length).fill(0);
  view.cells.labels.forEach(label => { counts[label]++; });
  $('class').selectedIndex = counts.indexOf(Math.max(...counts));
}

const setFrame = latest(guarded(async frame => {
  const item = done();
  if (item && frame >= 0 && frame < item.facts.frames && frame !== page.frame) await showFrame(frame, true);
}));

const showTruth = guarded(async () => {
  const item = done();
  $('truth').disabled = !item?.truth;
  $('truth-text').textContent = item?.truth_problem ?? '';
  if (!item?.truth || view.look.truth === 'off') { view.setTruth(null); showTruthLegend(); return; }
  const ask = page.ask, beside = view.panes.length;
  const truth = new Cells(await getBlock(`/api/items/${item.id}/truth`));
  if (ask !== page.ask) return;
  view.setTruth(truth);
  showTruthLegend();
  if (view.panes.length !== beside) view.fit();
  const { score, met, missed, extra } = truth.header;
  $('truth-text').textContent = `Score ${score.toFixed(3)} as in the competition: met / (met + missed + extra), averaged over IoUs from .50 to .95. At an IoU of .50 ${met} met, ${missed} missed, ${extra} extra.`;
});

// Thresholds and corrections

const choose = latest(guarded(async settings => {
  const item = done();
  if (!item) return;
  const ask = page.ask;
  view.box.dataset.busy = 'true';
  try {
    const buffer = await postForBlock(`/api/items/${item.id}/frames/${page.frame}/cells`, { settings });
    if (ask !== page.ask) return;
    const cells = new Cells(buffer);
    if (!(cells.header.revision < view.cells?.header.revision)) setCells(cells); // else a correction was faster
  } finally {
    delete view.box.dataset.busy;
  }
}));

const decide = new Decide((settings, final) => {
  choose(settings);
  if (final) changes.keep(page.id, structuredClone(settings));
});

const changes = new Changes({
  settings: id => (id === page.id ? decide.settings : null),
  overtaken: id => { if (id === page.id) guarded(showFrame)(page.frame, true); },
  kept: async () => { poll(); if (view.truth) await showTruth(); },
  corrected: async (id, frame, cells, request) => {
    poll();
    if (id !== page.id || frame !== page.frame || !view.cells) return; // another one was opened meanwhile
    const before = new Set(view.cells.ids);
    setCells(cells);
    // What a correction has made is selected, to go on with.
    const made = ['merge', 'extend', 'erase', 'relabel'].includes(request.kind);
    if (made && cells.header.edits.at(cells.header.done - 1) !== 'draw') {
      cells.ids.forEach(each => { if (!before.has(each)) view.selected.add(each); });
      showCells();
    }
    if (view.truth) await showTruth();
  } });

async function edit(request) {
  if (!view.cells) return;
  const answered = changes.correct(page.id, page.frame, request);
  showSteps();
  await answered;
  showSteps(); // it may have been refused
}

const selectedIds = () => [...view.selected];

function relabel(label) {
  const select = $('class');
  if (label >= select.options.length) return;
  select.selectedIndex = label;
  if (view.selected.size) edit({ kind: 'relabel', ids: selectedIds(), label });
}

// The panel

function showEmpty(item) {
  const box = $('empty');
  box.replaceChildren();
  if (!page.items.length) {
    box.append(element('h2', {}, 'Drop pictures of cells here'),
      element('p', {}, 'Their outlines appear one picture after another. Move the sliders, correct what is wrong, export. Nothing leaves this computer.'));
  } else if (item?.state === 'failed') {
    box.append(element('h2', {}, 'This picture could not be read'), element('p', {}, item.error),
      element('button', { type: 'button', onclick: () => reading.reread(item.id) }, 'Read it another way…'));
  } else if (item && item.state !== 'done') {
    const text = { waiting: 'Waiting for its turn', running: `Looking for cells … ${Math.round(100 * item.progress)} %`, stopped: 'Cancelled' }[item.state];
    box.append(element('h2', {}, text), element('p', {}, item.name));
  }
}

function showControls(item) {
  const ready = item?.state === 'done';
  document.body.classList.toggle('bare', !ready);
  decide.show(ready ? item : null);
  $('checked').disabled = !ready;
  $('checked').checked = Boolean(item?.checked);
  $('settings-all').disabled = $('settings-reset').disabled = !ready;
  const select = $('class');
  select.replaceChildren(...(ready ? item.facts.classes : []).map((name, k) => element('option', { value: String(k) }, `${k + 1} ${name}`)));
  const notes = ready ? item.facts.warnings : [];
  $('notes-box').hidden = !notes.length;
  $('notes').replaceChildren(...notes.map(note => element('li', {}, note)));
  $('stack').hidden = true;
  $('truth').disabled = !item?.truth;
}

function showStack(item) {
  $('stack').hidden = item.facts.frames < 2;
  $('frame').max = item.facts.frames - 1;
  $('frame').value = page.frame;
  const [times, depths] = item.facts.stack, t = Math.floor(page.frame / depths), z = page.frame % depths;
  // Tables and names of files count times and depths from 0.
  const places = [times > 1 && `t ${t}`, depths > 1 && `z ${z}`].filter(Boolean).join(', ');
  $('frame-text').value = `${page.frame + 1} of ${item.facts.frames} (${places})`;
}

function showCells() {
  const { cells } = view, item = done();
  $('total').value = cells ? number(cells.count) : '–';
  $('total-unit').textContent = cells?.count === 1 ? 'cell' : 'cells';
  showSteps();
  showLegend($('legend'), cells, item?.facts, view.look.colour === 'class');
  showTruthLegend();
  if (cells?.count && view.look.colour === 'score') {
    const bar = element('span', { class: 'bar' });
    bar.style.background = gradient;
    $('legend').append(element('li', { class: 'scale' }, 'score 0', bar, '1'));
  }
  const facts = cells && item ? summarize(cells, item) : [];
  $('facts').replaceChildren(...facts.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]));
  showHistograms();
  showSelected();
}

// What can be undone and redone; a correction that is under way can be undone too.
function showSteps() {
  const { done: count, edits } = view.cells?.header ?? { done: 0, edits: [] };
  $('undo').disabled = !(count || (view.cells && changes.pending(page.id)));
  $('redo').disabled = edits.length <= count;
  $('undo').title = `Undo${count ? `: ${edits[count - 1]}` : ''} (Ctrl+Z)`;
  $('redo').title = `Redo${edits.length > count ? `: ${edits[count]}` : ''} (Ctrl+Shift+Z)`;
}

// Classes and how many cells of each there are; `coloured` says whether the picture shows the colours.
function showLegend(list, cells, names, coloured) {
  const counts = new Map();
  cells?.labels.forEach(label => counts.set(label, (counts.get(label) ?? 0) + 1));
  list.replaceChildren(...[...counts].sort(([one], [other]) => one - other).map(([label, count]) => {
    const swatch = element('span', { class: 'swatch', hidden: !coloured });
    swatch.style.background = css(names.colours[label]);
    return element('li', {}, swatch, `${names.classes[label]} ${number(count)}`);
  }));
}

// Beside the cells, the true ones have colours of classes unless each has its own; over them, none.
function showTruthLegend() {
  const { truth, look } = view;
  showLegend($('truth-legend'), truth, truth?.header, look.truth === 'beside' && look.colour !== 'instance');
  if (truth) $('truth-legend').prepend(element('li', { class: 'soft' }, 'truth:'));
}

function summarize(cells, item) {
  const areas = Array.from(cells.areas).sort((a, b) => a - b), um = item.facts.pixel_size;
  const rows = [['picture', `${number(item.facts.width)} × ${number(item.facts.height)}`]];
  if (areas.length) {
    const median = (areas[(areas.length - 1) >> 1] + areas[areas.length >> 1]) / 2;
    const covered = areas.reduce((sum, area) => sum + area, 0) / (cells.width * cells.height);
    rows.push(['median area', um ? `${(median * um * um).toPrecision(3)} µm²` : `${number(median)} px`]);
    rows.push(['covered', `${(100 * covered).toFixed(1)} %`]);
    rows.push(['mean score', (cells.scores.reduce((sum, score) => sum + score, 0) / cells.count).toFixed(2)]);
  }
  if (um) rows.push(['pixel size', `${Number(um.toPrecision(4))} µm`]);
  if (um) rows.push(['per mm²', number(Math.round(1e6 * cells.count / (cells.width * cells.height * um * um)))]);
  if (item.facts.seconds) rows.push(['took', duration(item.facts.seconds)]);
  if (item.facts.made_by) rows.push(['found by', item.facts.made_by]);
  return rows;
}

function showHistograms() {
  const { cells } = view;
  const [scores, areas] = [$('score-histogram'), $('area-histogram')];
  [scores.dataset.what, areas.dataset.what] = ['Scores', 'Areas'];
  const names = cells ? [...new Set(cells.labels)].map(label => done().facts.classes[label]) : [];
  const marks = key => names.map(name => decide.settings?.[key][name]).filter(value => value !== null && value !== undefined);
  drawHistogram(scores, cells?.scores ?? [], 0, 1, marks('score_thr'));
  const largest = (cells?.areas ?? []).reduce((most, area) => Math.max(most, area), 100); // too many to be arguments
  drawHistogram(areas, cells?.areas ?? [], 0, largest, [...marks('min_area'), ...marks('max_area')].filter(value => value <= largest), Math.sqrt);
}

const MEASURES = [
  ['area_um2', 'area', ' µm²'], ['area_px', 'area', ' px'], ['perimeter_px', 'perimeter', ' px'], ['equivalent_diameter_area_px', 'diameter', ' px'],
  ['axis_major_length_px', 'length', ' px'], ['axis_minor_length_px', 'width', ' px'], ['eccentricity', 'eccentricity', ''], ['circularity', 'circularity', ''],
  ['intensity_mean', 'mean grey', '']];

const HOW_TO_SELECT = matchMedia('(pointer: coarse)').matches ? 'Tap a cell; a long press adds more.' : 'Click a cell; Shift adds more.';

const showSelected = latest(guarded(async () => {
  const { cells, selected } = view, box = $('selected'), ids = selectedIds();
  $('delete').disabled = !selected.size;
  $('merge').disabled = selected.size < 2;
  if (!ids.length) {
    say('');
    box.replaceChildren(element('p', { class: 'soft' }, HOW_TO_SELECT));
    return;
  }
  const rows = ids.map(id => cells.rows.get(id));
  if (ids.length > 1) {
    const area = rows.reduce((sum, row) => sum + cells.areas[row], 0);
    const text = `${ids.length} cells, ${number(area)} px together`;
    say(`${text} selected`);
    box.replaceChildren(element('p', {}, text));
    return;
  }
  const [row] = rows, item = done();
  say(describeCell(row));
  $('class').selectedIndex = cells.labels[row];
  const [found] = await postJson(`/api/items/${item.id}/frames/${page.frame}/measurements`, { ids });
  if (!found || view.cells !== cells || !selected.has(ids[0])) return;
  const line = (name, value) => element('tr', {}, element('th', { scope: 'row' }, name), element('td', {}, value));
  box.replaceChildren(element('table', {}, element('caption', { class: 'soft', hidden: true }, 'Measurements'),
    line('number', String(found.label)), line('class', found.class), line('score', found.made === 'drawn' ? 'drawn' : found.score.toFixed(3)),
    ...MEASURES.filter(([key]) => found[key] !== undefined && found[key] !== null).map(([key, name, unit]) => line(name, `${Number(found[key].toPrecision(4)).toLocaleString('en')}${unit}`)),
    line('at the border', found.touches_border ? 'yes' : 'no')));
}));

// What a reader of the screen is told.
function say(text) { $('said').value = text; }

const describeCell = row => `cell ${row + 1}, ${done().facts.classes[view.cells.labels[row]]}, score ${view.cells.scores[row].toFixed(2)}, ${number(view.cells.areas[row])} px`;

function showHover(row, trueRow, x, y) {
  if (tools.cross) say(row >= 0 ? describeCell(row) : ''); // a mouse would say too much
  const box = $('hover'), { cells, truth } = view, lines = [];
  if (row >= 0) lines.push(`${row + 1} · ${done().facts.classes[cells.labels[row]]} · ${cells.scores[row].toFixed(2)} · ${number(cells.areas[row])} px`);
  if (trueRow >= 0) lines.push(`truth: ${truth.header.classes[truth.labels[trueRow]]} · ${number(truth.areas[trueRow])} px`);
  box.hidden = !lines.length;
  if (box.hidden) return;
  box.textContent = lines.join('\n');
  const left = Math.min(x + 14, view.box.clientWidth - box.offsetWidth - 4), top = y + 18 + box.offsetHeight > view.box.clientHeight ? y - box.offsetHeight - 10 : y + 18;
  box.style.transform = `translate(${Math.max(0, left)}px, ${Math.max(0, top)}px)`;
}

// Wiring

const reading = setUpReading({ items: () => page.items, settled: () => changes.all(), changed: poll });
const sending = new Sending({ reading: reading.reading, rereadAs: reading.rereadAs, changed: poll, shown: () => queue.showProgress() });
const queue = new Queue({ open, reread: reading.reread, changed: poll, sending });
const tools = new Tools(view, { edit, onSelect: () => showSelected(), onHover: showHover, say, label: () => Math.max(0, $('class').selectedIndex) });
setUpFolders({ reading: reading.reading, rereadAs: reading.rereadAs, changed: poll });
setUpExport({ current, items: () => page.items, settled: () => changes.all() });
setUpHelp();
setUpContrast(view);
setUpTheme(() => showHistograms());
view.onView = () => { $('zoom').value = `${Math.round(100 * view.scale)} %`; };

$('delete').addEventListener('click', () => edit({ kind: 'delete', ids: selectedIds() }));
$('merge').addEventListener('click', () => edit({ kind: 'merge', ids: selectedIds() }));
$('undo').addEventListener('click', () => edit({ kind: 'undo' }));
$('redo').addEventListener('click', () => edit({ kind: 'redo' }));
$('class').addEventListener('change', () => relabel($('class').selectedIndex));
$('checked').addEventListener('change', () => changes.mark(page.id, $('checked').checked));
$('zoom-in').addEventListener('click', () => view.zoom(1.5));
$('zoom-out').addEventListener('click', () => view.zoom(1 / 1.5));
$('fit').addEventListener('click', () => view.fit());
$('frame').addEventListener('input', () => setFrame(Number($('frame').value)));
$('draw').addEventListener('change', () => view.setLook({ draw: $('draw').value }));
$('colour').addEventListener('change', () => { view.setLook({ colour: $('colour').value }); showCells(); });
$('opacity').addEventListener('input', () => view.setLook({ opacity: Number($('opacity').value) }));
$('truth').addEventListener('change', async () => {
  const before = view.panes.length;
  view.setLook({ truth: $('truth').value });
  await showTruth();
  if (view.panes.length !== before) view.fit();
});
$('settings-all').addEventListener('click', guarded(async () => {
  const settings = structuredClone(decide.settings), others = page.items.filter(item => item.state === 'done' && item.id !== page.id);
  const open = others.filter(item => !item.checked), checked = others.length - open.length;
  const queued = page.items.filter(toDo), later = queued.length ? ` ${number(queued.length)} still in the queue ${queued.length === 1 ? 'takes' : 'take'} these thresholds when done.` : '';
  if (!others.length && !later) { toast('There is no other picture.'); return; }
  const one = open.length === 1, unchecked = checked ? (one ? ' that is not checked' : ' that are not checked') : '';
  const question = open.length
    ? `Use these thresholds for ${number(open.length)} other picture${one ? '' : 's'}${unchecked}? ${one ? 'Its own' : 'Their own'} are replaced.`
    : others.length ? 'All other pictures that are done are checked.' : 'No other picture is done.';
  if (!await confirmed(question + later, 'Apply', checked && `also for ${number(checked)} that ${checked === 1 ? 'is' : 'are'} checked`)) return;
  const chosen = [...($('confirm-option').checked ? others : open), ...queued];
  if (chosen.length) changes.keep('all', settings, chosen.map(item => item.id));
}));
$('settings-reset').addEventListener('click', guarded(async () => {
  const item = done();
  if (!await changes.keep(item.id, {}) || page.id !== item.id) return;
  item.settings = {};
  decide.show(item);
  choose(decide.settings);
}));

// Arrow keys move among the tools, as in any group of radio buttons.
document.querySelector('[role="radiogroup"]').addEventListener('keydown', event => {
  const buttons = [...document.querySelectorAll('[data-tool]')], way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!way) return;
  event.preventDefault();
  const next = buttons[(buttons.indexOf(document.activeElement) + way + buttons.length) % buttons.length];
  tools.use(next.dataset.tool);
  next.focus();
});

function cycle(id) {
  const select = $(id);
  if (select.disabled) return;
  select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
  select.dispatchEvent(new Event('change'));
}

const KEYS = {
  '+': () => view.zoom(1.5), '=': () => view.zoom(1.5), '-': () => view.zoom(1 / 1.5), 0: () => view.fit(),
  v: () => tools.use('select'), p: () => tools.use('polygon'), b: () => tools.use('brush'), r: () => tools.use('erase'), x: () => tools.use('split'),
  m: () => $('merge').click(), Delete: () => $('delete').click(), Backspace: () => $('delete').click(),
  j: () => queue.step(1), k: () => queue.step(-1), c: () => $('checked').click(), o: () => cycle('draw'), t: () => cycle('truth'),
  Escape: () => tools.escape(),
  e: () => $('open-export').click(), '?': () => $('open-help').click(),
  '.': () => tools.next(1), ',': () => tools.next(-1), ']': () => tools.resize(1), '[': () => tools.resize(-1),
  PageDown: () => setFrame(page.frame + 1), PageUp: () => setFrame(page.frame - 1),
};

document.addEventListener('keydown', event => {
  const { target } = event;
  if (document.querySelector('dialog[open]')) return;
  const step = event.ctrlKey || event.metaKey ? { z: event.shiftKey ? 'redo' : 'undo', y: 'redo' }[event.key.toLowerCase()] : '';
  if (step && !target.matches('textarea, input:is([type="text"], [type="number"], [type="search"], :not([type]))')) { // else its own text is meant
    event.preventDefault();
    $(step).click();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || target.tagName === 'TEXTAREA') return;
  if (target.tagName === 'SELECT' && !/^[.,[\]]$/.test(event.key)) return; // letters choose in it
  if (target.tagName === 'INPUT' && target.type !== 'checkbox' && !(target.type === 'range' && /^[a-z?.,[\]]$/.test(event.key))) return;
  if (target === view.box && tools.key(event)) { event.preventDefault(); return; }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (/^[1-9]$/.test(key)) { relabel(Number(key) - 1); return; }
  if (key.startsWith('Page') && $('stack').hidden) return; // the panel scrolls
  if (key in KEYS) { event.preventDefault(); KEYS[key](); }
});
document.addEventListener('visibilitychange', () => { if (!document.hidden) poll(); });
window.addEventListener('resize', () => showHistograms());

showEmpty(null);
decide.show(null);
poll();
setInterval(() => { if (!document.hidden) poll(); }, POLL);
