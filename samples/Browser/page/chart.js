// Lines over steps, as SVG.
const WIDTH = 320, HEIGHT = 150, LEFT = 40, BOTTOM = 20, TOP = 8, RIGHT = 8;
const SPACE = 'http://www.w3.org/2000/svg';

function add(parent, name, attributes, text) {
  const element = parent.appendChild(document.createElementNS(SPACE, name));
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function short(v, digits = 3) {
  const plain = v === 0 || (Math.abs(v) >= 0.01 && Math.abs(v) < 1000);
  return plain ? String(Number(v.toPrecision(digits))) : v.toExponential(0);
}

// series: { name, values } each; line: a value to mark. Lines differ in colour and in dashes.
export function draw(svg, title, series, { floor = 0, line = null } = {}) {
  svg.replaceChildren();
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute('role', 'img');
  const values = series.flatMap(s => s.values).filter(Number.isFinite), steps = Math.max(1, ...series.map(s => s.values.length));
  const all = [...values, ...(line === null ? [] : [line])];
  let low = Math.min(floor ?? Infinity, ...all), high = Math.max(...all, -Infinity);
  if (!Number.isFinite(low) || !Number.isFinite(high)) [low, high] = [0, 1];
  if (high - low < 1e-12) high = low + 1;
  const margin = floor === null ? 0.08 * (high - low) : 0;
  [low, high] = [low - margin, high + margin];
  const x = i => LEFT + (steps === 1 ? 0 : (i / (steps - 1)) * (WIDTH - LEFT - RIGHT));
  const y = v => TOP + (1 - (v - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  for (const v of [low + margin, (low + high) / 2, high - margin]) {
    add(svg, 'line', { class: 'grid', x1: LEFT, x2: WIDTH - RIGHT, y1: y(v), y2: y(v) });
    add(svg, 'text', { class: 'tick', x: LEFT - 5, y: y(v) + 3.5, 'text-anchor': 'end' }, short(v, line === null ? 3 : 4));
  }
  add(svg, 'text', { class: 'tick', x: LEFT, y: HEIGHT - 5 }, values.length > 0 ? 'step 1' : '');
  add(svg, 'text', { class: 'tick', x: WIDTH - RIGHT, y: HEIGHT - 5, 'text-anchor': 'end' }, values.length > 0 && steps > 1 ? steps : '');
  if (line !== null) add(svg, 'line', { class: 'mark', x1: LEFT, x2: WIDTH - RIGHT, y1: y(line), y2: y(line) });
  series.forEach((s, n) => {
    const points = s.values.map((v, i) => Number.isFinite(v) ? `${x(i).toFixed(1)},${y(v).toFixed(1)}` : null).filter(Boolean);
    add(svg, 'polyline', { class: `curve c${n}`, points: points.join(' ') });
  });
  const last = series.map(s => `${s.name} ${s.values.length > 0 && s.values.at(-1) !== null ? short(s.values.at(-1)) : 'none yet'}`);
  svg.setAttribute('aria-label', `${title} over steps. Last: ${last.join(', ')}.`);
}
