// Words and numbers as English has them.

/** "a 1", "an 8": of the name of a class, a digit or a letter. */
export function withArticle(name) {
  return `${/^[8AEFHILMNORSX]$/i.test(name) ? "an" : "a"} ${name}`;
}

/** Two digits of a number; very large or small, with a power of ten. */
export function short(value) {
  const rounded = value.toPrecision(2);
  if (rounded.includes("e+") && Math.abs(value) < 1e6) return Number(rounded).toLocaleString("en");
  return rounded.replace(/e.*/, (power) => ` · 10^${Number(power.slice(1))}`);
}
