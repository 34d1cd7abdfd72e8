// The worker as seen from the page: work that is asked for, and work that is given up.

const worker = new Worker("worker.js", { type: "module" });
const waiting = new Map(); // job -> {resolve, reject, progress}
let last = 0;

worker.onmessage = ({ data: { job, result, error, message, share } }) => {
  const asked = waiting.get(job);
  if (!asked) return;
  if (share !== undefined) return asked.progress?.(share);
  waiting.delete(job);
  if (error) asked.reject(new DOMException(message ?? "No longer wanted.", error));
  else asked.resolve(result);
};

worker.onerror = (event) => {
  event.preventDefault();
  const error = new Error(event.message || "The work could not be started. Reload the page.");
  for (const { reject } of waiting.values()) reject(error);
  waiting.clear();
};

/**
 * Have the worker do something; see WORK in worker.js.
 *
 * @param progress Called with the share that is done.
 * @returns A promise of the result; it fails with an AbortError if `giveUp` came before the end.
 */
export function ask(work, words = {}, { transfer = [], progress } = {}) {
  const job = ++last;
  worker.postMessage({ job, work, words }, transfer);
  return new Promise((resolve, reject) => waiting.set(job, { resolve, reject, progress }));
}

/** Give up all that was asked for until now. */
export function giveUp() {
  worker.postMessage({ drop: last });
}
