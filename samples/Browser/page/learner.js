// The genuine training runtime over our artifacts: steps, predictions, parameters.
import { ConstraintState } from './state.js';
import * as ort from './ort/ort.training.wasm.min.mjs';

ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';
ort.env.wasm.wasmPaths = new URL('./ort/', import.meta.url).href;

async function bytes(name) {
  const answer = await fetch(`./job/artifacts/${name}`);
  if (!answer.ok) throw new Error(`${name}: the server answered ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

let files = null;

export class Learner {
  static async create(job) {
    files ??= await Promise.all(['checkpoint', 'training_model.onnx', 'eval_model.onnx', 'optimizer_model.onnx'].map(bytes));
    const [checkpointState, trainModel, evalModel, optimizerModel] = files;
    const session = await ort.TrainingSession.create({ checkpointState, trainModel, evalModel, optimizerModel }, { logSeverityLevel: 4 });
    return new Learner(job, session);
  }

  constructor(job, session) {
    this.job = job;
    this.session = session;
    this.matrices = job.parameters.filter(p => p.kappa !== null);
    this.state = new ConstraintState(this.matrices);
  }

  feeds(images, labels) {
    const side = this.job.side, ink = new Float32Array(images.length * side * side);
    images.forEach((image, i) => ink.set(image, i * side * side));
    return {
      image: new ort.Tensor('float32', ink, [images.length, 1, side, side]),
      labels: new ort.Tensor('int64', BigInt64Array.from(labels, BigInt), [images.length]),
    };
  }

  // One step on a batch: the loss before it; λ and R of each matrix after it.
  async step(images, labels) {
    const results = await this.session.runTrainStep(this.feeds(images, labels));
    const loss = Number(results[this.session.trainingOutputNames[0]].data[0]);
    await this.session.runOptimizerStep();
    await this.session.lazyResetGrad();
    const flat = await this.parameters(), lambdas = this.state.lambdas();
    const constraints = this.matrices.map((m, i) => ({ name: m.name, lambda: lambdas[i], kappa: m.kappa, measure: measure(flat, m) }));
    return { loss, constraints };
  }

  // Logits of each image.
  async logits(images) {
    const results = await this.session.runEvalStep(this.feeds(images, images.map(() => 0)));
    // This version labels the results of an evaluation by the training outputs; the loss is the first, the logits the second either way.
    const all = Object.values(results)[1].data, classes = this.job.classes;
    return images.map((_, i) => all.slice(i * classes, (i + 1) * classes));
  }

  async parameters() {
    return (await this.session.getContiguousParameters(true)).data;
  }

  release() {
    return this.session.release();
  }
}

// R = Σθ².
function measure(flat, { offset, count }) {
  let sum = 0;
  for (let i = offset; i < offset + count; i++) sum += flat[i] * flat[i];
  return sum;
}
