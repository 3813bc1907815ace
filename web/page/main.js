// Ties the page together: the drawing and its answers, then the report beside it.
import { data, showAnswers, showClasses } from "./answer.js";
import { json } from "./files.js";
import { load, read } from "./classifier.js";
import { tellCertainty } from "./certainty.js";
import { Drawing } from "./drawing.js";
import { paint } from "./images.js";
import { Pad } from "./pad.js";
import { takePictures } from "./picture.js";
import { showReport } from "./report.js";

const find = (selector) => document.querySelector(selector);
export const drawing = new Drawing();
export const times = []; // milliseconds from a change of the drawing to its bars, the newest last
new Pad(find("#pad"), drawing);

const report = json("report.json");
const known = report.then((found) => {
  showClasses(found);
  Object.assign(drawing, { isPrepared: data.prepared, isSeparated: data.noun === "digit" });
  find("#side-by-side").hidden = !drawing.isSeparated;
  for (const part of document.querySelectorAll(".prepared")) part.hidden = !data.prepared;
});
known.catch(() => {}); // `ready` tells

let running = null;
let isStale = false;
let chosen = 0; // which of several digits the bars are of
let count = 0;

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
    try {
      const images = drawing.images();
      if (images.length !== count) [chosen, count] = [0, images.length];
      paint(find("#seen"), images[chosen]);
      find("#undo").disabled = !drawing.canUndo;
      find("#clear").disabled = drawing.isBlank;
      find("#source").textContent = drawing.base?.title ?? "";
      await known;
      const found = images.length ? await read(images) : [];
      showAnswers(images, found, chosen, choose);
      tellCertainty(find("#certainty"), images[chosen], found[chosen], data);
    } catch (error) {
      fail(error);
    }
    times.push(performance.now() - began);
    if (times.length > 1000) times.shift();
  }
}

function choose(number) {
  chosen = number;
  update();
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

drawing.addEventListener("change", () => {
  find("#picture-failure").hidden = true; // of a picture before
  update();
});
find("#undo").addEventListener("click", () => drawing.undo());
find("#clear").addEventListener("click", () => drawing.clear());
addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z") {
    event.preventDefault();
    drawing.undo();
  } else if (event.key === "Escape" || (event.key === "Delete" && event.target === find("#pad"))) {
    find("#picture-failure").hidden = true;
    drawing.clear();
  }
});
takePictures(find("#pictures"), find("#picture-failure"), (sheet, title) => drawing.show([], { sheet, title }));

update();
/** Settled when the network is ready and the report is shown. */
export const ready = Promise.all([
  load().then(() => find("#loading").remove()),
  report.then((found) => showReport(found, open)),
]).catch((error) => {
  find("#loading")?.remove();
  fail(error);
});
