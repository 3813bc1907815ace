// Says of a drawing whether its digit is proven, and how much change it is proven to bear.
import { isFamiliar } from "./answer.js";
import { modelBytes } from "./classifier.js";
import { short, withArticle } from "./words.js";

let worker;
let asked = 0;
let told = () => {};

/** The proofs are made beside the page, which goes on drawing. */
function start(line) {
  worker = new Worker(new URL("./certainty-worker.js", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data }) => data.number === asked && told(data));
  worker.addEventListener("error", (event) => {
    write(line, "Nothing is proven of this drawing:", event.message);
    line.hidden = false;
  });
  const isTold = () => {}; // by the network itself, which cannot load then either
  modelBytes().then((model) => worker.postMessage({ model }), isTold);
}

/**
 * Tell of an image of 784 grey values and its answer, or hide the line where it is null; `data` has the names of the
 * classes, the noun for one of them, and what the images are of.
 */
export function tellCertainty(line, image, answer, data) {
  asked++;
  if (!image) {
    line.hidden = true;
    worker?.postMessage({ number: asked, image: null }); // what it is at is of no use any more
    return;
  }
  if (!worker) start(line);
  const read = answer.logProbabilities.indexOf(Math.max(...answer.logProbabilities));
  const supposed = isFamiliar(answer) ? "" : `, if it is ${data.thing}`;
  told = ({ found, radius }) => {
    line.hidden = !found;
    if (found) write(line, ...(radius === undefined ? words(found, read, supposed, data) : [, , ofRadius(radius)]));
  };
  worker.postMessage({ number: asked, image });
}

function write(line, ...parts) {
  [...line.children].forEach((child, place) => {
    if (parts[place] !== undefined) child.textContent = parts[place];
  });
}

function words({ digit, rival, margin, bound }, read, supposed, { classes, noun }) {
  const [name, other] = [classes[digit], classes[rival]];
  const a = name.length > 1 ? name : withArticle(name);
  const numbers =
    `its log-probability leads that of ${other} by ${short(margin)}, ` +
    `and rounding can change that by ${short(bound)} at most.`;
  if (margin <= bound) return [`Not proven${supposed}:`, `another runtime may read another ${noun} than ${name}; ${numbers}`, ""];
  if (digit !== read) return ["Wrong:", `every float32 runtime must read ${a}; this browser does not.`, ""];
  return [`Proven${supposed}:`, `every float32 runtime reads ${a} here; ${numbers}`, ""];
}

function ofRadius({ safe, largest }) {
  if (!safe) return "Of changed pixels nothing is proven.";
  const most = safe === largest ? `${safe} grey values of 255, or more` : `${safe} of 255 grey values`;
  return `The answer stays the same if each pixel changes by up to ${most}.`;
}
