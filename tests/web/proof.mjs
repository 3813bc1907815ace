// The page's own proofs for test_proof.py: a model and images in, JSON out.
import { readFileSync } from "node:fs";
import { read } from "../../web/page/network.js";
import { isSafe, nearest } from "../../web/page/proof.js";

const { model, images, radii } = JSON.parse(readFileSync(0, "utf8"));
const network = read(new Uint8Array(readFileSync(model)));
const found = network && images.map((image) => ({ ...nearest(network, image), safe: radii.map((radius) => isSafe(network, image, radius)) }));
process.stdout.write(JSON.stringify(found));
