// Small pictures. Ink is black with the grey value as opacity; the style sheet makes it light on dark.

/** Paint 28 × 28 grey values, or nothing, into a canvas of that size. */
export function paint(canvas, image) {
  const pixels = new ImageData(28, 28);
  image?.forEach((grey, place) => (pixels.data[4 * place + 3] = grey));
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

/** A button that shows an image with a caption, and says all of it in words. */
export function imageButton(image, caption, words, onClick) {
  const canvas = element("canvas", { width: 28, height: 28 });
  paint(canvas, image);
  const button = element("button", { type: "button", className: "thumbnail", title: words }, canvas);
  button.setAttribute("aria-label", caption ? `${caption}. ${words}` : words);
  if (caption) button.append(element("span", {}, caption));
  button.addEventListener("click", onClick);
  return button;
}

/** An element with properties and children. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
