// The page's own preparation for test_prepare.py: JSON in, grey values out.
import { readFileSync, writeSync } from "node:fs";
import { prepare, rasterize, shrink } from "../../web/page/prepare.js";

const { images, drawings, size, pen } = JSON.parse(readFileSync(0, "utf8"));
const found = [];
if (images) {
  const content = readFileSync(images).subarray(16);
  for (let start = 0; start < content.length; start += 784) {
    found.push(prepare(content.subarray(start, start + 784), 28));
  }
}
for (const strokes of drawings) {
  const ink = rasterize(strokes, size, pen);
  found.push(ink, prepare(ink, size) ?? new Uint8Array(784), shrink(ink, size));
}
const output = Buffer.concat(found);
for (let written = 0; written < output.length; ) written += writeSync(1, output, written);
