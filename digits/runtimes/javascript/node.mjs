// Answers on standard output what arrives on standard input. A message is the length of its head (4 bytes), its
// head as JSON, and as many raw bytes as `bytes` in the head says. Usage: node node.mjs MODEL disabled|enabled

import { argv, exit, stdin, stdout, version } from "node:process";

import { answer, failure } from "./batches.mjs";

const chunks = stdin[Symbol.asyncIterator]();
let rest = Buffer.alloc(0);

async function read(size) {
  const parts = [rest];
  for (let length = rest.length; length < size; length += parts.at(-1).length) {
    const { value, done } = await chunks.next();
    if (done) exit();
    parts.push(value);
  }
  const bytes = Buffer.concat(parts);
  rest = bytes.subarray(size);
  return bytes.subarray(0, size);
}

function send(head, values) {
  const text = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  stdout.write(Buffer.concat([length, text]));
  if (values) stdout.write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

try {
  const { default: ort } = await import("onnxruntime-node");
  const [path, level] = argv.slice(2);
  const session = await ort.InferenceSession.create(path, {
    executionProviders: ["cpu"],
    graphOptimizationLevel: level === "enabled" ? "all" : "disabled",
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
  });
  send({ version: ort.env.versions.node, provider: `CPU, Node.js ${version}` });
  for (;;) {
    const task = JSON.parse(await read((await read(4)).readUInt32LE()));
    const { head, values } = await answer(ort, session, await read(task.bytes), task);
    send(head, values);
  }
} catch (error) {
  send(failure(error));
  exit();
}
