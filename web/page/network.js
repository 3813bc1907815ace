// The numbers of the network out of model.onnx, where it is a chain of Gemm and Relu: what proofs need.

const text = (bytes) => new TextDecoder().decode(bytes);

/** The fields of a protobuf message: [number, value], a value being a number or bytes. */
function* fields(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let place = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[place++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (place < bytes.length) {
    const key = varint();
    const kind = key % 8;
    let value;
    if (kind === 0) value = varint();
    else if (kind === 2) {
      const length = varint();
      value = bytes.subarray(place, (place += length));
    } else if (kind === 5) {
      value = view.getFloat32(place, true);
      place += 4;
    } else throw new Error(`model.onnx has a field of the kind ${kind}`);
    yield [(key - kind) / 8, value];
  }
}

const all = (message, number) => [...fields(message)].filter(([n]) => n === number).map(([, value]) => value);

/** A float32 tensor's name and numbers, whose `rows` is its first dimension; null for one of another type. */
function tensor(message) {
  const [[kind], [name], [raw]] = [2, 8, 9].map((number) => all(message, number));
  if (kind !== 1 || !raw) return [text(name), null];
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const numbers = Float64Array.from({ length: raw.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
  return [text(name), Object.assign(numbers, { rows: all(message, 1)[0] })];
}

function node(message) {
  const number = (attribute) => [...fields(attribute)].find(([n]) => n === 2 || n === 3)?.[1];
  const attributes = all(message, 5).map((attribute) => [text(all(attribute, 1)[0]), number(attribute)]);
  const [kind] = all(message, 4).map(text);
  const [inputs, outputs] = [1, 2].map((field) => all(message, field).map(text));
  return { kind, inputs, outputs, attributes: Object.fromEntries(attributes) };
}

/** The nodes that have a part in an output, in order; a graph's nodes are sorted. */
function leadingTo(output, nodes) {
  const wanted = new Set([output]);
  const isPart = ({ inputs, outputs }) =>
    outputs.some((name) => wanted.has(name)) && inputs.every((name) => wanted.add(name));
  return nodes.toReversed().filter(isPart).reverse();
}

/** { mean, std, layers: [{ weight, sizes, bias, rows, columns, largest }] }; null where it is another kind of network. */
export function read(model) {
  const [graph] = all(model, 7);
  const held = Object.fromEntries(all(graph, 5).map(tensor));
  const parts = leadingTo("log_probabilities", all(graph, 1).map(node));
  const nodes = parts.filter(({ kind }) => kind !== "Reshape" && kind !== "Flatten");
  if (!/^Cast Div Sub Div (Gemm Relu )*Gemm LogSoftmax$/.test(nodes.map(({ kind }) => kind).join(" "))) return null;
  const [scale, mean, std] = nodes.slice(1, 4).map(({ inputs }) => held[inputs[1]][0]);
  const layers = nodes.filter(({ kind }) => kind === "Gemm").map(({ inputs, attributes }) => {
    const { alpha = 1, beta = 1, transA = 0, transB = 0 } = attributes;
    const weight = held[inputs[1]];
    if (alpha !== 1 || beta !== 1 || transA || !transB) return null;
    const { rows } = weight;
    const bias = inputs[2] ? held[inputs[2]] : new Float64Array(rows);
    const largest = [...weight, ...bias].reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    return { weight, sizes: weight.map(Math.abs), bias, rows, columns: weight.length / rows, largest };
  });
  return scale === 255 && layers.every(Boolean) ? { mean, std, layers } : null;
}
