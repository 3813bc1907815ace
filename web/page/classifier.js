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

/** Log-probabilities, ten for each image; `images` holds 784 grey values for each, 0 paper, 255 ink. */
export function classify(images) {
  const run = async () => {
    const tensor = new ort.Tensor("uint8", images, [images.length / 784, 1, 28, 28]);
    const answers = await (await load()).run({ image: tensor });
    return answers.log_probabilities.data;
  };
  last = last.then(run, run); // one at a time
  return last;
}

/** The most probable digit of each image, as a string of digits. */
export function predictions(logProbabilities) {
  let digits = "";
  for (let start = 0; start < logProbabilities.length; start += 10) {
    const row = logProbabilities.subarray(start, start + 10);
    digits += row.indexOf(Math.max(...row));
  }
  return digits;
}
