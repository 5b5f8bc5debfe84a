// Small histograms.

const BINS = 40, HEIGHT = 62, LABELS = 14; // pixels

// Draw how often values occur, from low to high; `marks` are thresholds.
export function drawHistogram(canvas, values, low, high, marks = [], scale = value => value) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = HEIGHT;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d'), style = getComputedStyle(canvas);
  context.scale(ratio, ratio);
  const [from, to] = [scale(low), scale(high)], counts = new Uint32Array(BINS);
  for (const value of values) {
    const k = Math.floor((scale(value) - from) / (to - from || 1) * BINS);
    counts[Math.max(0, Math.min(BINS - 1, k))]++;
  }
  const most = Math.max(1, ...counts), bar = width / BINS;
  context.fillStyle = style.getPropertyValue('--soft');
  counts.forEach((count, k) => {
    const tall = count / most * (height - LABELS - 2);
    context.fillRect(k * bar + 0.5, height - LABELS - tall, Math.max(1, bar - 1), tall);
  });
  context.fillStyle = style.getPropertyValue('--line');
  context.fillRect(0, height - LABELS, width, 1);
  context.fillStyle = style.getPropertyValue('--accent');
  for (const mark of marks) context.fillRect((scale(mark) - from) / (to - from || 1) * width - 1, 0, 2, height - LABELS);
  context.fillStyle = style.getPropertyValue('--soft');
  context.font = '10px system-ui, sans-serif';
  context.textBaseline = 'bottom';
  context.fillText(short(low), 0, height);
  const text = short(high);
  context.fillText(text, width - context.measureText(text).width, height);
  canvas.setAttribute('aria-label', `${canvas.dataset.what}: ${values.length} cells from ${short(low)} to ${short(high)}`);
}

const short = value => value >= 10 ? Math.round(value).toLocaleString('en') : String(Math.round(value * 100) / 100);
