// The network: model.onnx in onnxruntime-web, one thread of WebAssembly.
import * as ort from "./ort.js";
import { bytes, once } from "./files.js";

let last = Promise.resolve();

/** The bytes of model.onnx. */
export const modelBytes = once(() => bytes("model.onnx"));

/** Fetch runtime and model. Throws an Error for a person to read. */
export const load = once(async () => {
  const [runtime, model] = await Promise.all([bytes("ort.wasm.gz"), modelBytes()]);
  ort.env.wasm.numThreads = 1; // more need headers that a plain web server does not send
  ort.env.wasm.wasmBinary = runtime;
  return ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
});

/** Log-probabilities, one of each class for each image; `images` holds 784 grey values for each, 0 paper, 255 ink. */
export async function classify(images) {
  return (await answers(images)).log_probabilities.data;
}

/** Log-probabilities and familiarity of each of these images. */
export async function read(images) {
  const together = new Uint8Array(784 * images.length);
  images.forEach((image, number) => together.set(image, 784 * number));
  const { log_probabilities, familiarity } = await answers(together);
  const classes = log_probabilities.dims[1];
  return images.map((_, number) => ({
    logProbabilities: log_probabilities.data.subarray(number * classes, (number + 1) * classes),
    familiarity: familiarity.data[number],
  }));
}

function answers(images) {
  const run = async () => {
    const tensor = new ort.Tensor("uint8", images, [images.length / 784, 1, 28, 28]);
    return (await load()).run({ image: tensor });
  };
  last = last.then(run, run); // one at a time
  return last;
}

/** The most probable class of each image as a character, as in report.json: "0" for the first, and so on. */
export function predictions(logProbabilities, classes = 10) {
  let found = "";
  for (let start = 0; start < logProbabilities.length; start += classes) {
    const row = logProbabilities.subarray(start, start + classes);
    found += String.fromCharCode(48 + row.indexOf(Math.max(...row)));
  }
  return found;
}

/** The class that stands at a place of such a string. */
export const classAt = (characters, place) => characters.charCodeAt(place) - 48;
