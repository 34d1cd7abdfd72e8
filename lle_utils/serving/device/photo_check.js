// What can be told from the bytes of a photo file before it is decoded, and why it is refused.

const text = (bytes, start, end) => String.fromCharCode(...bytes.subarray(start, end));
const view = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const STARTS = [ // of files that are no photo that a browser decodes
  ["GIF8", "GIF", "Save it as PNG."],
  ["II*\0", "TIFF or camera raw", "Save it as PNG or JPEG; `lle enhance` reads it."],
  ["MM\0*", "TIFF or camera raw", "Save it as PNG or JPEG; `lle enhance` reads it."],
  ["%PDF", "PDF", "Save the photo in it as PNG or JPEG."],
  ["PK\x03\x04", "ZIP", "Unpack it and choose a photo in it."],
];
const HEIC = ["heic", "heix", "hevc", "heim", "heis", "mif1", "msf1"];

/**
 * Tell the format and the size of a photo.
 *
 * @param bytes The whole file.
 * @returns {kind, width, height}; width and height are 0 where only the decoder knows.
 * @throws Error that says what is wrong, to be put after the name of the file.
 */
export function inspect(bytes) {
  if (!bytes.length) throw new Error("is empty (0 bytes). Choose another file.");
  if (text(bytes, 0, 8) === "\x89PNG\r\n\x1a\n") return png(bytes);
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return jpeg(bytes);
  if (text(bytes, 0, 4) === "RIFF" && text(bytes, 8, 12) === "WEBP") return webp(bytes);
  if (text(bytes, 4, 8) === "ftyp") return boxes(bytes);
  if (text(bytes, 0, 2) === "BM") return bmp(bytes);
  for (const [start, name, advice] of STARTS) {
    if (text(bytes, 0, start.length) === start) throw new Error(`is a ${name} file. ${advice}`);
  }
  throw new Error("is no photo. Choose a JPEG, PNG, WebP, AVIF or BMP file.");
}

const cut = () => new Error("is damaged or cut off. Fetch it again.");
const several = () => new Error("holds several pictures; expected one photo.");

function png(bytes) {
  const data = view(bytes);
  if (bytes.length < 33 || text(bytes, 12, 16) !== "IHDR") throw cut();
  const size = { kind: "png", width: data.getUint32(16), height: data.getUint32(20) };
  for (let place = 8; place + 12 <= bytes.length; ) {
    const name = text(bytes, place + 4, place + 8);
    if (name === "acTL") throw several();
    if (name === "IEND") return size;
    place += data.getUint32(place) + 12;
  }
  throw cut();
}

function jpeg(bytes) {
  const data = view(bytes);
  let size = null;
  for (let place = 2; place + 4 <= bytes.length; ) {
    if (bytes[place] !== 0xff) throw cut();
    const marker = bytes[place + 1];
    if (marker === 0xff) {
      place += 1;
    } else if (marker === 0xda) {
      if (!size || !ends(bytes, place)) throw cut();
      return size;
    } else {
      const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
      if (frame && place + 9 <= bytes.length) {
        const [height, width] = [data.getUint16(place + 5), data.getUint16(place + 7)];
        size = { kind: "jpeg", width, height };
      }
      place += 2 + data.getUint16(place + 2);
    }
  }
  throw cut();
}

/** Whether the marker of the end comes after the start of the scan. */
function ends(bytes, scan) {
  for (let place = bytes.length - 2; place > scan; place--) {
    if (bytes[place] === 0xff && bytes[place + 1] === 0xd9) return true;
  }
  return false;
}

function webp(bytes) {
  const data = view(bytes);
  if (bytes.length < 30 || data.getUint32(4, true) + 8 > bytes.length) throw cut();
  const form = text(bytes, 12, 16);
  let [width, height] = [0, 0];
  if (form === "VP8X") {
    if (bytes[20] & 2) throw several();
    width = 1 + (data.getUint32(24, true) & 0xffffff);
    height = 1 + (data.getUint32(26, true) >>> 8);
  } else if (form === "VP8L") {
    const bits = data.getUint32(21, true);
    [width, height] = [1 + (bits & 0x3fff), 1 + ((bits >>> 14) & 0x3fff)];
  } else if (form === "VP8 ") {
    width = data.getUint16(26, true) & 0x3fff;
    height = data.getUint16(28, true) & 0x3fff;
  }
  return { kind: "webp", width, height };
}

/** AVIF and HEIC, which are made of boxes. */
function boxes(bytes) {
  const data = view(bytes);
  const brand = text(bytes, 8, 12);
  if (brand === "avis") throw several();
  const kind = brand === "avif" ? "avif" : HEIC.includes(brand) ? "heic" : null;
  if (!kind) throw new Error("is a video or another kind of media. Choose a photo.");
  let place = 0;
  while (place + 8 <= bytes.length) {
    const length = data.getUint32(place);
    if (length === 0) place = bytes.length; // it goes on to the end
    else if (length < 8) throw cut();
    else place += length;
  }
  if (place !== bytes.length) throw cut();
  return { kind, ...largest(bytes, data) };
}

function largest(bytes, data) {
  let size = { width: 0, height: 0 };
  for (let place = 0; place + 16 <= Math.min(bytes.length, 65536); place++) {
    if (bytes[place] === 0x69 && text(bytes, place, place + 4) === "ispe") {
      const [width, height] = [data.getUint32(place + 8), data.getUint32(place + 12)];
      if (width * height > size.width * size.height) size = { width, height };
    }
  }
  return size;
}

function bmp(bytes) {
  if (bytes.length < 26) throw cut();
  const data = view(bytes);
  if (data.getUint32(2, true) > bytes.length) throw cut();
  const [width, height] = [data.getInt32(18, true), Math.abs(data.getInt32(22, true))];
  return { kind: "bmp", width, height };
}
