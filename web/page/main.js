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

let bars = [];
let data = { classes: [], thing: "a digit", noun: "digit" }; // of the images that the network knows
let promises = {}; // what the model states of its answers
const report = json("report.json");
const known = report.then((found) => {
  promises = Object.fromEntries(
    ["familiarity_threshold", "set_threshold", "coverage"].map((key) => [key, Number(found.model[key])]),
  );
  showClasses(found.data);
});
known.catch(() => {}); // `ready` tells

/** A bar for each class, and words that fit. */
function showClasses(found) {
  data = { ...found, noun: found.thing === "a digit" ? "digit" : "class" };
  const isNamed = data.classes.some((name) => name.length > 1);
  bars = data.classes.map((name) => {
    const row = find("#bar").content.firstElementChild.cloneNode(true);
    row.querySelector("b").textContent = name;
    find("#bars").append(row);
    return row;
  });
  find("#draw").classList.toggle("named", isNamed);
  drawing.isPrepared = data.prepared;
  if (data.thing !== "a digit") {
    const title = `${data.title}: draw, and read the report of the run`;
    [document.title, find("h1").textContent] = [title, data.title];
    find("#lead").textContent = find("#lead").textContent.replace("a digit", data.thing);
  }
}

/** What the network says, for a person: the name of a class, and how sure it is. */
function said(name, probability) {
  const what = name.length > 1 ? `This looks like: ${name}` : `This is a ${name}`;
  return `${what}, with a probability of ${percent(probability)}.`;
}

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
      await known;
      const found = image && (await read(image));
      answer(found);
      tellCertainty(find("#certainty"), image, found?.logProbabilities, data);
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
  const probabilities = logProbabilities ? Array.from(logProbabilities, Math.exp) : bars.map(() => 0);
  const best = probabilities.indexOf(Math.max(...probabilities));
  const isRefused = Boolean(found) && found.familiarity < promises.familiarity_threshold;
  bars.forEach((row, index) => {
    row.classList.toggle("best", Boolean(found) && !isRefused && index === best);
    row.querySelector("i").style.width = `${100 * probabilities[index]}%`;
    row.querySelector("span").textContent = logProbabilities ? percent(probabilities[index]) : "–";
  });
  find("#draw").classList.toggle("refused", isRefused);
  find("#answer").textContent = found && !isRefused ? data.classes[best] : "?";
  const words = !found
    ? `The canvas is blank. Draw ${data.thing}.`
    : isRefused
      ? `This does not look like ${data.thing}.`
      : said(data.classes[best], probabilities[best]) + among(logProbabilities, best);
  find("#words").textContent = words;
  clearTimeout(announcement); // read aloud when the pen rests
  announcement = setTimeout(() => (find("#announcement").textContent = words), 600);
}

/** The set of classes that has the right one as often as the model promises, in words. */
function among(logProbabilities, best) {
  const likely = data.classes.filter(
    (_, index) => index === best || logProbabilities[index] >= promises.set_threshold,
  );
  const share = `${Number((100 * promises.coverage).toFixed(3))}\u00a0%`;
  return ` The set that has the right ${data.noun} in ${share} of cases: {${likely.join(", ")}}.`;
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
  report.then((found) => showReport(found, open)),
]).catch((error) => {
  find("#loading")?.remove();
  fail(error);
});
