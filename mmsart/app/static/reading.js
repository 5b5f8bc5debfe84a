// Options of reading: of all that is added from now on, and of pictures whose cells are found anew.

import { postJson } from './api.js';
import { $, counted, guarded, number, onSubmit, remember, remembered } from './dom.js';
import { toDo } from './queue.js';

const READING = 'mmsart-reading'; // in the browser's memory
const FIELDS = {
  channel: { id: 'read-channel', hint: 'number from 0, or name' }, axes: { id: 'read-axes', hint: 'such as TYX or ZCYX' },
  series: { id: 'read-series', hint: 'number from 0', expected: 'a whole number from 0' }, pixel_size: { id: 'read-pixel', hint: '', expected: 'micrometres' } };
const LIMITS = ['read-low', 'read-high'];
const OPTIONS = { ...Object.fromEntries(Object.entries(FIELDS).map(([name, { id }]) => [name, [id]])), normalize: LIMITS };
const clearing = name => $(`clear-${name}`); // beside what differs between pictures
const CONFLICT = 409;

// What a new run would lose; thresholds stay.
const corrected = item => !toDo(item) && Boolean(item.edits || item.checked);

// Corrections and check marks of pictures, in words.
function work(items) {
  const edits = items.reduce((sum, item) => sum + item.edits, 0), checked = items.filter(item => item.checked).length;
  return [edits && counted(edits, 'correction'), checked && (items.length === 1 ? 'the check mark' : counted(checked, 'check mark'))].filter(Boolean).join(' and ');
}

function inWords({ channel, axes, series, pixel_size: um, normalize }) {
  return [channel !== undefined && `channel ${channel}`, axes, series !== undefined && `series ${series}`, um && `${um} µm`,
    Array.isArray(normalize) && `grey ${normalize.join(' to ')}`].filter(Boolean).join(', ');
}

// `items()` gives all pictures, `settled()` waits until corrections stand on the server, and
// `changed()` asks for news.
export function setUpReading({ items, settled, changed }) {
  const dialog = $('reading-dialog'), fields = Object.keys(FIELDS);
  let options = remembered(READING) ?? {};
  let ids = null; // of pictures whose cells are to be found anew, or 'all'; null for what is added
  let as = null; // all options by which they are to be read, where that is not asked
  let begun = null; // to be called when they wait for that
  let seen = []; // those pictures, as the dialog speaks of them
  let filled = {}; // what the fields began with

  const texts = () => Object.fromEntries(Object.entries(OPTIONS).map(([name, ids]) => [name, clearing(name).checked ? null : ids.map(id => $(id).value.trim()).join('\n')]));

  function fill(values) {
    for (const [name, { id, hint }] of Object.entries(FIELDS)) {
      $(id).value = values[name] ?? '';
      $(id).placeholder = hint;
    }
    const limits = Array.isArray(values.normalize) ? values.normalize : ['', ''];
    LIMITS.forEach((id, k) => { $(id).value = limits[k]; $(id).placeholder = 'grey value'; });
    for (const [name, ids] of Object.entries(OPTIONS)) {
      clearing(name).checked = false;
      clearing(name).parentElement.hidden = true;
      for (const id of ids) $(id).disabled = false;
    }
    filled = texts();
    $('reading-error').textContent = '';
  }

  // Of an option that differs, take it back for all, or leave what is not filled in.
  function clear(name, on) {
    clearing(name).checked = on;
    for (const id of OPTIONS[name]) {
      $(id).disabled = on;
      $(id).placeholder = on ? 'as each file says' : 'differs; empty leaves it';
      if (on) $(id).value = '';
    }
  }

  const touched = () => { const now = texts(); return Object.keys(now).filter(name => now[name] !== filled[name]); };

  // Options that the pictures have in common; fields in which they differ say so, and what has been
  // typed stays.
  function fillCommon() {
    const reads = chosen().again.map(item => item.read), typed = texts(), kept = touched();
    const same = name => reads.every(read => JSON.stringify(read[name]) === JSON.stringify(reads[0][name]));
    fill(Object.fromEntries([...fields, 'normalize'].filter(same).map(name => [name, reads[0]?.[name]])));
    for (const name of kept) OPTIONS[name].forEach((id, k) => { $(id).value = typed[name]?.split('\n')[k] ?? ''; });
    for (const name of Object.keys(OPTIONS).filter(each => !same(each))) {
      clearing(name).parentElement.hidden = false;
      clear(name, kept.includes(name) && typed[name] === null);
    }
  }

  // What is not understood is named: a number with a comma has the value '' for a page.
  function collect() {
    const made = {}, label = id => dialog.querySelector(`[for="${id}"]`).textContent;
    for (const [name, { id, expected }] of Object.entries(FIELDS)) {
      const input = $(id), value = input.value.trim();
      if (!input.validity.valid) throw new Error(`${label(id)}: found ${value || 'no number'}, expected ${expected}`);
      if (value) made[name] = expected ? Number(value) : value;
    }
    for (const id of LIMITS) if (!$(id).validity.valid) throw new Error(`${label(id)}: found no number, expected a grey value`);
    const limits = LIMITS.map(id => $(id).value).filter(value => value !== '');
    if (limits.length === 1) throw new Error('Black at, White at: found one of them, expected both or none');
    if (limits.length) made.normalize = limits.map(Number);
    return made;
  }

  // Options that have been changed in the dialog; null takes one back.
  function changes() {
    const made = collect();
    return Object.fromEntries(touched().map(name => [name, made[name] ?? null]));
  }

  const many = () => ids === 'all' || Boolean(as);

  // The pictures that the dialog is about as it stands.
  function chosen() {
    const pool = $('reading-waiting').checked ? seen.filter(toDo) : seen, losing = pool.filter(corrected);
    return { losing, again: many() && !$('reading-worked').checked ? pool.filter(item => !corrected(item)) : pool };
  }

  function count() {
    const all = many(), { losing, again } = chosen(), queued = again.filter(toDo).length, runs = again.length - queued;
    const lost = all && !$('reading-worked').checked ? [] : losing;
    $('reading-worked-line').hidden = !all || !losing.length;
    $('reading-worked-text').textContent = losing.length === 1 ? 'also the one that is corrected or checked; otherwise it is left out' : `also the ${number(losing.length)} that are corrected or checked; otherwise they are left out`;
    const parts = all ? [
      runs && `${counted(runs, 'picture')} will be looked at anew.`,
      queued && `${number(queued)} still in the queue will be read ${as ? 'this way' : 'with what is changed here'}.`,
      !again.length && 'No picture will be looked at anew.'] : [];
    if (lost.length) parts.push(`${work(lost)} will be lost when the new cells are found, and not before.`);
    $('reading-what').textContent = parts.filter(Boolean).join(' ');
    $('reading-what').className = lost.length ? 'error' : '';
    $('reading-ok').className = lost.length ? 'danger' : 'primary';
    $('reading-ok').textContent = lost.length ? 'Find anew anyway' : ids ? 'Find anew' : 'OK';
    $('reading-ok').disabled = Boolean(ids) && !again.length;
  }

  // Take the pictures as they are now.
  function look() {
    seen = ids === null ? [] : items().filter(item => ids === 'all' || ids.includes(item.id));
    const waiting = seen.filter(toDo).length;
    $('reading-all-count').textContent = number(seen.length);
    $('reading-waiting-count').textContent = number(waiting);
    $('reading-scope').hidden = ids !== 'all' || !waiting;
    $('reading-later-line').hidden = ids !== 'all';
    choose();
  }

  function choose() {
    if (ids === 'all') fillCommon();
    count();
  }

  function show(wanted, title, text, options = null) {
    ids = wanted;
    as = options;
    begun = null;
    $('reading-fields').hidden = Boolean(as);
    $('reading-title').textContent = title;
    $('reading-text').textContent = text;
    $('reading-all').checked = true;
    $('reading-worked').checked = $('reading-later').checked = false;
    look();
    dialog.showModal();
  }

  // News first: the dialog counts what would be lost.
  const ask = begin => guarded(async (...given) => {
    await settled();
    await changed();
    begin(...given);
  });

  const reread = ask(id => {
    const item = items().find(each => each.id === id);
    if (!item) return;
    fill(item.read);
    const { pixel_size: um, display_range: range } = item.facts ?? {};
    if (um && !item.read.pixel_size) $('read-pixel').placeholder = `${Number(um.toPrecision(6))}, as the file says`;
    if (range && !Array.isArray(item.read.normalize)) LIMITS.forEach((field, k) => { $(field).placeholder = `${range[k]}, from the picture`; });
    show([id], 'Find the cells anew', item.state === 'failed' ? item.error : `${item.name}: change how it is read, or leave it as it is. Leave empty what the file says itself.`);
  });

  const rereadAll = ask(() => {
    if (!items().length) return;
    fill({});
    show('all', 'Find the cells of all anew', 'What you change here is changed for all of these pictures; the rest stays as it is for each. Leave empty what the files say themselves.');
  });

  const rereadAs = ask((wanted, whenBegun) => {
    const all = Object.fromEntries(Object.keys(OPTIONS).map(name => [name, options[name] ?? null]));
    show(wanted, 'Find the cells anew', `Read as what is added now: ${inWords(options) || 'as each file says'}.`, all);
    begun = whenBegun;
  });

  function showOptions() {
    const text = inWords(options);
    $('open-reading').textContent = text ? `Reading: ${text} …` : 'Reading…';
    $('open-reading').title = text ? `How files are read that are added from now on: ${text}` : 'Channel, axes, pixel size';
  }

  async function apply() {
    if (ids === null) { options = collect(); return; }
    const read = as ?? changes(), { losing, again } = chosen();
    const lost = Object.fromEntries(losing.filter(item => again.includes(item)).map(item => [item.id, [item.revision, item.checked]]));
    await postJson('/api/reread', { items: again.map(item => item.id), read, lost });
    if (ids !== 'all' || !$('reading-later').checked) return;
    options = Object.fromEntries(Object.entries({ ...options, ...read }).filter(([, value]) => value !== null));
  }

  showOptions();
  $('open-reading').addEventListener('click', () => {
    fill(options);
    show(null, 'How files are read', 'For pictures that are added from now on, until they are changed here. Leave empty what the files say themselves.');
  });
  $('reread-all').addEventListener('click', rereadAll);
  for (const name of Object.keys(OPTIONS)) clearing(name).addEventListener('change', () => clear(name, clearing(name).checked));
  for (const id of ['reading-all', 'reading-waiting', 'reading-worked']) $(id).addEventListener('change', choose);
  onSubmit(dialog, async () => {
    $('reading-ok').disabled = true; // what is asked for twice would begin twice
    if (ids) $('reading-ok').textContent = 'Beginning…'; // with thousands it takes seconds
    try {
      await apply();
      dialog.close();
    } catch (error) {
      if (error.status === CONFLICT) { await changed(); look(); } else count();
      $('reading-error').textContent = error.message;
      return;
    }
    begun?.();
    remember(READING, options);
    showOptions();
    changed();
  });
  return { reading: () => options, reread, rereadAs };
}
