// Makes the proofs of one image after the other; what was asked last goes before.
import { read } from "./network.js";
import { isSafe, nearest } from "./proof.js";

const LARGEST = 16; // grey values
const REST = 150; // milliseconds without another image: the search is long, and of no use while the pen moves
let network;
let last;
const isModelHere = new Promise((resolve) => {
  addEventListener("message", ({ data }) => {
    if (data.model) resolve(read(data.model));
    else last = data;
  });
});
const isAsked = () => new Promise((resolve) => addEventListener("message", resolve, { once: true }));
const others = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)); // messages that come meanwhile

/** The largest radius, in grey values, that is proven; undefined where another image has come. */
async function radius(image, isStale) {
  let [safe, unsafe] = [0, LARGEST + 1];
  await others(REST);
  while (unsafe - safe > 1) {
    await others(0);
    if (isStale()) return undefined;
    const middle = (safe + unsafe) >> 1;
    if (isSafe(network, image, middle)) safe = middle;
    else unsafe = middle;
  }
  return safe;
}

network = await isModelHere;
for (let done; ; ) {
  if (last === done) await isAsked();
  done = last;
  if (!done) continue;
  const { number, image } = done;
  if (!image) continue; // the canvas is blank
  const found = network && nearest(network, image);
  postMessage({ number, found });
  if (!found || found.margin <= found.bound) continue;
  const safe = await radius(image, () => last !== done);
  if (safe !== undefined) postMessage({ number, found, radius: { safe, largest: LARGEST } });
}
