// The page: drawings and their labels, training, what goes back to the server, and the comparison.
import { Learner } from './learner.js';
import { Pad } from './pad.js';
import { draw } from './chart.js';
import { fromBytes, paint, raster } from './raster.js';

const STEPS = 60, ALIKE = 1e-4;
const $ = id => document.getElementById(id);
const say = text => { $('status').textContent = text; };

const job = await (await fetch('./job/job.json')).json();
for (const part of [job.neat, job.other, job.check]) part.images = part.images.map(fromBytes);
const examples = [], history = [];
let learner, pad, before = null, drawn = 0, busy = true;

const image = () => pad.picture ? pad.picture.picture : pad.lines.length > 0 ? raster(pad.lines, job.side) : null;
const digitOf = logits => logits.indexOf(Math.max(...logits));
const percent = share => share === null ? '–' : `${(100 * share).toFixed(0)} %`;

// The training runtime does one thing at a time, and so do we: whoever asks waits for those before.
let queue = Promise.resolve();
const inTurn = work => {
  const result = queue.then(work);
  queue = result.catch(() => {});
  return result;
};

async function work(text, what) {
  setBusy(true);
  say(text);
  try {
    await inTurn(what);
  } catch (error) {
    say(`That failed: ${error?.message ?? error}. Reload the page to begin again.`);
    document.body.dataset.state = 'failed';
    throw error;
  } finally {
    setBusy(false);
  }
}

function setBusy(value) {
  busy = value;
  document.body.dataset.state = value ? 'busy' : 'ready';
  enable();
}

function enable() {
  $('train').disabled = $('take').disabled = busy || examples.length === 0;
  $('reset').disabled = busy || (examples.length === 0 && history.length === 0);
  $('check').disabled = busy;
  const nothing = image() === null;
  for (const button of $('labels').children) button.disabled = busy || nothing;
}

async function guess() {
  enable();
  const picture = image();
  if (picture === null) {
    $('guess').textContent = 'It reads: nothing yet';
    for (const bar of $('bars').querySelectorAll('b')) bar.style.width = '0';
    return;
  }
  const [logits] = await inTurn(() => learner.logits([picture]));
  const largest = Math.max(...logits), powers = Array.from(logits, v => Math.exp(v - largest)), sum = powers.reduce((a, b) => a + b);
  const digit = digitOf(logits);
  $('guess').textContent = `It reads: ${digit}, at ${percent(powers[digit] / sum)}`;
  $('bars').querySelectorAll('b').forEach((bar, i) => { bar.style.width = `${(100 * powers[i]) / sum}%`; });
}

async function accuracy(part) {
  if (part.images.length === 0) return null;
  const all = await learner.logits(part.images);
  return all.filter((l, i) => digitOf(l) === part.labels[i]).length / all.length;
}

const mine = () => ({ images: examples.map(e => e.image), labels: examples.map(e => e.label) });

async function showAccuracy() {
  const now = [await accuracy(mine()), await accuracy(job.neat), await accuracy(job.other)];
  before ??= now;
  if (history.length === 0) before = now;
  $('accuracy').querySelectorAll('tbody tr').forEach((row, i) => {
    row.cells[1].textContent = percent(before[i]);
    row.cells[2].textContent = percent(now[i]);
  });
  if (examples.length > 0) {
    const logits = await learner.logits(examples.map(e => e.image));
    examples.forEach((e, i) => { e.read = digitOf(logits[i]); });
  }
  showExamples();
  return now;
}

function showExamples() {
  $('count').textContent = examples.length === 0
    ? 'No examples yet: draw a digit and say which one it is. Three or more of each that it misreads are a good start.'
    : `${examples.length} example${examples.length === 1 ? '' : 's'}; dashed ones are misread. A click takes one away.`;
  $('examples').replaceChildren(...examples.map(e => {
    const item = document.createElement('li'), button = item.appendChild(document.createElement('button'));
    const canvas = button.appendChild(document.createElement('canvas'));
    button.type = 'button';
    button.append(String(e.label));
    button.className = e.read === e.label ? '' : 'wrong';
    button.setAttribute('aria-label', `A ${e.label}, read as ${e.read}. Take it away.`);
    paint(canvas, e.image, job.side, getComputedStyle(document.body).color);
    button.addEventListener('click', () => {
      if (busy) return;
      examples.splice(examples.indexOf(e), 1);
      work('', async () => { await showAccuracy(); say('One example less.'); });
    });
    return item;
  }));
}

function showHistory() {
  const names = learner.matrices.map(m => m.name);
  draw($('loss'), 'loss', [{ name: 'loss', values: history.map(h => h.loss) }]);
  draw($('lambda'), 'λ', names.map((name, i) => ({ name, values: history.map(h => h.constraints[i].lambda) })));
  draw($('ratio'), 'R/κ', names.map((name, i) => ({ name, values: history.map(h => h.constraints[i].measure / h.constraints[i].kappa) })),
    { floor: null, line: 1 });
  const last = history.at(-1)?.constraints;
  [...$('matrices').tBodies[0].rows].forEach((row, i) => {
    const c = last?.[i];
    const lambda = !c || c.lambda === 0 ? '0' : c.lambda === null ? 'not found' : c.lambda.toExponential(1);
    const texts = c ? [lambda, c.measure.toFixed(3), c.kappa.toFixed(3),
      (c.measure / c.kappa).toFixed(4)] : ['0', learner.matrices[i].kappa.toFixed(3), learner.matrices[i].kappa.toFixed(3), '1.0000'];
    texts.forEach((text, j) => { row.cells[j + 1].textContent = text; });
  });
}

// Half of a batch are the user's examples, the other half neat digits, lest those be forgotten.
function batch() {
  const images = [], labels = [], pick = n => Math.floor(Math.random() * n);
  for (let i = 0; i < job.batchSize; i++) {
    if (i % 2 === 0) {
      const e = examples[pick(examples.length)];
      images.push(e.image);
      labels.push(e.label);
    } else {
      const j = pick(job.neat.images.length);
      images.push(job.neat.images[j]);
      labels.push(job.neat.labels[j]);
    }
  }
  return [images, labels];
}

async function train() {
  const start = performance.now();
  for (let step = 0; step < STEPS; step++) {
    history.push(await learner.step(...batch()));
    if (step % 5 === 4) {
      showHistory();
      say(`Training: step ${step + 1} of ${STEPS}, loss ${history.at(-1).loss.toFixed(3)}`);
      // Lets the page draw and answer.
      await new Promise(done => setTimeout(done));
    }
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const [own] = await showAccuracy();
  say(`Trained ${STEPS} steps in ${seconds} s. It reads ${percent(own)} of your examples right.`);
}

async function reset() {
  examples.length = history.length = 0;
  await learner.release();
  learner = await Learner.create(job);
  before = null;
  showHistory();
  await showAccuracy();
  say('As it was when the page was opened.');
}

async function take() {
  const images = examples.map(e => e.image), logits = await learner.logits(images), parameters = await learner.parameters();
  const answer = await fetch('./model', {
    method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ parameters: [...parameters], images: images.map(i => [...i]), logits: logits.map(l => [...l]) }),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.problem);
  $('taken').dataset.largest = body.largestDifference;
  const link = document.createElement('a');
  link.href = `./job/${body.file}`;
  link.download = body.file;
  link.textContent = `${body.file} (${(body.bytes / 1024).toFixed(0)} KB)`;
  $('taken').replaceChildren(`Stock ONNX Runtime reads ${body.sameDigits} of ${body.drawings} drawings as the browser does; logits are `
    + `at most ${body.largestDifference.toExponential(1)} apart. `, link);
  say('The model is an ordinary ONNX file now.');
}

async function check() {
  const other = await Learner.create(job), { images, labels, steps } = job.check, rows = [];
  let loss = 0, lambda = 0, size = 0;
  for (const [i, expected] of steps.entries()) {
    const from = i * job.batchSize, to = from + job.batchSize, step = await other.step(images.slice(from, to), labels.slice(from, to));
    rows.push([i + 1, step.loss, expected.loss]);
    loss = Math.max(loss, Math.abs(step.loss - expected.loss));
    for (const c of step.constraints) {
      // A λ that was not found is as far apart as can be.
      lambda = Math.max(lambda, c.lambda === null ? Infinity : Math.abs(c.lambda - expected.lambdas[c.name]));
      size = Math.max(size, Math.abs(c.measure / expected.measures[c.name] - 1));
    }
  }
  await other.release();
  $('steps').tBodies[0].replaceChildren(...rows.map(([step, here, there]) => {
    const row = document.createElement('tr');
    [step, here.toFixed(6), there.toFixed(6), Math.abs(here - there).toExponential(1)].forEach((text, i) => {
      const cell = row.appendChild(document.createElement(i === 0 ? 'th' : 'td'));
      if (i === 0) cell.scope = 'row';
      cell.textContent = text;
    });
    return row;
  }));
  $('steps').hidden = false;
  const good = loss <= ALIKE && lambda <= ALIKE && size <= ALIKE, verdict = $('verdict');
  verdict.className = good ? 'good' : 'bad';
  Object.assign(verdict.dataset, { loss, lambda, size });
  verdict.textContent = `${good ? 'Yes' : 'No'}: over ${steps.length} steps the losses are at most ${loss.toExponential(1)} apart, λ `
    + `${lambda.toExponential(1)}, and R differs by a share of ${size.toExponential(1)} at most (allowed: 1e-4 each).`;
  say(good ? 'Both trained alike.' : 'They did not train alike.');
}

function build() {
  for (let digit = 0; digit < job.classes; digit++) {
    const bar = $('bars').appendChild(document.createElement('li'));
    bar.append(String(digit));
    bar.appendChild(document.createElement('i')).appendChild(document.createElement('b'));
    const button = $('labels').appendChild(document.createElement('button'));
    button.type = 'button';
    button.textContent = digit;
    button.disabled = true;
    button.addEventListener('click', () => {
      examples.push({ image: image(), label: digit });
      pad.clear();
      work('', async () => { await showAccuracy(); say(`Noted as a ${digit}.`); });
    });
  }
  learner.matrices.forEach((m, i) => {
    const row = $('matrices').tBodies[0].insertRow(), head = row.appendChild(document.createElement('th'));
    head.scope = 'row';
    const key = head.appendChild(document.createElementNS('http://www.w3.org/2000/svg', 'svg'));
    key.setAttribute('class', 'key');
    key.setAttribute('viewBox', '0 0 36 10');
    key.setAttribute('aria-hidden', 'true');
    const line = key.appendChild(document.createElementNS('http://www.w3.org/2000/svg', 'polyline'));
    line.setAttribute('class', `curve c${i}`);
    line.setAttribute('points', '0,5 36,5');
    head.append(m.name);
    for (let j = 0; j < 4; j++) row.insertCell();
  });
  $('clear').addEventListener('click', () => pad.clear());
  $('sample').addEventListener('click', () => {
    const i = drawn++ % job.other.images.length;
    pad.put(job.other.images[i], job.side);
    say(`Drawn for you: a ${job.other.labels[i]} as other people write it. Say so by its button.`);
  });
  $('train').addEventListener('click', () => work('Training …', async () => { await train(); }).then(guess));
  $('reset').addEventListener('click', () => work('Starting again …', reset).then(guess));
  $('take').addEventListener('click', () => work('Sending …', take));
  $('check').addEventListener('click', () => work('Comparing …', check));
}

try {
  learner = await Learner.create(job);
  pad = new Pad($('pad'), () => guess());
  build();
  showHistory();
  await showAccuracy();
  say('Ready.');
  setBusy(false);
} catch (error) {
  say(`The training runtime did not start: ${error?.message ?? error}`);
  document.body.dataset.state = 'failed';
}
