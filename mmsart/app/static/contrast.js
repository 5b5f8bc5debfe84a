// Contrast: a table in an SVG filter that the browser applies to the picture's canvas.

import { $ } from './dom.js';

export function setUpContrast(view) {
  for (const id of ['black', 'white', 'gamma']) $(id).addEventListener('input', showContrast);
  $('auto-contrast').addEventListener('click', () => autoContrast(view));
  $('reset-look').addEventListener('click', () => { [$('black').value, $('white').value, $('gamma').value] = [0, 255, 1]; showContrast(); });
}

function showContrast() {
  let black = Number($('black').value), white = Number($('white').value);
  const gamma = Number($('gamma').value);
  if (white <= black) white = black + 1;
  const plain = black === 0 && white === 255 && gamma === 1;
  $('picture').style.filter = plain ? '' : 'url(#display)';
  if (plain) return;
  const table = Array.from({ length: 256 }, (_, grey) => Math.min(1, Math.max(0, (grey - black) / (white - black)) ** (1 / gamma)).toFixed(4)).join(' ');
  for (const part of document.querySelectorAll('#display feComponentTransfer > *')) part.setAttribute('tableValues', table);
}

// Make the darkest and the brightest few of what is shown black and white.
function autoContrast(view) {
  const counts = view.pyramid?.greys();
  if (!counts) return;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const at = share => { let sum = 0; return counts.findIndex(count => (sum += count) >= share * total); };
  $('black').value = Math.max(0, at(0.003));
  $('white').value = Math.max(Number($('black').value) + 1, at(0.997));
  showContrast();
}
