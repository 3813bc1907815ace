// The digits of a drawing, one by one: what digits/page/parts.py does in Python, in the same steps.

const SMALL = 0.35;
const OVERLAP = 0.5;
const GAP = 0.2;

/** Drawings of a part each, from grey values row by row, in the order of reading; none where there is no ink. */
export function parts(drawing, width) {
  const { labels, boxes } = pieces(drawing, width);
  const found = readingOrder(joined(boxes));
  if (found.length === 1) return [drawing]; // as most drawings are, with every movement of the pen
  return found.map((box) => only(drawing, labels, new Set(box.pieces)));
}

/** The drawing without the pieces that are not among these. */
export function only(drawing, labels, kept) {
  return drawing.map((grey, place) => (kept.has(labels[place]) ? grey : 0));
}

/** The number of the piece of each pixel, 0 for paper, and each piece; pixels touch at corners, too. */
export function pieces(drawing, width) {
  const height = drawing.length / width;
  const labels = new Uint32Array(drawing.length);
  const boxes = [];
  const stack = [];
  for (let start = 0; start < drawing.length; start++) {
    if (!drawing[start] || labels[start]) continue;
    const box = { pieces: [boxes.length + 1], top: height, bottom: 0, left: width, right: 0 };
    labels[start] = boxes.push(box);
    stack.push(start);
    while (stack.length) {
      const place = stack.pop();
      const [row, column] = [Math.floor(place / width), place % width];
      box.top = Math.min(box.top, row);
      box.bottom = Math.max(box.bottom, row + 1);
      box.left = Math.min(box.left, column);
      box.right = Math.max(box.right, column + 1);
      for (let y = Math.max(0, row - 1); y <= Math.min(height - 1, row + 1); y++) {
        for (let x = Math.max(0, column - 1); x <= Math.min(width - 1, column + 1); x++) {
          const next = y * width + x;
          if (!drawing[next] || labels[next]) continue;
          labels[next] = boxes.length;
          stack.push(next);
        }
      }
    }
  }
  return { labels, boxes };
}

function join(box, other) {
  box.pieces.push(...other.pieces);
  box.top = Math.min(box.top, other.top);
  box.bottom = Math.max(box.bottom, other.bottom);
  box.left = Math.min(box.left, other.left);
  box.right = Math.max(box.right, other.right);
}

const heightOf = (box) => box.bottom - box.top;
const widthOf = (box) => box.right - box.left;

/** Boxes that are digits by their size and place, each with what belongs to it. */
function joined(boxes) {
  const tallest = Math.max(0, ...boxes.map(heightOf));
  const isLarge = (box) => heightOf(box) >= SMALL * tallest;
  const large = boxes.filter(isLarge).sort((a, b) => a.left - b.left || a.top - b.top);
  const found = [];
  for (const box of large) {
    let near;
    while ((near = found.findIndex((other) => belongTogether(box, other))) >= 0) join(box, ...found.splice(near, 1));
    found.push(box);
  }
  for (const box of boxes.filter((each) => !isLarge(each))) {
    const nearest = found.reduce((best, other) => (isNearer(box, other, best) ? other : best));
    join(nearest, box);
  }
  return found;
}

function belongTogether(a, b) {
  const shared = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const between = Math.max(a.top, b.top) - Math.min(a.bottom, b.bottom);
  return (
    shared > OVERLAP * Math.min(widthOf(a), widthOf(b)) && between < GAP * Math.max(heightOf(a), heightOf(b))
  );
}

/** Whether a box is nearer to the first than to the second; where both are as near, the one further left is. */
function isNearer(box, a, b) {
  const [first, second] = [a, b].map((other) => {
    const across = Math.max(0, box.left - other.right, other.left - box.right);
    const down = Math.max(0, box.top - other.bottom, other.top - box.bottom);
    return across * across + down * down;
  });
  return first < second || (first === second && a.left < b.left);
}

/** A row has the boxes whose middle lies between the top and the bottom of its first one. */
function readingOrder(boxes) {
  const middle = (box) => box.top + box.bottom;
  const rows = [];
  for (const box of [...boxes].sort((a, b) => middle(a) - middle(b) || a.left - b.left)) {
    const row = rows.find(([first]) => 2 * first.top <= middle(box) && middle(box) < 2 * first.bottom);
    if (row) row.push(box);
    else rows.push([box]);
  }
  return rows.flatMap((row) => row.sort((a, b) => a.left - b.left));
}
