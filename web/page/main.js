// Ties the page together: the drawing and its answer, then the report beside it.
import { json } from "./files.js";
import { classify, load } from "./classifier.js";
import { tellCertainty } from "./certainty.js";
import { Drawing } from "./drawing.js";
import { paint } from "./images.js";
import { Pad } from "./pad.js";
import { showReport } from "./report.js";

const find = (selector) => document.querySelector(selector);
export const drawing = new Drawing();
export const times = []; // milliseconds from a change of the drawing to its bars, the newest last
new Pad(find("#pad"), drawing);

const bars = Array.from({ length: 10 }, (_, digit) => {
  const row = find("#bar").content.firstElementChild.cloneNode(true);
  row.querySelector("b").textContent = digit;
  find("#bars").append(row);
  return row;
});
const percent = (share) => `${(100 * share).toFixed(share > 0.9995 || share < 0.0005 ? 0 : 1)}\u00a0%`;

let running = null;
let isStale = false;
let announcement;

/** Show what the network says of the drawing; what is drawn meanwhile gets its answer next. */
export function update() {
  isStale = true;
  running ??= answerAll().finally(() => (running = null));
  return running;
}

async function answerAll() {
  while (isStale) {
    isStale = false;
    const began = performance.now();
    const image = drawing.image();
    paint(find("#seen"), image);
    find("#undo").disabled = !drawing.canUndo;
    find("#clear").disabled = drawing.isBlank;
    find("#source").textContent = drawing.base?.title ?? "";
    try {
      const logProbabilities = image && (await classify(image));
      answer(logProbabilities);
      tellCertainty(find("#certainty"), image, logProbabilities);
    } catch (error) {
      fail(error);
    }
    times.push(performance.now() - began);
    if (times.length > 1000) times.shift();
  }
}

/** Bars and words for ten log-probabilities, or for a blank canvas. */
function answer(logProbabilities) {
  const probabilities = logProbabilities ? Array.from(logProbabilities, Math.exp) : Array(10).fill(0);
  const best = probabilities.indexOf(Math.max(...probabilities));
  bars.forEach((row, digit) => {
    row.classList.toggle("best", Boolean(logProbabilities) && digit === best);
    row.querySelector("i").style.width = `${100 * probabilities[digit]}%`;
    row.querySelector("span").textContent = logProbabilities ? percent(probabilities[digit]) : "–";
  });
  find("#answer").textContent = logProbabilities ? best : "?";
  const words = logProbabilities
    ? `This is a ${best}, with a probability of ${percent(probabilities[best])}.`
    : "The canvas is blank. Draw a digit.";
  find("#words").textContent = words;
  clearTimeout(announcement); // read aloud when the pen rests
  announcement = setTimeout(() => (find("#announcement").textContent = words), 600);
}

function fail(error) {
  find("#failure").textContent = `${error.message} Reload the page to try again.`;
  find("#failure").hidden = false;
}

/** Put a test image onto the canvas, as it is. */
export function open(image, title) {
  drawing.show([], { image, title });
  find("#draw").scrollIntoView({ block: "nearest" });
}

drawing.addEventListener("change", update);
find("#undo").addEventListener("click", () => drawing.undo());
find("#clear").addEventListener("click", () => drawing.clear());
addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z") {
    event.preventDefault();
    drawing.undo();
  } else if (event.key === "Escape" || (event.key === "Delete" && event.target === find("#pad"))) {
    drawing.clear();
  }
});

update();
/** Settled when the network is ready and the report is shown. */
export const ready = Promise.all([
  load().then(() => find("#loading").remove()),
  json("report.json").then((report) => showReport(report, open)),
]).catch((error) => {
  find("#loading")?.remove();
  fail(error);
});
