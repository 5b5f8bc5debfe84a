'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const get = (id) => document.getElementById(id);

  /* ---- the table: filter and sort ---- */
  const body = get('table').tBodies[0];
  const rows = [...body.rows];

  function filterRows() {
    const name = get('filter-name').value.trim().toLowerCase();
    const cls = get('filter-class') ? get('filter-class').value : '';
    const flagged = get('filter-flagged').checked;
    let shown = 0;
    for (const row of rows) {
      const fits = row.dataset.name.includes(name) &&
        (!flagged || row.dataset.flagged !== '0') &&
        (cls === '' || row.dataset.classes.split(' ').includes(cls));
      row.hidden = !fits;
      shown += fits;
    }
    get('filter-count').textContent = `${shown} of ${rows.length} images`;
  }

  function sortRows(header) {
    const column = [...header.parentNode.children].indexOf(header);
    const numeric = header.dataset.sort === 'number';
    const first = numeric ? 'descending' : 'ascending';
    const other = numeric ? 'ascending' : 'descending';
    const direction = header.getAttribute('aria-sort') === first ? other : first;
    for (const each of header.parentNode.children) each.removeAttribute('aria-sort');
    header.setAttribute('aria-sort', direction);
    const value = (row) => row.cells[column].dataset.value;
    const sign = direction === 'ascending' ? 1 : -1;
    const sorted = [...rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === '' || y === '') return (x === '') - (y === '');  // what is not known comes last
      return sign * (numeric ? x - y : x.localeCompare(y, undefined, {numeric: true}));
    });
    body.append(...sorted);
  }

  get('filters').addEventListener('input', filterRows);
  get('filters').addEventListener('submit', (event) => event.preventDefault());
  for (const header of document.querySelectorAll('th[data-sort]')) {
    header.querySelector('button').addEventListener('click', () => sortRows(header));
  }
  filterRows();

  /* ---- the viewer ---- */
  const viewer = get('viewer');
  const canvas = get('canvas');
  const pen = canvas.getContext('2d');
  const GOOD = '#009e73', BAD = '#d55e00', MISSED = '#f0e442', MET = '#ffffff';
  const CYCLE = ['#e69f00', '#56b4e9', '#009e73', '#f0e442', '#d55e00', '#cc79a7', '#ffffff'];
  const CIVIDIS = [[0, 34, 78], [65, 77, 107], [124, 123, 120], [188, 175, 111], [254, 232, 56]];
  let current = null;  // {number, frame, view, picture, cells, truth}
  let zoom = 1, left = 0, top = 0, fitted = 1, waiting = false;

  function scoreColour(score) {
    const place = Math.min(Math.max(score, 0), 1) * (CIVIDIS.length - 1);
    const index = Math.min(Math.floor(place), CIVIDIS.length - 2);
    const mix = CIVIDIS[index].map((v, i) =>
      Math.round(v + (CIVIDIS[index + 1][i] - v) * (place - index)));
    return `rgb(${mix.join(' ')})`;
  }

  function colourOf(index) {
    const view = current.view;
    switch (get('colour-by').value) {
      case 'score': return scoreColour(view.score[index]);
      case 'cell': return CYCLE[index % CYCLE.length];
      case 'kind':
        if (view.kind) return view.kind[index] === 'matched' ? GOOD : BAD;
    }
    return data.colours[view.cls[index]];
  }

  function isShown(index) {
    const view = current.view;
    const toggle = get(`class-${view.cls[index]}`);
    return view.score[index] >= Number(get('min-score').value) &&
      view.area[index] >= Number(get('min-area').value || 0) && (!toggle || toggle.checked);
  }

  function open(number, frame = 0) {
    const list = data.views[number];
    if (!list) return;
    const view = list[Math.min(frame, list.length - 1)];
    const same = current && current.number === number;
    current = {number, frame, view, picture: null,
      cells: view.path.map((path) => new Path2D(path)),
      truth: view.truth ? view.truth.path.map((path) => new Path2D(path)) : []};
    if (view.picture) {
      const mine = current;
      const picture = new Image();
      picture.onload = () => { mine.picture = picture; draw(); };
      picture.src = view.picture;
    }
    get('viewer-name').textContent = data.names[number];
    get('viewer-warnings').replaceChildren(...data.warnings[number].map((line) => {
      const item = document.createElement('li');
      item.textContent = line;
      return item;
    }));
    get('frame-control').hidden = list.length < 2;
    get('frame').max = list.length - 1;
    get('frame').value = frame;
    get('frame-value').textContent = `${frame + 1} of ${list.length} (t ${view.t}, z ${view.z})`;
    if (get('truth-toggle')) get('truth-toggle').hidden = !view.truth;
    if (!viewer.open) viewer.showModal();
    if (!same) fit(); else draw();
    canvas.focus();
  }

  function fit() {
    const {width, height} = canvas.getBoundingClientRect();
    fitted = Math.min(width / current.view.width, height / current.view.height);
    zoom = fitted;
    left = (width - current.view.width * zoom) / 2;
    top = (height - current.view.height * zoom) / 2;
    draw();
  }

  function zoomBy(factor, x, y) {
    const {width, height} = canvas.getBoundingClientRect();
    x ??= width / 2;
    y ??= height / 2;
    const next = Math.min(Math.max(zoom * factor, fitted / 2), Math.max(40, fitted));
    left = x - (x - left) * next / zoom;
    top = y - (y - top) * next / zoom;
    zoom = next;
    draw();
  }

  function draw() {
    if (waiting || !current) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; paint(); });
  }

  function paint() {
    const ratio = window.devicePixelRatio || 1;
    const {width, height} = canvas.getBoundingClientRect();
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const view = current.view;
    pen.setTransform(ratio * zoom, 0, 0, ratio * zoom, ratio * left, ratio * top);
    pen.fillStyle = '#808080';
    pen.fillRect(0, 0, view.width, view.height);
    if (current.picture && get('show-picture').checked) {
      pen.imageSmoothingEnabled = zoom < 4;
      pen.drawImage(current.picture, 0, 0, view.width, view.height);
    }
    const outlines = get('show-outlines').checked, fill = get('show-fill').checked;
    pen.lineWidth = Math.max(0.3, Math.min(view.side * view.scale * zoom / 12, 2.5)) / zoom;
    const truth = view.truth && get('show-truth').checked;
    const isMet = (index) => ['hit', 'wrong type'].includes(view.truth.kind[index]);
    if (truth) {
      pen.strokeStyle = MET;
      current.truth.forEach((cell, index) => { if (isMet(index)) pen.stroke(cell); });
    }
    let shown = 0;
    current.cells.forEach((cell, index) => {
      if (!isShown(index)) return;
      shown += 1;
      const colour = colourOf(index);
      if (fill) {
        pen.globalAlpha = 0.4;
        pen.fillStyle = colour;
        pen.fill(cell, 'evenodd');
        pen.globalAlpha = 1;
      }
      if (outlines) {
        pen.strokeStyle = colour;
        pen.stroke(cell);
      }
    });
    if (truth) {
      pen.setLineDash([5 / zoom, 3 / zoom]);
      pen.strokeStyle = MISSED;
      current.truth.forEach((cell, index) => { if (!isMet(index)) pen.stroke(cell); });
      pen.setLineDash([]);
    }
    if (get('show-numbers').checked) {
      pen.font = `${12 / zoom}px system-ui, sans-serif`;
      pen.textAlign = 'center';
      pen.textBaseline = 'middle';
      pen.lineWidth = 3 / zoom;
      pen.strokeStyle = '#000';
      pen.fillStyle = '#fff';
      view.at.forEach(([x, y], index) => {
        if (!isShown(index)) return;
        pen.strokeText(view.label[index], x, y);
        pen.fillText(view.label[index], x, y);
      });
    }
    const reduced = view.scale < 1 ? `; picture at ${Math.round(100 * view.scale)} % of its size` : '';
    get('shown').textContent = `${shown} of ${current.cells.length} cells shown${reduced}`;
    writeKey();
  }

  function writeKey() {
    const by = get('colour-by').value;
    const parts = [];
    if (by === 'kind' && current.view.kind) parts.push([GOOD, 'right'], [BAD, 'wrong']);
    if (by === 'score') parts.push([scoreColour(0), '0'], [scoreColour(0.5), '0.5'], [scoreColour(1), '1']);
    if (current.view.truth && get('show-truth').checked) parts.push([MET, 'true, found'], [MISSED, 'true, not found']);
    get('key').replaceChildren(...parts.map(([colour, word]) => {
      const item = document.createElement('span');
      const swatch = document.createElement('i');
      swatch.className = 'swatch';
      swatch.style.background = colour;
      item.append(swatch, `${word} `);
      return item;
    }));
  }

  function pointTo(event) {
    const box = canvas.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    const tip = get('tip');
    pen.setTransform(1, 0, 0, 1, 0, 0);  // points are given in the picture's own pixels
    const px = (x - left) / zoom, py = (y - top) / zoom;
    const index = current.cells.findIndex((cell, i) =>
      isShown(i) && pen.isPointInPath(cell, px, py, 'evenodd'));
    tip.hidden = index < 0;
    if (index < 0) return;
    const view = current.view;
    const kind = view.kind ? `, ${view.kind[index]}` : '';
    tip.textContent = `cell ${view.label[index]}: ${data.classes[view.cls[index]]}, ` +
      `score ${view.score[index].toFixed(2)}, ${view.area[index]} px${kind}`;
    tip.style.left = `${Math.min(x + 14, box.width - tip.offsetWidth - 4)}px`;
    tip.style.top = `${Math.min(y + 14, box.height - tip.offsetHeight - 4)}px`;
  }

  function step(by) {
    // As the table is sorted and filtered; images without a picture are passed over.
    const shown = [...body.rows].filter((row) => !row.hidden)
      .map((row) => Number(row.querySelector('[data-view]').dataset.view))
      .filter((number) => data.views[number]);
    const place = shown.indexOf(current.number) + by;
    if (place >= 0 && place < shown.length) open(shown[place]);
  }

  data.classes.forEach((name, index) => {
    if (data.classes.length < 2) return;
    const label = document.createElement('label');
    const box = document.createElement('input');
    const swatch = document.createElement('i');
    Object.assign(box, {type: 'checkbox', id: `class-${index}`, checked: true});
    swatch.className = 'swatch';
    swatch.style.background = data.colours[index];
    label.append(box, ' ', swatch, name);
    get('class-toggles').append(label);
  });

  document.addEventListener('click', (event) => {
    const button = event.target.closest('[data-view]');
    if (button) open(Number(button.dataset.view));
  });
  viewer.querySelector('.controls').addEventListener('input', (event) => {
    if (event.target.id === 'frame') open(current.number, Number(event.target.value));
    get('min-score-value').textContent = Number(get('min-score').value).toFixed(2);
    draw();
  });
  get('close').addEventListener('click', () => viewer.close());
  get('previous').addEventListener('click', () => step(-1));
  get('next').addEventListener('click', () => step(1));
  get('zoom-in').addEventListener('click', () => zoomBy(1.5));
  get('zoom-out').addEventListener('click', () => zoomBy(1 / 1.5));
  get('fit').addEventListener('click', fit);
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoomBy(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
  }, {passive: false});
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    canvas.classList.add('moving');
    get('tip').hidden = true;
  });
  canvas.addEventListener('pointermove', (event) => {
    if (!canvas.classList.contains('moving')) return pointTo(event);
    left += event.movementX;
    top += event.movementY;
    draw();
  });
  for (const kind of ['pointerup', 'pointercancel']) {
    canvas.addEventListener(kind, () => canvas.classList.remove('moving'));
  }
  canvas.addEventListener('pointerleave', () => { get('tip').hidden = true; });
  const keys = {
    '+': () => zoomBy(1.5), '=': () => zoomBy(1.5), '-': () => zoomBy(1 / 1.5), '0': fit,
    ArrowLeft: () => step(-1), ArrowRight: () => step(1)};
  viewer.addEventListener('keydown', (event) => {
    const typing = ['number', 'range', 'search'].includes(event.target.type) ||
      event.target.tagName === 'SELECT';
    if (!typing && keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  });
  window.addEventListener('resize', () => { if (viewer.open) fit(); });
})();
