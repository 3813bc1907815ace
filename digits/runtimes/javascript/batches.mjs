/**
 * Runs all images through a session, so many at a time.
 *
 * @param images raw bytes, `count` times 28 by 28
 * @returns the answers one after the other, and their type and shape as onnxruntime reports them
 */
async function inBatches(ort, session, images, { count, batchSize, input, output }) {
  const size = 28 * 28;
  const parts = [];
  let type;
  let rows = 0;
  let rest = [];
  for (let first = 0; first < count; first += batchSize) {
    const number = Math.min(batchSize, count - first);
    const bytes = images.subarray(first * size, (first + number) * size);
    const answer = await session.run({ [input]: new ort.Tensor("uint8", bytes, [number, 1, 28, 28]) }, [output]);
    const tensor = answer[output];
    parts.push(tensor.data);
    type = tensor.type;
    rows += tensor.dims[0];
    rest = tensor.dims.slice(1);
  }
  const values = new parts[0].constructor(parts.reduce((total, part) => total + part.length, 0));
  let place = 0;
  for (const part of parts) {
    values.set(part, place);
    place += part.length;
  }
  return { head: { type, shape: [rows, ...rest], bytes: values.byteLength }, values };
}

/** The same, and an error as an answer: one task that fails is not the end of the others. */
export async function answer(ort, session, images, task) {
  try {
    return await inBatches(ort, session, images, task);
  } catch (error) {
    return { head: failure(error) };
  }
}

/** What is sent instead of an answer. */
export function failure(error) {
  return { error: String(error.message ?? error) };
}
