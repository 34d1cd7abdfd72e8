// Photo files to pictures of 8 bits, upright, and back.

import { inspect } from "./photo_check.js";

const STRIP = 256; // rows that are copied at a time
const QUALITY = 0.95; // of a JPEG
const READING = { imageOrientation: "from-image" }; // colours are converted to sRGB

/**
 * Decode a photo file.
 *
 * @returns {picture, kind}: transparency is laid on white; `kind` is that of the file.
 * @throws Error that names the file, and says what is wrong and what to do.
 */
export async function readPhoto(file, rules) {
  const name = file.name || "The photo";
  if (file.size > rules.megabytes * 1e6) {
    const size = Math.round(file.size / 1e6);
    throw new Error(`${name} has ${size} MB; up to ${rules.megabytes} MB can be done.`);
  }
  let found;
  try {
    found = inspect(new Uint8Array(await file.arrayBuffer()));
  } catch (error) {
    throw new Error(`${name} ${error.message}`);
  }
  checkSize(name, found, rules);
  const bitmap = await createImageBitmap(file, READING).catch(() => {
    const reason = found.kind === "heic"
      ? "is a HEIC photo, which this browser cannot read. Save it as JPEG."
      : "is damaged, or this browser cannot read it. Save it as JPEG or PNG.";
    throw new Error(`${name} ${reason}`);
  });
  try {
    checkSize(name, bitmap, rules);
    return { picture: readPixels(bitmap), kind: found.kind };
  } finally {
    bitmap.close();
  }
}

function checkSize(name, { width, height }, { megapixels }) {
  if (width * height > megapixels * 1e6) {
    throw new Error(
      `${name} has ${width}×${height} pixels; up to ${megapixels} megapixels can be done.`,
    );
  }
}

/** The pixels of a bitmap, laid on white. */
export function readPixels(bitmap) {
  const { width, height } = bitmap;
  const data = new Uint8ClampedArray(width * height * 3);
  const context = plainContext(width, Math.min(STRIP, height));
  context.fillStyle = "white";
  for (let top = 0, place = 0; top < height; top += STRIP) {
    const rows = Math.min(STRIP, height - top);
    context.fillRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    const strip = context.getImageData(0, 0, width, rows).data;
    for (let from = 0; from < strip.length; from += 4, place += 3) {
      data[place] = strip[from];
      data[place + 1] = strip[from + 1];
      data[place + 2] = strip[from + 2];
    }
  }
  return { data, width, height };
}

function plainContext(width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error(`This browser has no room for ${width}×${height} pixels.`);
  return context;
}

/** A picture of 8 bits as ImageData, some rows of it or all. */
export function asImageData({ data, width, height }, top = 0, rows = height) {
  const image = new ImageData(width, rows);
  for (let from = top * width * 3, place = 0; place < image.data.length; from += 3, place += 4) {
    image.data[place] = data[from];
    image.data[place + 1] = data[from + 1];
    image.data[place + 2] = data[from + 2];
    image.data[place + 3] = 255;
  }
  return image;
}

/** Encode a picture of 8 bits: lossless as PNG, else as JPEG. */
export async function writePhoto(picture, kind) {
  const { width, height } = picture;
  const context = plainContext(width, height);
  for (let top = 0; top < height; top += STRIP) {
    context.putImageData(asImageData(picture, top, Math.min(STRIP, height - top)), 0, top);
  }
  return context.canvas.convertToBlob({ type: `image/${kind}`, quality: QUALITY });
}
