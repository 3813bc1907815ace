// What is proven of one image: the twin of digits/onnx/bound.py and digits/onnx/robustness.py, for perceptrons.
// docs/proof.md has the theorem. All numbers here are float64.

const UNIT = 2 ** -24;
const [MISSED, OUTWARD, UNDERFLOW, OVERFLOW] = [2 ** -33, 1 + 2 ** -20, 2 ** -80, 2 ** 100];
const [OF_A_SUM, OF_NORMALIZATION] = [3, 8];
const [SPREAD, CONSTANT] = [16, 64]; // of log-softmax
const RESERVE = 1e-6; // for the rounding of float64
const gamma = (roundings) => (roundings * UNIT) / (1 - roundings * UNIT);
const greatest = (values) => values.reduce((most, value) => Math.max(most, value), 0);

/** W a, of all the numbers of W in one array, row by row. */
function product(weight, inputs) {
  const columns = inputs.length;
  const found = new Float64Array(weight.length / columns);
  for (let row = 0, at = 0; row < found.length; row++) {
    let sum = 0;
    for (let i = 0; i < columns; i++, at++) sum += weight[at] * inputs[i];
    found[row] = sum;
  }
  return found;
}

const outputs = ({ weight, bias }, inputs) => product(weight, inputs).map((value, row) => value + bias[row]);

/** A row r over the outputs of a layer, times W. */
function back({ weight, rows, columns }, row) {
  const found = new Float64Array(columns);
  for (let unit = 0, at = 0; unit < rows; unit++, at += columns) {
    const factor = row[unit];
    if (factor) for (let i = 0; i < columns; i++) found[i] += factor * weight[at + i];
  }
  return found;
}

/** Each layer's exact outputs, and how far any float32 runtime can be from them, as `bound.forward`. */
function forward({ mean, std, layers }, image) {
  let inputs = Float64Array.from(image, (grey) => (grey / 255 - mean) / std);
  let wrong = new Float64Array(inputs.length);
  return layers.map((layer, number) => {
    const values = outputs(layer, inputs);
    const paper = Math.abs(mean / std);
    const sizes = number
      ? inputs.map((value, i) => Math.abs(value) + wrong[i])
      : Float64Array.from(image, (grey) => grey / 255 / std + paper);
    const terms = product(layer.sizes, sizes);
    const folded = number ? 0 : product(layer.weight, new Float64Array(inputs.length).fill(-mean / std));
    const rounded = gamma(layer.columns + OF_A_SUM + (number ? 0 : OF_NORMALIZATION));
    const underflow = UNDERFLOW * layer.columns * layer.largest ** 2 * (1 + greatest(sizes));
    const local = terms.map((size, row) => {
      const bias = Math.abs(layer.bias[row]);
      const sum = number
        ? rounded * (size + bias)
        : rounded * (1 + rounded) * (size + 2 * bias + Math.abs(folded[row]));
      return (sum + underflow) * OUTWARD;
    });
    const carried = product(layer.sizes, wrong);
    const total = local.map((error, row) => (error + carried[row]) * OUTWARD);
    const slope = total.map((error, row) => Math.min(Math.max((error + values[row]) / (2 * error), 0), 1));
    const rest = total.map((error, row) => Math.max(error - Math.abs(values[row]), 0) / 2);
    const added = rest.map((error, row) => slope[row] * local[row] + error);
    inputs = values.map((value) => Math.max(value, 0));
    wrong = total.map((error, row) => (values[row] > 0 ? error : Math.max(error + values[row], 0)));
    return { values, local, total, slope, added };
  });
}

/**
 * The exact digit of an image of 784 grey values, and the rival that is nearest to what rounding could do:
 * { digit, rival, margin, bound }. In every float32 runtime the difference of their log-probabilities is within
 * `bound` of `margin`, so the digit is certain where margin > bound.
 */
export function nearest(network, image) {
  const forwards = forward(network, image);
  const last = forwards.at(-1);
  const logits = last.values;
  const digit = logits.indexOf(Math.max(...logits));
  const errors = logits.map((_, rival) => {
    if (rival === digit) return 0;
    let found = last.local[digit] + last.local[rival];
    let row = new Float64Array(logits.length);
    [row[digit], row[rival]] = [1, -1];
    for (let number = forwards.length - 1; number > 0; number--) {
      row = back(network.layers[number], row);
      const { added, slope } = forwards[number - 1];
      row.forEach((factor, unit) => (found += Math.abs(factor) * added[unit]));
      row = row.map((factor, unit) => factor * slope[unit]);
    }
    return found + MISSED * forwards.length * (last.total[digit] + last.total[rival]);
  });
  const most = 2 * Math.max(...errors); // of two rivals' difference
  const overflows = forwards.some(({ total }) => !(greatest(total) <= gamma(1) * OVERFLOW));
  const rivals = Array.from(logits, (logit, rival) => {
    const margin = logits[digit] - logit;
    const own = UNIT * (SPREAD * (margin + 2 * most) + 2 * CONSTANT);
    return { digit, rival, margin, bound: overflows ? Infinity : (errors[rival] + own) * OUTWARD };
  });
  return rivals.filter(({ rival }) => rival !== digit).sort((a, b) => a.margin - a.bound - (b.margin - b.bound))[0];
}

/** The least that a row over the outputs of layer `number` can be, as `robustness._lowest`. */
function lowest(layers, known, pixels, number, row) {
  let found = 0;
  for (; number >= 0; number--) {
    row.forEach((factor, unit) => (found += factor * layers[number].bias[unit]));
    row = back(layers[number], row);
    if (!number) break;
    const { low, high } = known[number - 1];
    row.forEach((factor, unit) => {
      if (low[unit] >= 0) return;
      const slope = high[unit] > 0 ? high[unit] / (high[unit] - low[unit]) : 0;
      if (factor < 0) {
        found -= factor * slope * low[unit];
        row[unit] = factor * slope;
      } else if (high[unit] <= -low[unit]) row[unit] = 0;
    });
  }
  row.forEach((factor, i) => (found += factor > 0 ? factor * pixels.low[i] : factor * pixels.high[i]));
  return found;
}

/** What a layer can answer, by intervals, and more sharply where the state of a unit is in doubt. */
function box(layers, known, pixels, number) {
  const layer = layers[number];
  const { low, high } = number ? known[number - 1] : pixels;
  const ends = [low, high].map((limit) => (number ? limit.map((value) => Math.max(value, 0)) : limit));
  const middle = outputs(layer, ends[0].map((value, i) => (value + ends[1][i]) / 2));
  const width = product(layer.sizes, ends[0].map((value, i) => (ends[1][i] - value) / 2));
  const found = {
    low: middle.map((value, row) => value - width[row]),
    high: middle.map((value, row) => value + width[row]),
  };
  middle.forEach((_, unit) => {
    if (number && found.low[unit] < 0 && found.high[unit] > 0) {
      const bounds = [1, -1].map((sign) => {
        const row = new Float64Array(layer.rows);
        row[unit] = sign;
        return sign * lowest(layers, known, pixels, number, row);
      });
      found.low[unit] = Math.max(found.low[unit], bounds[0]);
      found.high[unit] = Math.min(found.high[unit], bounds[1]);
    }
    const reserve = RESERVE * (1 + Math.max(Math.abs(found.low[unit]), Math.abs(found.high[unit])));
    found.low[unit] -= reserve;
    found.high[unit] += reserve;
  });
  return found;
}

/** Whether no change of each pixel by at most `radius` grey values leads the exact network to another digit. */
export function isSafe({ mean, std, layers }, image, radius) {
  const normalized = (grey) => (Math.min(Math.max(grey, 0), 255) / 255 - mean) / std;
  const pixels = {
    low: Float64Array.from(image, (grey) => normalized(grey - radius)),
    high: Float64Array.from(image, (grey) => normalized(grey + radius)),
  };
  const logits = forward({ mean, std, layers }, image).at(-1).values;
  const digit = logits.indexOf(Math.max(...logits));
  const known = [];
  for (let number = 0; number < layers.length - 1; number++) known.push(box(layers, known, pixels, number));
  const reserve = RESERVE * (1 + greatest(logits.map(Math.abs)));
  return logits.every((_, rival) => {
    if (rival === digit) return true;
    const row = new Float64Array(logits.length);
    [row[digit], row[rival]] = [1, -1];
    return lowest(layers, known, pixels, layers.length - 1, row) > reserve;
  });
}
