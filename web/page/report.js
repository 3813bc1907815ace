// The report of the run: everything in report.json.
import { lineChart } from "./charts.js";
import { checkAll } from "./check.js";
import { showConfusion } from "./confusion.js";
import { element, imageButton } from "./images.js";
import { withArticle } from "./words.js";

const find = (selector) => document.querySelector(selector);
const words = (key) => key.replaceAll("_", " ").replace(/\.(?=\w)/g, ": ");

/** Fill the page; `open(image, title)` puts an image onto the canvas. */
export function showReport(report, open) {
  showFigures(report);
  showConfusion(report, open);
  showMistakes(report, open);
  showCurves(report.training);
  showCertificate(report.parity);
  fillTable(find("#data"), flat(report.data));
  fillTable(find("#hashes"), report.hashes, (key) => key);
  fillTable(find("#parameters"), flat(report.parameters), (key) => key);
  fillTable(find("#model"), report.model);
  find("#check").addEventListener("click", () => checkAll(report));
  find("#report").hidden = false;
}

function showFigures({ metrics, parity }) {
  const figures = [
    ["accuracy", percent(metrics.accuracy)],
    ["mistakes", metrics.mistakes.toLocaleString("en")],
    ["test images", metrics.images.toLocaleString("en")],
    ["loss (nats)", metrics.loss.toFixed(4)],
    ["ONNX and PyTorch", parity.passed ? "equal" : "NOT equal"],
  ];
  for (const [name, value] of figures) {
    find("#figures").append(element("div", {}, element("dt", {}, name), element("dd", {}, value)));
  }
}

const percent = (share) => `${(100 * share).toFixed(2)}\u00a0%`;

function showMistakes({ mistakes, metrics, data }, open) {
  find("#mistakes-shown").textContent = mistakes.length;
  find("#mistakes-all").textContent = metrics.mistakes.toLocaleString("en");
  if (!mistakes.length) find("#mistakes-words").textContent = "There are none.";
  for (const mistake of mistakes) {
    const image = Uint8Array.from(atob(mistake.image), (character) => character.charCodeAt(0));
    const [actual, predicted] = [data.classes[mistake.actual], data.classes[mistake.predicted]];
    const isNamed = actual.length > 1 || predicted.length > 1; // a name is no noun
    const [one, other] = isNamed ? [actual, predicted] : [actual, predicted].map(withArticle);
    const title = `${one}, taken for ${other} (${percent(mistake.probability)})`;
    const caption = isNamed ? `→ ${predicted}` : `${actual} → ${predicted}`;
    const words = `Test image ${mistake.index}: ${title}`;
    find("#mistakes").append(imageButton(image, caption, words, () => open(image, words)));
  }
}

function showCurves(training) {
  const validated = training.validation_loss?.some((value) => value !== null);
  for (const [id, key, unit, scale] of [
    ["#loss-curve", "loss", "nats", 1],
    ["#accuracy-curve", "accuracy", "%", 100],
  ]) {
    const series = [["training", training[key]], ...(validated ? [["validation", training[`validation_${key}`]]] : [])];
    const scaled = series.map(([name, values]) => [name, values.map((v) => (v === null ? null : v * scale))]);
    find(id).append(lineChart(words(key), unit, training.step, scaled));
  }
  const last = training.epoch.map((epoch, row) => epoch !== training.epoch[row + 1]);
  const rows = training.epoch.flatMap((_, row) =>
    last[row] ? [Object.fromEntries(Object.keys(training).map((key) => [key, training[key][row]]))] : [],
  );
  fillRows(find("#epochs"), rows);
}

/** Whatever facts the certificate has: the proof grows, and this page need not. */
function showCertificate(parity) {
  const verdict = find("#verdict");
  const { configurations = [], explanation = [], missing = [], passed, ...facts } = parity;
  verdict.textContent = passed ? "Passed" : "Failed";
  verdict.classList.toggle("failed", !passed);
  fillTable(find("#certificate"), flat(facts));
  fillRows(find("#configurations"), configurations);
  find("#configurations-count").textContent = configurations.length;
  // One entry for each word explained, named as the tables name it.
  for (const entry of explanation.join(" ").split(/(?<=[.;]) (?=[a-z]\w*(?:, \w+)*: )/)) {
    find("#explanation").append(element("li", {}, words(entry.replaceAll("`", ""))));
  }
  for (const entry of missing) {
    find("#missing").append(element("li", {}, `${words(entry.runtime)} was not compared: ${entry.reason}`));
  }
}

const isTree = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** Nested objects as one, with dotted keys. */
function flat(tree, prefix = "") {
  return Object.entries(tree).reduce((facts, [key, value]) => {
    return Object.assign(facts, isTree(value) ? flat(value, `${prefix}${key}.`) : { [prefix + key]: value });
  }, {});
}

function text(value) {
  if (value === null || value === undefined || value === "") return "–";
  if (value === true || value === false) return value ? "yes" : "no";
  if (Array.isArray(value)) return value.map(text).join(value.some(isTree) ? "; " : ", ") || "–";
  if (typeof value === "number") return number(value);
  if (!isTree(value)) return value;
  return Object.entries(flat(value)).map(([key, part]) => `${words(key)} ${text(part)}`).join(", ") || "–";
}

function number(value) {
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return Math.abs(value) < 1e-4 ? value.toExponential().replace("-", "−") : String(value);
}

function fillTable(table, facts, named = words) {
  for (const [key, value] of Object.entries(facts)) {
    const parts = named(key).split(/(?<=[._])/); // where a long name may be broken
    const name = element("th", { scope: "row" }, ...parts.flatMap((part) => [part, element("wbr")]));
    table.append(element("tr", {}, name, element("td", {}, text(value))));
  }
}

function fillRows(table, rows) {
  const keys = Object.keys(rows[0] ?? {}).filter((key) => rows.some((row) => text(row[key]) !== "–"));
  const head = keys.map((key) => element("th", { scope: "col" }, words(key)));
  table.append(element("thead", {}, element("tr", {}, ...head)));
  const cells = (row) => keys.map((key) => element("td", {}, text(row[key])));
  table.append(element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells(row)))));
}
