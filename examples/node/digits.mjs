import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-node";

const session = await ort.InferenceSession.create(process.argv[2]);
const images = new Uint8Array(readFileSync(process.argv[3])).subarray(16); // 0 is paper, 255 is ink
const image = new ort.Tensor("uint8", images, [images.length / 784, 1, 28, 28]);
const { log_probabilities } = await session.run({ image });
for (let start = 0; start < log_probabilities.size; start += 10) {
  const row = log_probabilities.data.subarray(start, start + 10);
  const best = Math.max(...row);
  console.log(row.indexOf(best), Math.exp(best));
}
