// Asks the server for tasks and posts the answers, until there are no more. Address: /?level=enabled&threads=1

import * as ort from "./ort/ort.wasm.min.mjs";
import { answer, failure } from "./batches.mjs";

// onnxruntime-web falls back to one thread without an error, so the threads that it starts are counted.
let workers = 0;
self.Worker = class extends Worker {
  constructor(...values) {
    super(...values);
    workers += 1;
  }
};

function post(head, body) {
  return fetch("answer", { method: "POST", headers: { "X-Head": encodeURIComponent(JSON.stringify(head)) }, body });
}

try {
  const wanted = new URLSearchParams(location.search);
  ort.env.wasm.wasmPaths = new URL("ort/", location).href;
  ort.env.wasm.numThreads = Number(wanted.get("threads"));
  const model = new Uint8Array(await (await fetch("model.onnx")).arrayBuffer());
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ["wasm"],
    graphOptimizationLevel: wanted.get("level") === "enabled" ? "all" : "disabled",
  });
  const [browser] = navigator.userAgent.match(/(Headless)?Chrome\/[\d]+/) ?? [navigator.userAgent];
  await post({ version: ort.env.versions.web, workers, isolated: crossOriginIsolated, browser });
  for (;;) {
    const response = await fetch("task");
    if (response.status === 204) continue;
    const task = JSON.parse(decodeURIComponent(response.headers.get("X-Head")));
    const images = new Uint8Array(await response.arrayBuffer());
    const { head, values } = await answer(ort, session, images, task);
    await post(head, values);
  }
} catch (error) {
  await post(failure(error));
}
