// The confusion matrix: a cell shows its images, and an image goes onto the canvas.
import { classAt } from "./classifier.js";
import { testImages } from "./files.js";
import { element, imageButton } from "./images.js";

const find = (selector) => document.querySelector(selector);
const AT_ONCE = 48;

export function showConfusion({ labels, predictions, classes, data }, open) {
  const names = data.classes;
  const cells = names.map(() => names.map(() => []));
  for (let index = 0; index < labels.length; index++) {
    cells[classAt(labels, index)][classAt(predictions, index)].push(index);
  }
  find("#confusion").classList.toggle("named", names.some((name) => name.length > 1));
  find("#confusion").style.setProperty("--columns", names.length);
  const most = Math.max(...cells.flatMap((row, a) => row.map((found, p) => (a === p ? 0 : found.length))), 1);
  const head = names.map((name) => element("th", { scope: "col" }, element("span", { title: name }, name)));
  const recall = element("th", { scope: "col", title: "Share of its images that were recognized" }, "recall");
  const corner = element("th", {}, "");
  find("#confusion").append(element("thead", {}, element("tr", {}, corner, ...head, recall)));
  const body = element("tbody");
  cells.forEach((row, actual) => {
    const buttons = row.map((found, predicted) => {
      const button = cell(names[actual], names[predicted], found.length, most);
      button.addEventListener("click", () => showImages(button, names[actual], names[predicted], found, open));
      return element("td", {}, button);
    });
    const share = element("td", { className: "share" }, `${(100 * classes[actual].recall).toFixed(1)}\u00a0%`);
    body.append(element("tr", {}, element("th", { scope: "row" }, names[actual]), ...buttons, share));
  });
  find("#confusion").append(body);
  moveWithArrows([...body.querySelectorAll("button")], names.length);
}

function cell(actual, predicted, count, most) {
  const isRight = actual === predicted;
  const button = element("button", { type: "button", tabIndex: -1 }, count ? String(count) : "·");
  const meaning = isRight ? `recognized as ${actual}` : `of ${actual} taken for ${predicted}`;
  button.setAttribute("aria-label", `${count} ${count === 1 ? "image" : "images"} ${meaning}`);
  button.className = isRight ? "right" : "wrong";
  // In five steps, as contrast can be relied on in each.
  button.dataset.level = isRight || !count ? 0 : Math.ceil((5 * count) / most);
  return button;
}

/** One stop of the tab key for all cells; arrows move among them. */
function moveWithArrows(buttons, columns) {
  buttons[0].tabIndex = 0;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  buttons.forEach((button, place) => {
    button.addEventListener("focus", () => {
      for (const other of buttons) other.tabIndex = other === button ? 0 : -1;
    });
    button.addEventListener("keydown", (event) => {
      const next = buttons[place + (steps[event.key] ?? NaN)];
      if (!next) return;
      event.preventDefault();
      next.focus();
    });
  });
}

async function showImages(button, actual, predicted, found, open) {
  const gallery = find("#gallery");
  document.querySelector("#confusion [aria-pressed=true]")?.setAttribute("aria-pressed", "false");
  button.setAttribute("aria-pressed", "true");
  const meaning = actual === predicted ? `${actual}, recognized` : `${actual}, taken for ${predicted}`;
  const count = `${found.length.toLocaleString("en")} ${found.length === 1 ? "image" : "images"}`;
  gallery.replaceChildren(element("p", {}, `${meaning}: ${count}. Fetching…`));
  let images;
  try {
    images = await testImages();
  } catch (error) {
    gallery.replaceChildren(element("p", { className: "failure" }, error.message));
    return;
  }
  if (button.getAttribute("aria-pressed") !== "true") return; // another cell was chosen meanwhile
  const list = element("div", { className: "thumbnails" });
  const more = element("button", { type: "button" });
  let shown = 0;
  const showMore = () => {
    for (const index of found.slice(shown, shown + AT_ONCE)) {
      const image = images.subarray(index * 784, (index + 1) * 784);
      const words = `Test image ${index}: ${meaning}`;
      list.append(imageButton(image, "", words, () => open(image, words)));
    }
    shown = Math.min(shown + AT_ONCE, found.length);
    more.textContent = `Show more (${(found.length - shown).toLocaleString("en")} left)`;
    more.hidden = shown === found.length;
  };
  more.addEventListener("click", showMore);
  showMore();
  const hint = found.length ? `${meaning}: ${count}. Click one to load it into the canvas.` : `${meaning}: none.`;
  gallery.replaceChildren(element("p", {}, hint), list, more);
}
