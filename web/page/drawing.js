// What is on the canvas: strokes, above a picture or on blank paper.
import { parts } from "./parts.js";
import { SIDE, prepare, rasterize, shrink } from "./prepare.js";

export const SIZE = 280;
export const PEN = 24;
const ZOOM = SIZE / SIDE;

export class Drawing extends EventTarget {
  strokes = [];
  base = null; // below the strokes, { sheet, title }: the ink of a picture; of a test image its `image`, too
  isSeparated = true; // whether it may show several digits; other classes may be made of several pieces
  isPrepared = true; // whether strokes are scaled and centred; else the whole canvas is made smaller
  isOpen = false; // whether the last stroke may still grow
  #past = [];

  get isBlank() {
    return !this.strokes.length && !this.base;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  begin(x, y) {
    this.#keep();
    this.strokes = [...this.strokes, [x, y]];
    this.#changed(true);
  }

  extend(x, y) {
    if (!this.isOpen) return;
    const stroke = this.strokes.at(-1);
    if (Math.hypot(x - stroke.at(-2), y - stroke.at(-1)) < 1) return;
    stroke.push(x, y);
    this.#changed(true);
  }

  undo() {
    if (!this.canUndo) return;
    Object.assign(this, this.#past.pop());
    this.#changed();
  }

  clear() {
    if (this.isBlank) return;
    this.show([], null);
  }

  /** Put strokes and { image, title } or { sheet, title } in the place of what is there; undo brings that back. */
  show(strokes, base) {
    this.#keep();
    this.strokes = strokes;
    this.base = base && { sheet: base.sheet ?? enlarged(base.image), ...base };
    this.#changed();
  }

  /** What the network sees: 28 × 28 grey values of each digit, none where the canvas is blank. */
  images() {
    const image = this.base?.image;
    if (image && !this.strokes.length) return [image]; // a test image stays as it is
    if (this.isBlank) return [];
    const ink = rasterize(this.strokes, SIZE, PEN);
    this.base?.sheet.forEach((grey, place) => (ink[place] = Math.max(ink[place], grey)));
    if (!this.isPrepared) return [shrink(ink, SIZE)];
    const found = image || !this.isSeparated ? [ink] : parts(ink, SIZE);
    return found.map((part) => prepare(part, SIZE));
  }

  #keep() {
    this.#past.push({ strokes: this.strokes, base: this.base });
  }

  #changed(isOpen = false) {
    this.isOpen = isOpen;
    this.dispatchEvent(new Event("change"));
  }
}

/** An image of 28 × 28 as large as the canvas. */
function enlarged(image) {
  return Uint8Array.from({ length: SIZE * SIZE }, (_, place) => {
    const [row, column] = [Math.floor(place / SIZE), place % SIZE];
    return image[Math.floor(row / ZOOM) * SIDE + Math.floor(column / ZOOM)];
  });
}
