// λ, as the optimizer's state has it. The browser's API gives out no optimizer state, so it is read where it lies in the runtime's memory:
// behind the second moments of a constrained matrix come λ, κ, four numbers of the detector of κ, and 1 (docs/artifacts.md).
const TAIL = 7, LAMBDA = 0, KAPPA = 1, STATE = 5, CONSTRAINED = 6;

// Every memory that a module makes from here on; so this module is imported before the runtime.
const memories = [];
WebAssembly.Memory = class extends WebAssembly.Memory {
  constructor(descriptor) {
    super(descriptor);
    memories.push(this);
  }
};

const heap = () => new Float32Array(memories.at(-1).buffer);

// κ of the artifacts may differ from that of the program in its last digit, since they sum in another order.
function holds(numbers, at, matrix) {
  return Math.abs(numbers[at + KAPPA] - matrix.kappa) <= 1e-6 * matrix.kappa && numbers[at + CONSTRAINED] === 1 && numbers[at + STATE] >= 1
    && numbers[at + LAMBDA] >= 0;
}

// Sum of the second moments in front of the tail; NaN where one is negative, for then these are other numbers.
function moments(numbers, at, matrix) {
  let sum = 0;
  for (let i = at - matrix.count; i < at; i++) sum += numbers[i] >= 0 ? numbers[i] : NaN;
  return sum;
}

function search(matrix) {
  const numbers = heap(), places = [];
  for (let at = matrix.count; at + TAIL <= numbers.length; at++) {
    if (holds(numbers, at, matrix)) places.push({ at, moments: moments(numbers, at, matrix) });
  }
  return places;
}

export class ConstraintState {
  // Made before the first step of a session. Several places may look right: the file that was read, states of sessions before.
  constructor(matrices) {
    this.matrices = matrices.map(m => ({ ...m, places: search(m) }));
  }

  // λ of each matrix after an optimizer step; null where the state is not found. The right place is one whose second moments change with
  // every step.
  lambdas() {
    const numbers = heap();
    return this.matrices.map(matrix => {
      matrix.places = matrix.places.filter(place => {
        const before = place.moments;
        place.moments = holds(numbers, place.at, matrix) ? moments(numbers, place.at, matrix) : NaN;
        return place.moments > 0 && place.moments !== before;
      });
      return matrix.places.length > 0 ? numbers[matrix.places[0].at + LAMBDA] : null;
    });
  }
}
