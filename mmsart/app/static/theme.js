// Light or dark: the system's choice until the button is pressed.

import { $ } from './dom.js';

export function setUpTheme(onChange) {
  const root = document.documentElement, system = matchMedia('(prefers-color-scheme: dark)');
  const dark = () => root.dataset.theme ? root.dataset.theme === 'dark' : system.matches;
  try {
    const kept = localStorage.getItem('mmsart-theme');
    if (kept) root.dataset.theme = kept;
  } catch { /* storage may be switched off */ }
  $('theme').addEventListener('click', () => {
    root.dataset.theme = dark() ? 'light' : 'dark';
    try { localStorage.setItem('mmsart-theme', root.dataset.theme); } catch { /* see above */ }
    onChange();
  });
  system.addEventListener('change', onChange);
}
