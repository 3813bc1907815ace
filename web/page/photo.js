// From a photo or a picture to a drawing: what digits/page/photo.py does in Python, in the same steps.
import { only, pieces } from "./parts.js";
import { fitted, floor, inkBox, resized, wholeOf } from "./prepare.js";

const LARGEST = 640;
const SHEET = 280;
const MARGIN = 20;
const WINDOW = 6;
const FAINTEST = 40;
const DIM = 3;
const GRAIN = 24;
const CLEAR = 8;
const SPECK = 0.15;
const SMALLEST = 30;

/** A drawing of 280 × 280 from grey values row by row, 0 black to 255 white; null where nothing stands out. */
export function sheet(grey, width) {
  [grey, width] = smaller(grey, width);
  const ink = inkOf(grey, width);
  if (!ink) return null;
  const box = inkBox(ink, width);
  const [high, wide] = fitted(box, SHEET - 2 * MARGIN);
  const scaled = resized(ink, width, box, high, wide);
  const [top, left] = [Math.floor((SHEET - high) / 2), Math.floor((SHEET - wide) / 2)];
  const found = new Uint8Array(SHEET * SHEET);
  for (let row = 0; row < high; row++) {
    found.set(scaled.subarray(row * wide, (row + 1) * wide), (top + row) * SHEET + left);
  }
  return found;
}

function smaller(grey, width) {
  const whole = wholeOf(grey, width);
  if (Math.max(whole.height, width) <= LARGEST) return [grey, width];
  const [high, wide] = fitted(whole, LARGEST);
  return [resized(grey, width, whole, high, wide), wide];
}

/** Grey values of the ink alone: half at its edge, all some way inside. */
function inkOf(grey, width) {
  const dark = darkness(grey, width);
  const counts = countsOf(dark);
  const grain = quantile(counts, 0.75);
  const level = levelOf(counts, grain);
  if (level < Math.max(FAINTEST, CLEAR * grain)) return null;
  // From a quarter of the level, no ink, to three quarters, all of it.
  const share = (value) => Math.min(Math.max((4 * value - level) / (2 * level), 0), 1);
  const ink = floor(Float64Array.from(dark, (value) => share(value) * 255));
  const { labels, boxes } = pieces(ink, width);
  const kept = writing(boxes, labels, ink, width);
  return kept.length ? only(ink, labels, new Set(kept.map((box) => box.pieces[0]))) : null;
}

/** By how much a pixel is darker than the paper around it, in 255ths of the paper's brightness. */
function darkness(grey, width) {
  const window = Math.max(3, Math.floor(Math.max(width, grey.length / width) / WINDOW)) | 1;
  const inverted = grey.map((value) => 255 - value);
  let [closed, closedInverted] = [closedBy(grey, width, window), closedBy(inverted, width, window)];
  const opened = closedInverted.map((value) => 255 - value);
  if (isLightOnDark(grey, closed, opened, width, window)) [grey, closed] = [inverted, closedInverted];
  // Of grainy paper, the closing is the brightest grains.
  const below = countsOf(closed.map((value, place) => value - grey[place]));
  const usual = quantile(below, 0.5);
  const grain = Math.max(1, quantile(below, 0.75) - usual);
  const paper = closed.map((value) => Math.max(0, value - usual));
  const brightest = quantile(countsOf(paper), 0.9);
  const least = Math.max(GRAIN * grain, Math.floor(brightest / DIM));
  const share = (value, place) => Math.max(0, paper[place] - value) / Math.max(least, paper[place]);
  return floor(Float64Array.from(grey, (value, place) => 255 * share(value, place)));
}

/** Whether the bright pixels are the rarer ones, near what is narrow; the middle there tells which are bright. */
function isLightOnDark(grey, closed, opened, width, window) {
  const most = closed.reduce((most, value, place) => Math.max(most, value - opened[place]), 0);
  const narrow = closed.map((value, place) => (4 * (value - opened[place]) >= most ? 1 : 0));
  const reach = 2 * Math.floor((window + 2) / 3) + 1;
  const sumsOf = (values) =>
    [true, false].reduce((sums, isColumn) => windowSums(sums, width, reach, isColumn), values);
  const middles = sumsOf(Float64Array.from(narrow, (is, place) => is * (closed[place] + opened[place])));
  const count = sumsOf(narrow);
  return grey.reduce((sum, value, place) => sum + Math.sign(2 * value * count[place] - middles[place]), 0) < 0;
}

/** Calls `line` with the first place, the step and the length of each column, or of each row. */
function forEachLine(size, width, isColumn, line) {
  const height = size / width;
  for (let at = 0; at < (isColumn ? width : height); at++) {
    if (isColumn) line(at, width, height);
    else line(at * width, 1, width);
  }
}

function windowSums(values, width, window, isColumn) {
  const half = window >> 1;
  const found = new Float64Array(values.length);
  forEachLine(values.length, width, isColumn, (start, step, length) => {
    let sum = 0;
    for (let at = 0; at < Math.min(half, length); at++) sum += values[start + at * step];
    for (let at = 0; at < length; at++) {
      if (at + half < length) sum += values[start + (at + half) * step];
      if (at - half - 1 >= 0) sum -= values[start + (at - half - 1) * step];
      found[start + at * step] = sum;
    }
  });
  return found;
}

/** Without what is dark and narrower than the window; the picture goes on beyond its edges as it ends. */
function closedBy(grey, width, window) {
  const [height, half] = [grey.length / width, window >> 1];
  const [high, wide] = [height + 2 * half, width + 2 * half];
  const padded = new Uint8Array(high * wide);
  const within = (at, length) => Math.min(Math.max(at - half, 0), length - 1);
  for (let row = 0; row < high; row++) {
    for (let column = 0; column < wide; column++) {
      padded[row * wide + column] = grey[within(row, height) * width + within(column, width)];
    }
  }
  const closed = extremes(extremes(padded, wide, window, Math.max), wide, window, Math.min);
  return grey.map((_, place) => closed[(Math.floor(place / width) + half) * wide + (place % width) + half]);
}

/** The greatest or the least within a square window around each pixel, as far as there are some. */
function extremes(grey, width, window, better) {
  return [true, false].reduce((values, isColumn) => {
    const found = new Uint8Array(values.length);
    const half = window >> 1;
    forEachLine(values.length, width, isColumn, (start, step, length) => {
      // Places whose value none that came after them betters; the first of them counts.
      const queue = new Int32Array(length);
      let [head, tail] = [0, 0];
      for (let at = 0; at < length + half; at++) {
        if (at < length) {
          const value = values[start + at * step];
          while (tail > head && better(values[start + queue[tail - 1] * step], value) === value) tail--;
          queue[tail++] = at;
        }
        const centre = at - half;
        if (centre < 0) continue;
        while (queue[head] < centre - half) head++;
        found[start + centre * step] = values[start + queue[head] * step];
      }
    });
    return found;
  }, grey);
}

/** The usual darkness of ink: of what stands out from the grain of the paper, the median of the darker class. */
function levelOf(counts, grain) {
  counts.fill(0, 0, Math.max(8, 4 * grain) + 1);
  let [all, total] = [0, 0];
  counts.forEach((count, value) => {
    all += count;
    total += count * value;
  });
  if (!all) return 0;
  let [below, sum, most, split] = [0, 0, 0, -1];
  for (let value = 0; value < 256; value++) {
    below += counts[value];
    sum += counts[value] * value;
    const above = all - below;
    const between = below && above ? below * above * (sum / below - (total - sum) / above) ** 2 : 0;
    if (between > most) [most, split] = [between, value];
  }
  counts.fill(0, 0, split + 1);
  return quantile(counts, 0.5);
}

function countsOf(values) {
  const counts = new Float64Array(256);
  for (const value of values) counts[value]++;
  return counts;
}

/** The smallest value that at least this share of the pixels does not exceed, by the number of each value. */
function quantile(counts, share) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let sum = 0;
  return counts.findIndex((count) => (sum += count) >= share * total);
}

/** Without dirt, what is fainter than ink, and, where there is other ink, what the picture's edge cuts off. */
function writing(boxes, labels, ink, width) {
  const height = ink.length / width;
  const darkest = new Uint8Array(boxes.length + 1);
  labels.forEach((label, place) => (darkest[label] = Math.max(darkest[label], ink[place])));
  const dark = boxes.filter((box) => darkest[box.pieces[0]] >= 128);
  const whole = dark.filter(
    (box) => box.top > 0 && box.left > 0 && box.bottom < height && box.right < width,
  );
  const chosen = whole.length ? whole : dark;
  const side = (box) => Math.max(box.bottom - box.top, box.right - box.left);
  const longest = chosen.reduce((most, box) => Math.max(most, side(box)), 0);
  if (SMALLEST * longest < Math.max(height, width)) return [];
  return chosen.filter((box) => side(box) >= SPECK * longest);
}
