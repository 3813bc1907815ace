// The files of this folder. What is large is packed with gzip, as not every web server does that.

/** The bytes of a file beside this one. Throws an Error that tells a person which one did not come, and why. */
export async function bytes(name) {
  let response;
  try {
    response = await fetch(new URL(name, import.meta.url));
  } catch {
    throw new Error(`${name} did not arrive: there is no connection to where this page came from.`);
  }
  if (!response.ok) throw new Error(`${name} did not arrive: the server says ${response.status}.`);
  const content = new Uint8Array(await response.arrayBuffer());
  // Some servers announce a .gz as compressed in transit, and the browser has unpacked it then.
  if (content[0] !== 0x1f || content[1] !== 0x8b) return content;
  const unpacked = new Blob([content]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(unpacked).arrayBuffer());
}

export async function json(name) {
  return JSON.parse(new TextDecoder().decode(await bytes(name)));
}

/** What `make` promises, made when it is first asked for, and once; after a failure it is tried again. */
export function once(make) {
  let made;
  return () =>
    (made ??= make().catch((error) => {
      made = undefined;
      throw error;
    }));
}

/** All test images, row by row, 784 bytes each. */
export const testImages = once(() => bytes("test-images.gz"));
