// Dialogs: export, folders, keys.

import { getJson, postForFile, postJson } from './api.js';
import { $, counted, element, guarded, number, onSubmit, toast } from './dom.js';

// `settled()` waits until what is shown stands on the server, too.
export function setUpExport({ current, items, settled }) {
  const dialog = $('export-dialog');
  const scope = () => {
    const chosen = dialog.querySelector('[name="scope"]:checked').value;
    return chosen === 'this' ? [current().id] : chosen;
  };
  $('open-export').addEventListener('click', () => {
    const done = items().filter(item => item.state === 'done');
    $('done-count').textContent = done.length;
    $('checked-count').textContent = done.filter(item => item.checked).length;
    const here = current()?.state === 'done';
    dialog.querySelector('[value="this"]').disabled = !here;
    if (!here) dialog.querySelector('[value="all"]').checked = true;
    $('training-result').replaceChildren();
    $('export-left-out').textContent = '';
    dialog.showModal();
  });
  onSubmit(dialog, guarded(async () => {
    const formats = [...$('formats').querySelectorAll('input:checked')].map(box => box.value);
    const button = $('do-export');
    button.disabled = true;
    button.textContent = 'Writing…';
    try {
      await settled();
      const { blob, leftOut } = await postForFile('/api/export', { items: scope(), formats, numbers: $('numbers').checked, cellprofiler: $('cellprofiler').checked });
      const link = element('a', { href: URL.createObjectURL(blob), download: 'mmsart.zip' });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      $('export-left-out').textContent = leftOut ? `${leftOut} picture${leftOut === 1 ? '' : 's'} could not be written: summary.csv says why.` : '';
    } catch (error) {
      dialog.close(); // the message would lie behind it
      throw error;
    } finally {
      button.disabled = false;
      button.textContent = 'Download ZIP';
    }
  }));
  $('do-training').addEventListener('click', async () => {
    const result = $('training-result'), button = $('do-training');
    button.disabled = true; // twice would be two folders
    try {
      await settled();
      const made = await postJson('/api/training-data', { items: scope() });
      const mixed = made.mixed.length ? ` ${made.mixed.length} with several classes are in annotations.json alone.` : '';
      const failed = made.failed.length ? ` ${made.failed.length} could not be read: ${made.failed[0]}` : '';
      result.replaceChildren(element('p', {}, `${counted(made.cells, 'cell')} on ${counted(made.images, 'picture')}, in ${made.folder}.${mixed}${failed}`), element('code', { tabIndex: 0 }, made.command));
    } catch (error) {
      result.replaceChildren(element('p', { class: 'error' }, error.message));
    } finally {
      button.disabled = false;
      result.scrollIntoView({ block: 'nearest' }); // in a low window it lies below
    }
  });
}

export function showFormats(formats) {
  $('formats').replaceChildren(...formats.map(({ name, what, default: chosen }) => element('label', {},
    element('input', { type: 'checkbox', value: name, checked: chosen }), ` ${what}`)));
}

// `reading()` gives options of reading, and `rereadAs(ids)` asks whether pictures are to be read by them.
export function setUpFolders({ reading, rereadAs, changed }) {
  const dialog = $('folder-dialog'), path = $('folder-path'), find = $('folder-find');
  let asked = 0, listing = null, differ = [];
  const list = (where, name = '') => { listing = show(where, name); };
  function askAbout(pictures) {
    differ = pictures;
    $('folder-differ').hidden = !differ.length;
    $('folder-add').hidden = Boolean(differ.length);
  }
  async function show(where, name) {
    $('folder-error').textContent = '';
    askAbout([]);
    const turn = ++asked;
    path.value = where;
    try {
      const found = await getJson(`/api/folders?${new URLSearchParams({ path: where, find: name })}`);
      if (turn !== asked) return; // something else has been typed meanwhile
      path.value = found.path;
      find.value = name;
      $('folder-many').hidden = !found.more && !name;
      $('folder-more').textContent = found.more ? `${number(found.more)} more folder${found.more === 1 ? '' : 's'} not shown` : '';
      const go = (name, target) => element('li', {}, element('button', { type: 'button', onclick: () => list(target) }, name));
      $('folder-list').replaceChildren(
        ...(found.parent ? [go('↑ ..', found.parent)] : []),
        ...found.folders.map(name => go(`${name}/`, `${found.path}/${name}`)));
      $('folder-images').textContent = `${counted(found.images.length, 'picture')} here${found.images.length ? `: ${found.images.slice(0, 4).join(', ')}${found.images.length > 4 ? ' …' : ''}` : ''}`;
    } catch (error) {
      $('folder-error').textContent = error.message;
    }
  }
  $('add-folder').addEventListener('click', () => { dialog.showModal(); list(path.value); });
  find.addEventListener('input', () => list(path.value, find.value));
  find.addEventListener('keydown', event => { if (event.key === 'Enter') event.preventDefault(); });
  $('folder-go').addEventListener('click', () => list(path.value));
  path.addEventListener('keydown', event => { if (event.key === 'Enter') { event.preventDefault(); list(path.value); } });
  async function add(twice) {
    const buttons = [$('folder-add'), $('folder-twice')];
    buttons.forEach(button => { button.disabled = true; });
    try {
      await listing; // the first one says which folder it is
      const done = await postJson('/api/folders', { path: path.value, recursive: $('folder-recursive').checked, read: reading(), twice });
      const parts = [`${counted(done.added, 'picture')} added`];
      if (done.changed) parts.push(`${done.changed} looked at again, whose files have changed`);
      if (done.known) parts.push(`${done.known} were there already`);
      if (done.refused.length) parts.push(`${done.refused.length} refused: ${done.refused[0]}`);
      askAbout(done.differ);
      if (differ.length) {
        parts.push(`${number(differ.length)} ${differ.length === 1 ? 'is' : 'are'} in the list already, but read in another way than “Reading…” says now`);
        $('folder-differ-text').textContent = `${parts.join('; ')}.`; // a toast would lie behind the dialog
        $('folder-anew').focus();
      } else {
        dialog.close();
        if (parts.length > 1) toast(parts.join('; '));
      }
      changed();
    } catch (error) {
      $('folder-error').textContent = error.message;
    } finally {
      buttons.forEach(button => { button.disabled = false; });
    }
  }
  onSubmit(dialog, () => add(false));
  $('folder-recursive').addEventListener('change', () => askAbout([]));
  $('folder-twice').addEventListener('click', () => add(true));
  $('folder-anew').addEventListener('click', () => { dialog.close(); rereadAs(differ); askAbout([]); });
}

const KEYS = [
  ['Picture', [['+ −', 'zoom in, out'], ['0', 'whole picture'], ['wheel, drag', 'zoom, move; with two fingers too'], ['J K', 'next, previous picture'], ['Page ↓ ↑', 'next, previous frame of a stack']]],
  ['Cross', [['arrow keys', 'move it (Shift: by one pixel)'], ['Space', 'pick a cell, set a point, begin and end painting (Shift: pick more; erase)'], ['Enter', 'finish a polygon or line'], ['Esc', 'drop it; back to selecting']]],
  ['Cells', [['. ,', 'select the next, the previous one'], ['Del', 'delete'], ['M', 'merge'], ['1 … 9', 'change class'], ['V P B R X', 'select, polygon, brush, erase, split'], ['[ ]', 'size of the brush'], ['Ctrl+Z, Ctrl+Shift+Z', 'undo, redo'], ['C', 'mark as checked']]],
  ['Look', [['O', 'outlines, filled, hidden'], ['T', 'truth off, over, beside'], ['E', 'export'], ['?', 'this list']]],
];

export function setUpHelp() {
  const rows = KEYS.flatMap(([title, keys]) => keys.map(([key, what], k) => element('tr', {},
    element('td', { class: 'soft' }, k ? '' : title), element('td', {}, element('kbd', {}, key)), element('td', {}, what))));
  $('keys').replaceChildren(...rows);
  $('open-help').addEventListener('click', () => $('help-dialog').showModal());
}
