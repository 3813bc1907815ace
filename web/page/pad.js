// The canvas that is drawn on: mouse, pen, finger, keyboard.
import { PEN, SIZE } from "./drawing.js";

const STEP = 7; // pixels for an arrow key; four times as much with shift

export class Pad {
  #canvas;
  #drawing;
  #pointer = null;
  #pen = { x: SIZE / 2, y: SIZE / 2, isDown: false, isShown: false };

  constructor(canvas, drawing) {
    this.#canvas = canvas;
    this.#drawing = drawing;
    for (const name of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => this[`_${name}`](event));
    }
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => {
      Object.assign(this.#pen, { isDown: false, isShown: false });
      this.paint();
    });
    // A finger on the canvas draws, and does not scroll the page.
    canvas.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    drawing.addEventListener("change", () => {
      this.#pen.isDown &&= drawing.isOpen;
      this.paint();
    });
    new ResizeObserver(() => this.#fit()).observe(canvas);
  }

  paint() {
    const context = this.#canvas.getContext("2d");
    const scale = this.#canvas.width / SIZE;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, SIZE, SIZE);
    if (this.#drawing.base) this.#paintBase(context);
    Object.assign(context, { lineWidth: PEN, lineCap: "round", lineJoin: "round", strokeStyle: "#000" });
    for (const stroke of this.#drawing.strokes) {
      context.beginPath();
      context.moveTo(stroke[0], stroke[1]);
      // A line must have a length to be painted: a tap's is too short to be seen, its round ends are not.
      if (stroke.length === 2) context.lineTo(stroke[0] + 0.01, stroke[1]);
      for (let i = 2; i < stroke.length; i += 2) context.lineTo(stroke[i], stroke[i + 1]);
      context.stroke();
    }
    if (this.#pen.isShown) this.#paintPen(context);
  }

  #paintBase(context) {
    const pixels = new ImageData(SIZE, SIZE);
    this.#drawing.base.sheet.forEach((grey, place) => (pixels.data[4 * place + 3] = grey));
    const picture = new OffscreenCanvas(SIZE, SIZE);
    picture.getContext("2d").putImageData(pixels, 0, 0);
    context.drawImage(picture, 0, 0);
  }

  #paintPen(context) {
    const { x, y, isDown } = this.#pen;
    Object.assign(context, { lineWidth: 2, strokeStyle: isDown ? "#888" : "#000" });
    context.beginPath();
    context.arc(x, y, PEN / 2, 0, 2 * Math.PI);
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + dx * 7, y + dy * 7);
      context.lineTo(x + dx * 17, y + dy * 17);
    }
    context.stroke();
  }

  #fit() {
    const width = Math.round(this.#canvas.clientWidth * devicePixelRatio);
    if (!width || width === this.#canvas.width) return;
    this.#canvas.width = this.#canvas.height = width;
    this.paint();
  }

  #place(event) {
    const box = this.#canvas.getBoundingClientRect();
    const scale = SIZE / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  _pointerdown(event) {
    // A second finger is not primary. One that is takes over, as the end of another may never be told.
    if (!event.isPrimary || event.button !== 0) return;
    this.#pointer = event.pointerId;
    Object.assign(this.#pen, { isDown: false, isShown: false });
    this.#drawing.begin(...this.#place(event));
    this.#canvas.setPointerCapture(event.pointerId);
  }

  _pointermove(event) {
    if (event.pointerId !== this.#pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const part of events.length ? events : [event]) this.#drawing.extend(...this.#place(part));
  }

  _pointerup(event) {
    if (event.pointerId === this.#pointer) this.#pointer = null;
  }

  _pointercancel(event) {
    this._pointerup(event);
  }

  #key(event) {
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const pen = this.#pen;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (arrows[event.key]) {
      const step = STEP * (event.shiftKey ? 4 : 1);
      [pen.x, pen.y] = [pen.x, pen.y].map((value, axis) =>
        Math.min(Math.max(value + arrows[event.key][axis] * step, 0), SIZE),
      );
      if (pen.isDown) this.#drawing.extend(pen.x, pen.y);
    } else if (event.key === " ") {
      pen.isDown = !pen.isDown;
      if (pen.isDown) this.#drawing.begin(pen.x, pen.y);
    } else return;
    pen.isShown = true;
    event.preventDefault();
    this.paint();
  }
}
