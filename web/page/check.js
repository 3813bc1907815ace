// The proof, again, in this browser: every test image through WebAssembly, against PyTorch's answers.
import { classify, predictions } from "./classifier.js";
import { testImages } from "./files.js";

const find = (selector) => document.querySelector(selector);
const BATCH = 500;

/** How often this browser's answers are right, and how many differ from PyTorch's; `tell` hears the progress. */
export async function compare(report, tell = () => {}) {
  const images = await testImages();
  const total = images.length / 784;
  let found = "";
  let milliseconds = 0;
  for (let start = 0; start < total; start += BATCH) {
    const began = performance.now();
    const answers = await classify(images.subarray(start * 784, (start + BATCH) * 784));
    found += predictions(answers, report.data.classes.length);
    milliseconds += performance.now() - began;
    tell(found.length / total);
    await new Promise((resolve) => setTimeout(resolve)); // let the page breathe
  }
  const differing = (other) => [...found].filter((one, index) => one !== other[index]).length;
  return {
    images: total,
    accuracy: 1 - differing(report.labels) / total,
    flips: differing(report.predictions),
    milliseconds,
  };
}

/** `compare`, with its progress and outcome on the page. */
export async function checkAll(report) {
  const [button, bar, outcome] = [find("#check"), find("#check-progress"), find("#check-outcome")];
  button.disabled = true;
  bar.hidden = false;
  outcome.textContent = "";
  outcome.classList.remove("failed");
  try {
    const found = await compare(report, (share) => (bar.value = share));
    const isEqual = found.flips === 0 && found.accuracy.toFixed(6) === report.metrics.accuracy.toFixed(6);
    outcome.classList.toggle("failed", !isEqual);
    outcome.textContent =
      `${isEqual ? "Equal" : "NOT equal"} to PyTorch: accuracy ${(100 * found.accuracy).toFixed(2)}\u00a0% ` +
      `over ${found.images.toLocaleString("en")} images, ${found.flips} class flips, ` +
      `${(found.milliseconds / 1000).toFixed(2)} s.`;
  } catch (error) {
    outcome.classList.add("failed");
    outcome.textContent = error.message;
  }
  bar.hidden = true;
  button.disabled = false;
}
