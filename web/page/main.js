// Ties the page together: the drawing and its answer, then the report beside it.
import { json } from "./files.js";
import { load, read } from "./classifier.js";
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

let promises = null; // what the model states of its answers, once the report is here
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
      const found = image && (await read(image));
      answer(found);
      tellCertainty(find("#certainty"), image, found?.logProbabilities);
    } catch (error) {
      fail(error);
    }
    times.push(performance.now() - began);
    if (times.length > 1000) times.shift();
  }
}

/** Bars and words for what the network says of a drawing, or for a blank canvas. */
function answer(found) {
  const logProbabilities = found?.logProbabilities;
  const probabilities = logProbabilities ? Array.from(logProbabilities, Math.exp) : Array(10).fill(0);
  const best = probabilities.indexOf(Math.max(...probabilities));
  const isRefused = Boolean(found) && promises !== null && found.familiarity < promises.familiarity_threshold;
  bars.forEach((row, digit) => {
    row.classList.toggle("best", Boolean(found) && !isRefused && digit === best);
    row.querySelector("i").style.width = `${100 * probabilities[digit]}%`;
    row.querySelector("span").textContent = logProbabilities ? percent(probabilities[digit]) : "–";
  });
  find("#draw").classList.toggle("refused", isRefused);
  find("#answer").textContent = found && !isRefused ? best : "?";
  const words = !found
    ? "The canvas is blank. Draw a digit."
    : isRefused
      ? "This does not look like a digit."
      : `This is a ${best}, with a probability of ${percent(probabilities[best])}.${among(logProbabilities, best)}`;
  find("#words").textContent = words;
  clearTimeout(announcement); // read aloud when the pen rests
  announcement = setTimeout(() => (find("#announcement").textContent = words), 600);
}

/** The set of digits that has the right one as often as the model promises, in words. */
function among(logProbabilities, best) {
  if (promises === null) return "";
  const digits = Array.from(logProbabilities.keys()).filter(
    (digit) => digit === best || logProbabilities[digit] >= promises.set_threshold,
  );
  const share = `${Number((100 * promises.coverage).toFixed(3))}\u00a0%`;
  return ` The set that has the right digit in ${share} of cases: {${digits.join(", ")}}.`;
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
  json("report.json").then((report) => {
    promises = Object.fromEntries(
      ["familiarity_threshold", "set_threshold", "coverage"].map((key) => [key, Number(report.model[key])]),
    );
    update();
    return showReport(report, open);
  }),
]).catch((error) => {
  find("#loading")?.remove();
  fail(error);
});
