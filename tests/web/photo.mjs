// The page's own reading of photos for test_photo.py: JSON in; for each picture the number of parts, its sheet, and
// the prepared parts.
import { readFileSync, writeSync } from "node:fs";
import { parts } from "../../web/page/parts.js";
import { sheet } from "../../web/page/photo.js";
import { prepare } from "../../web/page/prepare.js";

const found = [];
for (const { grey, width } of JSON.parse(readFileSync(0, "utf8"))) {
  const drawing = sheet(Uint8Array.from(Buffer.from(grey, "base64")), width);
  const digits = drawing ? parts(drawing, 280).map((part) => prepare(part, 280)) : [];
  found.push(Uint8Array.of(digits.length), drawing ?? new Uint8Array(280 * 280), ...digits);
}
const output = Buffer.concat(found);
for (let written = 0; written < output.length; ) written += writeSync(1, output, written);
