// From a drawing to an image as MNIST has it: what digits/preparation.py does in Python, in the same steps.

export const SIDE = 28;
const BOX = 20;
// Added before rounding down, so that halves go up even where the last bits of a sum say otherwise.
const TIE = 0.5 + 1e-6;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Grey values, size × size, of strokes ([x, y, x, y, …] each) with round ends, `width` pixels wide. */
export function rasterize(strokes, size, width) {
  const ink = new Float64Array(size * size);
  const reach = width / 2 + 0.5;
  const pixels = (a, b) => [
    Math.max(0, Math.floor(Math.min(a, b) - reach)),
    Math.min(size, Math.ceil(Math.max(a, b) + reach)),
  ];
  for (const stroke of strokes) {
    for (let i = 0; i < Math.max(stroke.length - 2, 2); i += 2) {
      const [x0, y0] = [stroke[i], stroke[i + 1]];
      const [x1, y1] = stroke.length > 2 ? [stroke[i + 2], stroke[i + 3]] : [x0, y0];
      const [left, right] = pixels(x0, x1);
      const [top, bottom] = pixels(y0, y1);
      const [dx, dy] = [x1 - x0, y1 - y0];
      const length = dx * dx + dy * dy;
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) {
          const [x, y] = [column + 0.5, row + 0.5];
          const along = length ? clamp(((x - x0) * dx + (y - y0) * dy) / length, 0, 1) : 0;
          const acrossX = x - (x0 + along * dx);
          const acrossY = y - (y0 + along * dy);
          const found = clamp(reach - Math.sqrt(acrossX * acrossX + acrossY * acrossY), 0, 1);
          const place = row * size + column;
          if (found > ink[place]) ink[place] = found;
        }
      }
    }
  }
  return Uint8Array.from(ink, (value) => Math.floor(255 * value + TIE));
}

/** An image of 28 × 28 as the network takes it, from grey values row by row; null where there is no ink. */
export function prepare(drawing, width) {
  const box = inkBox(drawing, width);
  if (!box) return null;
  const [high, wide] = fitted(box, BOX);
  const scaled = averaged(drawing, width, box, high, wide);
  let [total, rowSum, columnSum] = [0, 0, 0];
  for (let row = 0; row < high; row++) {
    for (let column = 0; column < wide; column++) {
      const value = scaled[row * wide + column];
      total += value;
      rowSum += value * row;
      columnSum += value * column;
    }
  }
  const [top, left] = [first(rowSum / total, high), first(columnSum / total, wide)];
  const image = new Uint8Array(SIDE * SIDE);
  for (let row = 0; row < high; row++) {
    for (let column = 0; column < wide; column++) {
      image[(top + row) * SIDE + left + column] = Math.floor(scaled[row * wide + column] + TIE);
    }
  }
  return image;
}

/** An image of 28 × 28 of the whole drawing as it lies, without preparation: to compare with. */
export function shrink(drawing, width) {
  return resized(drawing, width, wholeOf(drawing, width), SIDE, SIDE);
}

/** The box of a whole drawing. */
export function wholeOf(drawing, width) {
  return { top: 0, left: 0, height: drawing.length / width, width };
}

/** Height and width of a box whose longer side is made so many pixels long, its proportions kept. */
export function fitted({ height, width }, side) {
  const longer = Math.max(height, width);
  return [height, width].map((length) => Math.max(1, Math.floor((length * side) / longer + TIE)));
}

/** Averages of areas of a box of the drawing, high × wide grey values. */
export function resized(drawing, width, box, high, wide) {
  return floor(averaged(drawing, width, box, high, wide));
}

/** Whole grey values; halves go up. */
export const floor = (values) => Uint8Array.from(values, (value) => Math.floor(value + TIE));

/** The box that the ink of a drawing reaches; null where there is none. */
export function inkBox(drawing, width) {
  let [top, bottom, left, right] = [Infinity, -1, Infinity, -1];
  for (let place = 0; place < drawing.length; place++) {
    if (!drawing[place]) continue;
    const [row, column] = [Math.floor(place / width), place % width];
    top = Math.min(top, row);
    bottom = row;
    left = Math.min(left, column);
    right = Math.max(right, column);
  }
  return bottom < 0 ? null : { top, left, height: bottom - top + 1, width: right - left + 1 };
}

/** The same before they are made whole. */
function averaged(drawing, width, box, high, wide) {
  const rows = new Float64Array(high * box.width);
  averages(box.height, high, (target, source, share) => {
    const start = (box.top + source) * width + box.left;
    for (let column = 0; column < box.width; column++) {
      rows[target * box.width + column] += share * drawing[start + column];
    }
  });
  const scaled = new Float64Array(high * wide);
  averages(box.width, wide, (target, source, share) => {
    for (let row = 0; row < high; row++) {
      scaled[row * wide + target] += share * rows[row * box.width + source];
    }
  });
  return scaled;
}

/** Tells `add` which share each pixel of the source has in each of the target. */
function averages(source, target, add) {
  const ratio = source / target;
  for (let pixel = 0; pixel < target; pixel++) {
    const start = pixel * ratio;
    for (let from = Math.floor(start); from < Math.min(source, start + ratio); from++) {
      const overlap = Math.min(start + ratio, from + 1) - Math.max(start, from);
      if (overlap > 0) add(pixel, from, overlap / ratio);
    }
  }
}

/** Where something of this length begins, so that its centre of mass lies in the middle, and it fits. */
function first(centre, length) {
  return clamp(Math.floor(SIDE / 2 - centre + TIE), 0, SIDE - length);
}
