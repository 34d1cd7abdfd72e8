// Does the work beside the page: reads photos, runs networks, writes results.

import { Enhancer } from "./enhancer.js";
import { leaveGraphics, Network, provider, threads } from "./network.js";
import { asImageData, readPhoto, readPixels, writePhoto } from "./photo_file.js";
import { fitSide, resize, toBytes } from "./resizing.js";

const LIVE_SAMPLE = 4096; // pixels of a frame that its level is chosen on
const STEADINESS = 0.8; // share that the frames before have in that level

const settings = fetch("methods.json").then((answer) => answer.json());
let photo = null; // {picture, kind}
let enhancer = null; // the one whose networks are loaded
let decided = null; // {key, decision} for the photo
let finished = null; // {key, picture}: the last result at full size
let steady = null; // level of the camera's frames, as it is now
let dropped = 0; // up to this number, jobs are no longer wanted

const WORK = {
  async open({ file }) {
    [photo, decided, finished, steady] = [null, null, null, null];
    const { rules } = await settings;
    photo = await readPhoto(file, rules);
    const { picture } = photo;
    const before = resize(picture, ...fitSide(picture, rules.workingSide));
    return { image: asImageData(before), width: picture.width, height: picture.height };
  },

  async preview({ method, level }) {
    const { base } = await decide(method, level);
    return { image: asImageData(toBytes(base)) };
  },

  async full({ method, level }, job) {
    const key = `${method} ${level}`;
    if (finished?.key !== key) {
      const decision = await decide(method, level);
      const picture = await enhancer.enhance(photo.picture, decision, (share) => tick(job, share));
      finished = { key, picture };
    }
    const kind = photo.kind === "png" ? "png" : "jpeg";
    return { blob: await writePhoto(finished.picture, kind), kind };
  },

  async frame(words) {
    words.picture ??= readPixels(words.bitmap);
    words.bitmap.close();
    const { picture, method, level } = words;
    await load(method);
    const { rules } = await settings;
    const own = level ?? enhancer.ownLevel(picture, { ...rules, sampledPixels: LIVE_SAMPLE });
    steady = own === null ? null : STEADINESS * (steady ?? own) + (1 - STEADINESS) * own;
    const { base } = reached(await enhancer.decide(picture, steady), steady);
    return { before: asImageData(picture), image: asImageData(toBytes(base)) };
  },

  async runtime() {
    return { provider: await provider(), threads: threads() };
  },
};

/** Let newer messages in; then stop if the job is no longer wanted, else tell how far it is. */
async function tick(job, share) {
  await new Promise((resolve) => setTimeout(resolve));
  if (job <= dropped) throw new DOMException("No longer wanted.", "AbortError");
  self.postMessage({ job, share });
}

/** Decide about the photo at a level, or at its own; what a network made of it is kept. */
async function decide(method, level) {
  await load(method);
  const { card } = enhancer;
  const wanted = level ?? enhancer.ownLevel(photo.picture);
  const key = card.hasGain ? `${method} ${wanted}` : method;
  if (decided?.key !== key) {
    decided = { key, decision: await enhancer.decide(photo.picture, wanted) };
  }
  return reached(decided.decision, wanted);
}

function reached(decision, level) {
  return level === null ? decision : enhancer.toLevel(decision, level);
}

async function load(method) {
  if (enhancer?.card.name === method) return;
  await unload();
  const { methods, rules } = await settings;
  const card = methods.find((entry) => entry.name === method);
  const contents = await Promise.all(card.files.map(content));
  const networks = [];
  for (const bytes of contents) networks.push(await Network.open(bytes));
  enhancer = new Enhancer(card, networks, rules);
}

async function unload() {
  const old = enhancer;
  [enhancer, decided, finished] = [null, null, null];
  for (const network of old?.networks ?? []) await network.release();
}

async function content(path) {
  const answer = await fetch(path).catch(() => null);
  if (!answer?.ok) throw new Error("This method is not on the device yet; it needs the network.");
  return new Uint8Array(await answer.arrayBuffer());
}

/** Do a piece of work; where the graphics card fails, once more without it. */
async function attempt(work, words, job) {
  try {
    return await WORK[work](words, job);
  } catch (error) {
    const expected = error.name === "AbortError" || !enhancer;
    if (expected || !(await leaveGraphics())) throw error;
    await unload();
    return WORK[work](words, job);
  }
}

let queue = Promise.resolve();

self.onmessage = ({ data: { job, work, words, drop } }) => {
  dropped = Math.max(dropped, drop ?? 0);
  if (!work) return;
  queue = queue.then(async () => {
    if (job <= dropped) return self.postMessage({ job, error: "AbortError" });
    try {
      self.postMessage({ job, result: await attempt(work, words, job) });
    } catch (error) {
      self.postMessage({ job, error: error.name, message: error.message });
    }
  });
};
