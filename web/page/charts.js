// Line charts as SVG. Series differ in colour, in dashes and by a name at their end.

const NAMESPACE = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [460, 250];
const EDGE = { top: 12, right: 14, bottom: 38, left: 44 };

function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Values at about `count` round places between two numbers. */
export function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) {
    found.push(Number((n * step).toPrecision(12)));
  }
  return found;
}

/** A chart of series [[name, values], …] over steps; null is a gap. Pointing at it reads the nearest step. */
export function lineChart(title, unit, steps, series) {
  const values = series.flatMap(([, found]) => found.filter((value) => value !== null));
  const marks = ticks(Math.min(...values), Math.max(...values), 5);
  const [low, high] = [Math.min(marks[0], ...values), Math.max(marks.at(-1), ...values)];
  const x = (step) => EDGE.left + ((WIDTH - EDGE.left - EDGE.right) * step) / steps.at(-1);
  const y = (value) => HEIGHT - EDGE.bottom - ((HEIGHT - EDGE.top - EDGE.bottom) * (value - low)) / (high - low || 1);
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  const ends = series.map(([name, found]) => `${name} ends at ${found.findLast((v) => v !== null)} ${unit}`);
  svg.setAttribute("aria-label", `${title} over ${steps.at(-1)} steps: ${ends.join(", ")}`);
  for (const mark of marks) {
    svg.append(shape("line", { class: "grid", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(mark), y2: y(mark) }));
    svg.append(shape("text", { x: EDGE.left - 8, y: y(mark) + 4, "text-anchor": "end" }, String(mark)));
  }
  for (const step of ticks(0, steps.at(-1), 4)) {
    svg.append(shape("text", { x: x(step), y: HEIGHT - 20, "text-anchor": "middle" }, step.toLocaleString("en")));
  }
  svg.append(shape("text", { x: (EDGE.left + WIDTH) / 2, y: HEIGHT - 5, "text-anchor": "middle" }, "step"));
  series.forEach(([, found], number) => {
    const points = found.flatMap((value, place) => (value === null ? [] : [`${x(steps[place])},${y(value)}`]));
    svg.append(shape("polyline", { class: `series-${number}`, points: points.join(" ") }));
  });
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  figure.append(caption, svg);
  readOut(figure, caption, `${title} (${unit})`, steps, series, x);
  return figure;
}

function readOut(figure, caption, title, steps, series, x) {
  const svg = figure.querySelector("svg");
  const cursor = shape("line", { class: "cursor", y1: EDGE.top, y2: HEIGHT - EDGE.bottom, visibility: "hidden" });
  svg.append(cursor);
  const say = (place) => {
    const legend = series.map(([name, found], number) => {
      const entry = document.createElement("span");
      entry.className = `legend series-${number}`;
      const value = place === null ? null : found[place];
      entry.textContent = value === null || value === undefined ? name : `${name} ${Number(value.toPrecision(4))}`;
      return entry;
    });
    const where = place === null ? title : `${title}, step ${steps[place].toLocaleString("en")}`;
    caption.replaceChildren(Object.assign(document.createElement("b"), { textContent: where }), ...legend);
  };
  say(null);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) * WIDTH) / box.width;
    const distances = steps.map((step) => Math.abs(x(step) - at));
    const place = distances.indexOf(Math.min(...distances));
    for (const key of ["x1", "x2"]) cursor.setAttribute(key, x(steps[place]));
    cursor.setAttribute("visibility", "visible");
    say(place);
  });
  svg.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    say(null);
  });
}
