// Photos and picture files, chosen, taken with the camera, dropped or pasted.
import { sheet } from "./photo.js";

const LARGEST = 2048; // pixels on a side that the browser is asked for; more tell nothing of a few digits

/** Calls `show` with the ink of a picture, 280 × 280, and its name; where there is none, `line` says why. */
export function takePictures(buttons, line, show) {
  const take = async (file) => {
    if (!file || buttons.hidden) return;
    line.hidden = true;
    try {
      const { grey, width } = await greyValues(file);
      const ink = sheet(grey, width);
      if (!ink) throw new Error("Nothing stands out from the paper in this picture.");
      show(ink, file.name || "A pasted picture");
    } catch (error) {
      line.textContent = error.message;
      line.hidden = false;
    }
  };
  for (const input of buttons.querySelectorAll("input")) {
    input.addEventListener("change", async () => {
      await take(input.files[0]);
      input.value = ""; // so that the same file can be chosen again
    });
  }
  addEventListener("paste", (event) => take(event.clipboardData.files[0]));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault(); // else the browser goes to the picture
    take(event.dataTransfer.files[0]);
  });
}

/** The element of a file of SVG, whose lines a browser makes pixels of in no other way. */
async function drawn(file) {
  const reader = new FileReader();
  await new Promise((resolve, reject) => {
    Object.assign(reader, { onload: resolve, onerror: reject }).readAsDataURL(file);
  });
  const picture = Object.assign(new Image(), { src: reader.result });
  await picture.decode();
  return picture;
}

/** Grey values of a file, row by row, 0 black to 255 white; what is transparent is white. */
export async function greyValues(file) {
  let picture;
  try {
    picture = await (file.type === "image/svg+xml" ? drawn(file) : createImageBitmap(file)); // as the camera was held
  } catch {
    throw new Error(`${file.name || "What was pasted"} is no picture that this browser can open.`);
  }
  const scale = Math.min(1, LARGEST / Math.max(picture.width, picture.height));
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  Object.assign(context, { fillStyle: "#fff", imageSmoothingQuality: "high" });
  context.fillRect(0, 0, width, height);
  context.drawImage(picture, 0, 0, width, height);
  picture.close?.();
  const { data } = context.getImageData(0, 0, width, height);
  const grey = new Uint8Array(width * height);
  for (let place = 0; place < grey.length; place++) {
    // The brightness of ITU-R BT.601, rounded as Pillow does.
    const at = 4 * place;
    grey[place] = (data[at] * 19595 + data[at + 1] * 38470 + data[at + 2] * 7471 + 0x8000) >> 16;
  }
  return { grey, width };
}
