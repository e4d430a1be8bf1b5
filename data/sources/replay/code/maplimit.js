// Run asynchronous jobs with a limit on how many are in flight at once,
// keeping results in the order in which the jobs were given.
"use strict";

async function mapLimit(items, limit, worker) {
  if (!Number.isInteger(limit) || limit < 1) {
    throw new RangeError("limit must be a positive integer");
  }
  const results = new Array(items.length);
  let next = 0;

  async function lane() {
    // Each lane takes the next unclaimed index until none are left.
    while (next < items.length) {
      const index = next++;
      try {
        results[index] = { ok: true, value: await worker(items[index], index) };
      } catch (error) {
        results[index] = { ok: false, reason: error.message };
      }
    }
  }

  const lanes = Array.from({ length: Math.min(limit, items.length) }, lane);
  await Promise.all(lanes);
  return results;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let active = 0;
let peak = 0;

async function bake(loaf) {
  peak = Math.max(peak, ++active);
  await pause(loaf.minutes);
  active -= 1;
  if (loaf.minutes > 40) throw new Error(`${loaf.name} burnt`);
  return `${loaf.name} done`;
}

const loaves = [["rye", 35], ["oat", 10], ["spelt", 50], ["barley", 5]]
  .map(([name, minutes]) => ({ name, minutes }));
mapLimit(loaves, 2, bake).then((out) => console.log(out, "peak", peak));
