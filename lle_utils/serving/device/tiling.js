// Photos in tiles that agree: the counterpart of lle_utils/enhancers/tiling.py.

import { crop, toFloat } from "./resizing.js";

export const roundUp = (length, divisor) => Math.ceil(length / divisor) * divisor;

/** The side of tiles, or null for a photo that is done in one piece. */
export function tileSide(photo, card, rules) {
  const { width, height } = photo;
  const pixels = width * height;
  if (pixels <= rules.untiledPixels) return null;
  const perPixel = card.bytesPerPixel * rules.memorySafetyFactor;
  const largest = Math.min(rules.largestFeatures / card.bytesPerPixel, card.largestPiece);
  const held = rules.heldBytes + 4 * photo.data.byteLength; // 16 bits between two of 8
  const free = rules.memoryLimit - held;
  if (pixels * (perPixel + 12) <= free && pixels <= largest) return null;
  const overlap = roundUp(card.overlap, card.multiple);
  const need = (side) =>
    (side + 2 * overlap) ** 2 * perPixel + (side + overlap) * width * 3 * 4 * 3;
  let side = roundUp(rules.smallestTile, card.multiple);
  if (need(side) > free) {
    throw new Error(`This photo of ${width}×${height} pixels is too large. Reduce it.`);
  }
  const step = roundUp(rules.tileStep, card.multiple);
  while (side < Math.max(width, height)) {
    if (need(side + step) > free || (side + step + 2 * overlap) ** 2 > largest) break;
    side += step;
  }
  return side;
}

/**
 * Enhance a photo of 8 bits tile by tile, to one of 16.
 *
 * @param run Takes a float picture, resolves to its like.
 * @param cut {side, overlap, blend, multiple}, in pixels.
 * @param tick Called, and waited for, with the share that is done.
 */
export async function enhanceTiles(run, photo, cut, tick) {
  const { width, height } = photo;
  const [side, overlap] = [cut.side, cut.overlap].map((length) => roundUp(length, cut.multiple));
  const blend = Math.min(cut.blend, side >> 1);
  const result = { ...photo, data: new Uint16Array(photo.data.length) };
  const columns = spans(width, side, blend);
  const rows = spans(height, side, blend);
  let fading = new Float32Array(0); // the lower edge of the row before
  let finished = 0;
  for (const [top, bottom] of rows) {
    const row = new Float32Array((bottom - top) * width * 3);
    for (const [left, right] of columns) {
      const tile = await runTile(run, photo, [left, top, right, bottom], overlap);
      add(row, width, tile, left, ramp(left, right, width, blend));
      await tick(++finished / (rows.length * columns.length));
    }
    fadeRows(row, width, ramp(top, bottom, height, blend));
    for (let i = 0; i < fading.length; i++) row[i] += fading[i];
    const done = (bottom === height ? bottom - top : bottom - blend - top) * width * 3;
    for (let i = 0, place = top * width * 3; i < done; i++, place++) {
      result.data[place] = Math.min(row[i] * 65535 + 0.5, 65535); // which is cut to a whole number
    }
    fading = row.subarray(done);
  }
  return result;
}

async function runTile(run, photo, [left, top, right, bottom], overlap) {
  const x = Math.max(left - overlap, 0);
  const y = Math.max(top - overlap, 0);
  const width = Math.min(right + overlap, photo.width) - x;
  const height = Math.min(bottom + overlap, photo.height) - y;
  const seen = await run(toFloat(crop(photo, x, y, width, height)));
  return crop(seen, left - x, top - y, right - left, bottom - top);
}

/** Starts and ends of tiles that share some pixels; starts are multiples of the side. */
function spans(length, side, blend) {
  const found = [];
  for (let start = 0; ; start += side) {
    const end = Math.min(start + side + blend, length);
    found.push([start, end]);
    if (end === length) return found;
  }
}

/** Weights that rise from 0 to 1 over what is shared with the last tile, then fall. */
function ramp(start, end, length, blend) {
  const weights = new Float32Array(end - start).fill(1);
  for (let i = 0; i < Math.min(blend, weights.length); i++) {
    if (start > 0) weights[i] = (i + 0.5) / blend;
  }
  for (let i = 0; i < blend; i++) {
    if (end < length) weights[weights.length - 1 - i] = (i + 0.5) / blend;
  }
  return weights;
}

function add(row, width, tile, left, weights) {
  for (let y = 0, from = 0; y < tile.height; y++) {
    let place = (y * width + left) * 3;
    for (let x = 0; x < tile.width; x++) {
      for (let c = 0; c < 3; c++) row[place++] += tile.data[from++] * weights[x];
    }
  }
}

function fadeRows(row, width, weights) {
  weights.forEach((weight, y) => {
    if (weight === 1) return;
    for (let i = y * width * 3; i < (y + 1) * width * 3; i++) row[i] *= weight;
  });
}
