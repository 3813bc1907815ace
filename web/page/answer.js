// What the network says of a drawing, for a person: bars and words.
import { imageButton } from "./images.js";
import { withArticle } from "./words.js";

const find = (selector) => document.querySelector(selector);
let bars = [];
let promises = {}; // what the model states of its answers
let announcement;
/** What the images are that the network knows. */
export let data = { classes: [], thing: "a digit", noun: "digit" };

/** A bar for each class, and words that fit; `found` is report.json. */
export function showClasses(found) {
  promises = Object.fromEntries(
    ["familiarity_threshold", "set_threshold", "coverage"].map((key) => [key, Number(found.model[key])]),
  );
  const areDigits = found.data.thing === "a digit";
  data = { ...found.data, noun: areDigits ? "digit" : "class" };
  bars = data.classes.map((name) => {
    const row = find("#bar").content.firstElementChild.cloneNode(true);
    row.querySelector("b").textContent = name;
    find("#bars").append(row);
    return row;
  });
  find("#draw").classList.toggle("named", data.classes.some((name) => name.length > 1));
  if (!areDigits) {
    const title = `${data.title}: draw, and read the report of the run`;
    [document.title, find("h1").textContent] = [title, data.title];
    find("#lead").textContent = find("#lead").textContent.replace("a digit", data.thing);
  }
}

/**
 * Show what is said of each image, in the order of reading, and more of the chosen one; `choose` is called with the
 * number of another one.
 */
export function showAnswers(images, answers, chosen, choose) {
  const names = answers.map(nameOf);
  const found = answers[chosen];
  const probabilities = found ? Array.from(found.logProbabilities, Math.exp) : bars.map(() => 0);
  const best = probabilities.indexOf(Math.max(...probabilities));
  const isRefused = Boolean(found) && names[chosen] === null;
  bars.forEach((row, index) => {
    row.classList.toggle("best", Boolean(found) && !isRefused && index === best);
    row.querySelector("i").style.width = `${100 * probabilities[index]}%`;
    row.querySelector("span").textContent = found ? percent(probabilities[index]) : "–";
  });
  find("#draw").classList.toggle("refused", isRefused);
  const all = names.map((name) => name ?? "?").join(names.some((name) => name?.length > 1) ? ", " : "") || "?";
  find("#answer").textContent = all;
  find("#answer").style.setProperty("--length", all.length);
  const words = !found
    ? `The canvas is blank. Draw ${data.thing}.`
    : reading(all, answers.length, chosen) +
      (isRefused
        ? `This does not look like ${data.thing}.`
        : said(names[chosen], probabilities[best]) + among(found.logProbabilities, best));
  find("#words").textContent = words;
  showParts(images, names, chosen, choose);
  clearTimeout(announcement); // read aloud when the pen rests
  announcement = setTimeout(() => (find("#announcement").textContent = words), 600);
}

/** Whether the image looks like those that the network has learnt from. */
export function isFamiliar({ familiarity }) {
  return familiarity >= promises.familiarity_threshold;
}

/** The class that is most probable, or null where it does not look like any. */
function nameOf(answer) {
  if (!isFamiliar(answer)) return null;
  return data.classes[answer.logProbabilities.indexOf(Math.max(...answer.logProbabilities))];
}

/** A button for each of several parts. */
function showParts(images, names, chosen, choose) {
  const list = find("#parts");
  list.hidden = names.length < 2;
  if (list.hidden) return list.replaceChildren();
  const focused = [...list.children].indexOf(document.activeElement);
  list.replaceChildren(
    ...names.map((name, number) => {
      const words = `Part ${number + 1} of ${names.length}`;
      const button = imageButton(images[number], name ?? "?", words, () => choose(number));
      button.setAttribute("aria-pressed", number === chosen);
      return button;
    }),
  );
  list.children[focused]?.focus();
}

function reading(all, count, chosen) {
  return count > 1 ? `This reads ${all}. Part ${chosen + 1} of ${count}: ` : "";
}

/** The name of a class, and how sure the network is. */
function said(name, probability) {
  const what = name.length > 1 ? `This looks like: ${name}` : `This is ${withArticle(name)}`;
  return `${what}, with a probability of ${percent(probability)}.`;
}

/** The set of classes that has the right one as often as the model promises, in words. */
function among(logProbabilities, best) {
  const likely = data.classes.filter(
    (_, index) => index === best || logProbabilities[index] >= promises.set_threshold,
  );
  const share = `${Number((100 * promises.coverage).toFixed(3))}\u00a0%`;
  return ` The set that has the right ${data.noun} in ${share} of cases: {${likely.join(", ")}}.`;
}

const percent = (share) => `${(100 * share).toFixed(share > 0.9995 || share < 0.0005 ? 0 : 1)}\u00a0%`;
