// Thresholds of score and size: sliders that choose among kept detections.

import { $, element } from './dom.js';

const LARGEST = 20000; // pixels; the end of the size slider stands for no limit
const STEPS = 200;

// Sizes run along a square, so that small ones can be told apart.
const toSlider = area => Math.round(Math.sqrt(Math.min(area, LARGEST) / LARGEST) * STEPS);
const toArea = position => Math.round((position / STEPS) ** 2 * LARGEST);

// Detections below a score were not kept. Products are a little off: 0.07 * 1000 is above 70.
const upToThousandths = score => Math.ceil(Number((score * 1000).toFixed(6))) / 1000;

export class Decide {
  // `onChange(settings, final)` is called while a slider moves, and when it rests.
  constructor(onChange) {
    this.onChange = onChange;
    this.settings = null;
    this.moving = false; // a hand is on a slider
    this.lines = new Map();
  }

  // Whether it stands as an item's thresholds do.
  shows({ facts, settings }) {
    return Object.entries({ ...facts.postprocess, ...settings }).every(([key, classes]) =>
      Object.entries(classes).every(([name, value]) => this.settings?.[key][name] === value));
  }

  show(item) {
    const box = $('decide');
    box.replaceChildren();
    this.moving = false;
    this.lines.clear();
    this.item = item;
    if (!item) {
      this.settings = null;
      return;
    }
    const { postprocess, classes, keep } = item.facts;
    this.settings = structuredClone({ ...postprocess, ...item.settings });
    classes.forEach((name, label) => {
      const lowest = upToThousandths(postprocess.score_thr[name] * keep);
      const group = element('fieldset', { class: 'thresholds' }, element('legend', {},
        element('span', { class: 'swatch', id: `swatch-${label}` }), name));
      group.append(
        this.#line(name, 'score_thr', 'Score ≥', { min: Math.floor(lowest * 200) / 200, max: 1, step: 0.005, lowest },
          value => value, position => Math.max(lowest, Number(position.toFixed(3))), value => Number(value.toFixed(3))),
        this.#line(name, 'min_area', 'Size ≥ (px)', { min: 0, max: STEPS, step: 1 }, toSlider, toArea, value => value),
        this.#line(name, 'max_area', 'Size ≤ (px)', { min: 1, max: STEPS, step: 1 },
          area => area === null ? STEPS : toSlider(area), position => position >= STEPS ? null : toArea(position), value => value ?? ''));
      box.append(group);
      const [red, green, blue] = item.facts.colours[label];
      $(`swatch-${label}`).style.background = `rgb(${red} ${green} ${blue})`;
      group.hidden = classes.length > 1 && item.facts.kept[label] === 0 && item.facts.kept.some(count => count > 0);
    });
  }

  #line(name, key, text, range, toPosition, toValue, toShown) {
    const value = this.settings[key][name];
    const slider = element('input', {
      type: 'range', min: String(range.min), max: String(range.max), step: String(range.step),
      'data-key': key, 'data-class': name, 'aria-label': `${name}: ${text}` });
    const box = element('input', {
      type: 'number', 'aria-label': `${name}: ${text}, number`, min: String(range.lowest ?? range.min),
      max: key === 'score_thr' ? '1' : '', step: key === 'score_thr' ? '0.001' : '1', placeholder: key === 'max_area' ? 'any' : '' });
    const tell = wanted => {
      box.value = toShown(wanted);
      slider.setAttribute('aria-valuetext', wanted === null ? 'any' : String(box.value)); // not its position
    };
    const put = wanted => {
      slider.value = toPosition(wanted);
      tell(wanted);
    };
    put(value);
    this.lines.set(`${name} ${key}`, put);
    const change = (wanted, final) => {
      this.settings[key][name] = wanted;
      this.#push(name, key, wanted);
      this.moving = !final;
      this.onChange(this.settings, final);
    };
    slider.addEventListener('input', () => {
      const wanted = toValue(Number(slider.value));
      tell(wanted);
      change(wanted, false);
    });
    slider.addEventListener('blur', () => { this.moving = false; });
    slider.addEventListener('change', () => change(toValue(Number(slider.value)), true));
    box.addEventListener('change', () => {
      const { badInput, rangeUnderflow, rangeOverflow, stepMismatch } = box.validity;
      const refused = badInput || rangeUnderflow || rangeOverflow || (stepMismatch && key !== 'score_thr'); // scores may be finer than a step
      if (refused || (box.value === '' && key !== 'max_area')) { box.value = toShown(this.settings[key][name]); return; }
      const wanted = box.value === '' ? null : Number(box.value);
      put(wanted);
      change(wanted, true);
    });
    return element('label', { class: 'line' }, element('span', {}, text), slider, box);
  }

  // No cell is larger than the largest and smaller than the smallest: one limit takes the other along.
  #push(name, key, wanted) {
    const other = { min_area: 'max_area', max_area: 'min_area' }[key];
    if (!other || wanted === null) return;
    const limit = this.settings[other][name];
    if (limit === null || (key === 'min_area' ? wanted <= limit : wanted >= limit)) return;
    this.settings[other][name] = wanted;
    this.lines.get(`${name} ${other}`)(wanted);
  }
}
