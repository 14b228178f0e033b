// Replays folders that `ortcpr artifacts fixtures` wrote in the genuine training runtime of ONNX Runtime 1.19.2 (WebAssembly, one thread).
//
//   npm install
//   node replay.mjs FOLDER …      a folder of artifacts with trajectory.safetensors, or a folder of such folders
//   node replay.mjs --time N …    and times N steps after that (training step, optimizer step, reset), of which the median is shown
//
// Each must load and give our losses to 1e-5 (relative to 1 + loss) and our parameters to 1e-4 after the first and the last step, plus ten times the
// drift that is recorded beside each value: the distance to a run of ours from weights that differ in the last digit. So must the state of each
// constrained matrix (second moments, λ, κ, detector) after the last step. The browser's API gives out no optimizer state, so it is looked for in the
// module's memory: a place where the second moments are ours, with λ and κ behind them. The last line counts.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const LOSS = 1e-5, PARAMETER = 1e-4, STATE = 1e-4, TAIL = 7, DRIFT = 10;
// Every memory that a module makes from here on.
const memories = [];
WebAssembly.Memory = class extends WebAssembly.Memory {
  constructor(descriptor) {
    super(descriptor);
    memories.push(this);
  }
};
const here = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(process.env.ORTCPR_GENUINE ?? path.join(here, 'node_modules'), 'onnxruntime-web', 'dist');
// The package hides its training build from Node, so it is loaded by path.
const ort = await import(pathToFileURL(path.join(dist, 'ort.training.wasm.min.mjs')).href);
ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';
ort.env.wasm.wasmPaths = `${pathToFileURL(dist).href}/`;
ort.env.wasm.wasmBinary = fs.readFileSync(path.join(dist, 'ort-training-wasm-simd-threaded.wasm'));

const KINDS = { F32: ['float32', Float32Array], I64: ['int64', BigInt64Array], I32: ['int32', Int32Array], BOOL: ['bool', Uint8Array] };

function readSafetensors(file) {
  const bytes = fs.readFileSync(file), length = Number(bytes.readBigUInt64LE(0)), start = 8 + length;
  const header = JSON.parse(bytes.toString('utf8', 8, start));
  const { __metadata__: metadata, ...entries } = header;
  const tensors = Object.fromEntries(Object.entries(entries).map(([name, e]) => {
    const [type, Kind] = KINDS[e.dtype];
    // A copy, since typed arrays want their own alignment.
    return [name, new ort.Tensor(type, new Kind(Uint8Array.from(bytes.subarray(start + e.data_offsets[0], start + e.data_offsets[1])).buffer), e.shape)];
  }));
  return { metadata, tensors };
}

// How far the nearest copy of a state in the memory is from the expected one, in parts of what is allowed; infinite where there is none. Elements are
// allowed STATE of their own size (second moments: of the largest), and drift.
function nearestState(expected, drift) {
  const n = expected.length, second = n - TAIL, heap = new Float32Array(memories.at(-1).buffer), allowed = new Float32Array(n);
  let largest = 0, best = Infinity, where = -1;
  for (let i = 0; i < second; i++) largest = Math.max(largest, expected[i]);
  for (let i = 0; i < n; i++) allowed[i] = STATE * (i < second ? largest : Math.abs(expected[i])) + DRIFT * drift[i];
  // Whole numbers must be equal: samples taken, whether set or ever active, whether constrained.
  const samples = expected[second + 2], set = expected[second + 5];
  for (let at = second; at + TAIL <= heap.length; at++) {
    if (heap[at + 6] !== 1 || heap[at + 5] !== set || heap[at + 2] !== samples) continue;
    let apart = 0, element = -1;
    for (let i = 0; i < n && apart < best; i++) {
      const error = Math.abs(heap[at - second + i] - expected[i]);
      // What is exactly 0 on both sides may have nothing allowed.
      const part = error === 0 ? 0 : error / allowed[i];
      if (!(part <= apart)) [apart, element] = [part, i];
    }
    if (apart < best) [best, where] = [apart, element];
  }
  const names = ['λ', 'κ', 'samples', 'e1', 'e2', 'set', 'constrained'];
  return { parts: best, what: where < 0 ? 'state' : where < second ? 'second moment' : names[where - second] };
}

async function replay(folder) {
  const read = name => new Uint8Array(fs.readFileSync(path.join(folder, name)));
  const { metadata, tensors } = readSafetensors(path.join(folder, 'trajectory.safetensors'));
  const session = await ort.TrainingSession.create({
    checkpointState: read('checkpoint'), trainModel: read('training_model.onnx'), evalModel: read('eval_model.onnx'), optimizerModel: read('optimizer_model.onnx'),
  }, { logSeverityLevel: 4 });
  const feeds = names => Object.fromEntries(names.map(n => [n, tensors[`batch/${n}`]]));
  const losses = tensors.loss.data, evaluations = tensors.eval_loss.data;
  let worst = 0, where = '', limit = 1;
  const compare = (what, actual, expected, allowed) => {
    const error = Math.abs(actual - expected);
    if (!(error / allowed <= worst / limit)) [worst, limit, where] = [error, allowed, what];
  };
  const compareParameters = async tag => {
    const flat = (await session.getContiguousParameters(false)).data;
    let at = 0;
    for (const name of JSON.parse(metadata.parameters)) {
      const expected = tensors[`param/${name}/${tag}`].data;
      let largest = 1, apart = 0;
      for (const v of expected) largest = Math.max(largest, Math.abs(v));
      for (let i = 0; i < expected.length; i++) apart = Math.max(apart, Math.abs(flat[at + i] - expected[i]));
      compare(`${name} after ${tag}`, apart, 0, PARAMETER * largest + DRIFT * tensors[`drift/param/${name}/${tag}`].data[0]);
      at += expected.length;
    }
    if (at !== flat.length) throw new Error(`the runtime holds ${flat.length} numbers of parameters, the trajectory ${at}`);
  };
  for (let t = 0; t < losses.length; t++) {
    const results = await session.runTrainStep(feeds(session.trainingInputNames));
    compare(`loss ${t}`, Number(results[session.trainingOutputNames[0]].data[0]), losses[t], LOSS * (1 + Math.abs(losses[t])) + DRIFT * tensors['drift/loss'].data[t]);
    await session.runOptimizerStep();
    await session.lazyResetGrad();
    if (t === 0) await compareParameters('first');
    const evaluated = await session.runEvalStep(feeds(session.evalInputNames));
    // This version labels the results of an evaluation by the training outputs; the loss is the first either way.
    compare(`evaluation ${t}`, Number(Object.values(evaluated)[0].data[0]), evaluations[t], LOSS * (1 + Math.abs(evaluations[t])) + DRIFT * tensors['drift/eval_loss'].data[t]);
  }
  await compareParameters('last');
  let states = 0;
  for (const name of Object.keys(tensors).filter(t => t.startsWith('state/'))) {
    const { parts, what } = nearestState(tensors[name].data, tensors[`drift/${name}`].data);
    compare(`${what} of ${name.slice('state/'.length)}, in parts of what is allowed`, parts, 0, 1);
    states++;
  }
  const times = [];
  for (let i = 0; i < timed; i++) {
    const start = performance.now();
    await session.runTrainStep(feeds(session.trainingInputNames));
    await session.runOptimizerStep();
    await session.lazyResetGrad();
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const time = timed > 0 ? `; ${times[timed >> 1].toFixed(2)} ms a step` : '';
  await session.release();
  return {
    ok: worst <= limit,
    text: `${states} states; worst: ${where}, off by ${worst.toExponential(2)}, allowed ${limit.toExponential(2)}${time}`,
  };
}

const words = process.argv.slice(2);
const timed = words[0] === '--time' ? Number(words.splice(0, 2)[1]) : 0;
const folders = words.flatMap(f => fs.existsSync(path.join(f, 'trajectory.safetensors')) ? [f]
  : fs.readdirSync(f).sort().map(n => path.join(f, n)));
let passed = 0, failed = 0;
for (const folder of folders) {
  let result;
  try {
    result = await replay(folder);
  } catch (error) {
    result = { ok: false, text: typeof error === 'number' ? `the runtime threw ${error}` : String(error?.message ?? error) };
  }
  if (result.ok) passed++; else failed++;
  console.log(`${result.ok ? 'passed' : 'FAILED'}  ${path.basename(folder)}  ${result.text}`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
