// Small helpers around the document. Text always goes in as text, never as markup.

import { ApiError } from './api.js';

export const $ = id => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (name in made && typeof value !== 'string') made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

let hiding = 0;
export function toast(message) {
  const box = $('toast');
  box.textContent = message;
  box.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { box.hidden = true; }, Math.max(5000, 60 * message.length));
}

// Run something that may fail, and say why where it does.
export const guarded = action => async (...given) => {
  try {
    return await action(...given);
  } catch (error) {
    toast(error.message);
    if (!(error instanceof ApiError)) console.error(error); // a fault of the page's own
    return undefined;
  }
};

// Enter in a dialog is its first button, the primary one; it closes the dialog once it has succeeded.
export function onSubmit(dialog, action) {
  dialog.querySelector('form').addEventListener('submit', event => {
    event.preventDefault();
    action();
  });
  dialog.querySelector('.close').addEventListener('click', () => dialog.close());
}

// Ask before something is done; with an option, `$('confirm-option').checked` says whether it is wanted.
export function confirmed(text, yes = 'Remove', option = '') {
  const dialog = $('confirm-dialog');
  $('confirm-text').textContent = text;
  $('confirm-yes').textContent = yes;
  $('confirm-yes').className = yes === 'Apply' ? 'primary' : 'danger';
  $('confirm-no').textContent = yes === 'Remove' ? 'Keep' : 'Cancel';
  $('confirm-option').checked = false;
  $('confirm-option-text').textContent = option;
  $('confirm-option').parentElement.hidden = !option;
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise(resolve => dialog.addEventListener(
    'close', () => resolve(dialog.returnValue === 'yes'), { once: true }));
}

export function duration(seconds) {
  if (seconds < 1) return 'a moment';
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

// What the browser remembers of this page; storage may be switched off.
export function remembered(name) {
  try { return JSON.parse(localStorage.getItem(name)); } catch { return null; }
}
export function remember(name, value) {
  try { localStorage.setItem(name, JSON.stringify(value)); } catch { /* then until the page is left */ }
}

export const number = value => value.toLocaleString('en');
export const counted = (count, what) => `${number(count)} ${what}${count === 1 ? '' : 's'}`;

// Call one after another, in the order of the calls; the action must not fail.
export function inTurn(action) {
  let before = Promise.resolve();
  return (...given) => (before = before.then(() => action(...given)));
}

// Call at most once at a time; of calls made meanwhile only the last one counts.
export function latest(action) {
  let running = false, waiting = null;
  return async function call(...given) {
    if (running) { waiting = given; return; }
    running = true;
    try { await action(...given); } finally {
      running = false;
      if (waiting) { const next = waiting; waiting = null; call(...next); }
    }
  };
}
