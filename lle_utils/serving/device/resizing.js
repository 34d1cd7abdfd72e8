// Photos at other sizes, as Pillow makes them: the counterpart of lle_utils/core/resizing.py.
// A picture is {data, width, height}: RGB, Uint8ClampedArray, Uint16Array or Float32Array in [0, 1].

const BITS = 22; // of the fraction of Pillow's weights for 8-bit pictures
const BOX = { reach: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };
const LINEAR = { reach: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) };

/** Width and height of a photo whose longer side is reduced to a length. */
export function fitSide({ width, height }, side) {
  const longest = Math.max(width, height);
  if (longest <= side) return [width, height];
  return [width, height].map((length) => Math.max(halfEven((length * side) / longest), 1));
}

function halfEven(x) { // as Python rounds
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 ? down + 1 : down;
}

/** For each new pixel along an axis: the first old pixel it is made of, and their weights. */
function taps(from, to, filter) {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const reach = filter.reach * stretch;
  return Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(Math.trunc(center - reach + 0.5), 0);
    const end = Math.min(Math.trunc(center + reach + 0.5), from);
    const weights = [];
    for (let x = first; x < end; x++) weights.push(filter.at((x - center + 0.5) / stretch));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

/** Resize a picture: by averaging areas when it gets lower, else linearly; the type stays. */
export function resize(picture, width, height) {
  const filter = height < picture.height ? BOX : LINEAR;
  return resizeRows(resizeColumns(picture, width, filter), height, filter);
}

function resizeColumns(picture, width, filter) {
  if (width === picture.width) return picture;
  const { data, height } = picture;
  const result = new data.constructor(width * height * 3);
  const whole = data instanceof Uint8ClampedArray;
  const steps = rounded(taps(picture.width, width, filter), whole);
  let place = 0;
  for (let y = 0; y < height; y++) {
    const row = y * picture.width * 3;
    for (const { first, weights } of steps) {
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        let from = row + first * 3 + c;
        for (let k = 0; k < weights.length; k++, from += 3) sum += data[from] * weights[k];
        result[place++] = whole ? fromFixed(sum) : sum;
      }
    }
  }
  return { data: result, width, height };
}

function resizeRows(picture, height, filter) {
  if (height === picture.height) return picture;
  const { data, width } = picture;
  const result = new data.constructor(width * height * 3);
  const whole = data instanceof Uint8ClampedArray;
  const steps = rounded(taps(picture.height, height, filter), whole);
  steps.forEach((step, y) => {
    const row = sumOfRows(data, width * 3, step);
    if (whole) for (let i = 0; i < row.length; i++) row[i] = fromFixed(row[i]);
    result.set(row, y * width * 3);
  });
  return { data: result, width, height };
}

function sumOfRows(data, length, { first, weights }) {
  const row = new Float64Array(length);
  weights.forEach((weight, k) => {
    const start = (first + k) * length;
    for (let i = 0; i < length; i++) row[i] += weight * data[start + i];
  });
  return row;
}

function rounded(steps, whole) {
  if (!whole) return steps;
  const fixed = (weight) => Math.floor(weight * 2 ** BITS + 0.5);
  return steps.map(({ first, weights }) => ({ first, weights: weights.map(fixed) }));
}

function fromFixed(sum) {
  return Math.floor((sum + 2 ** (BITS - 1)) / 2 ** BITS);
}

/**
 * Give a result at full size, of 16 bits or float, the coarse structure of one at a working size.
 *
 * See the Python. The result has 8 bits and is rounded here for the first time.
 */
export function mergeScales(detail, base) {
  const { data, width, height } = detail;
  const result = new Uint8ClampedArray(data.length);
  const share = 255 / (data instanceof Uint16Array ? 65535 : 1);
  const missing = toFloat(resize(detail, base.width, base.height));
  for (let i = 0; i < missing.data.length; i++) {
    missing.data[i] = base.data[i] - missing.data[i];
  }
  const wide = resizeColumns(missing, width, LINEAR);
  taps(base.height, height, LINEAR).forEach((step, y) => {
    const row = sumOfRows(wide.data, width * 3, step);
    const start = y * width * 3;
    for (let i = 0; i < row.length; i++) {
      result[start + i] = share * data[start + i] + 255 * row[i];
    }
  });
  return { data: result, width, height };
}

const SHARES = Float32Array.from({ length: 256 }, (_, value) => value / 255);

/** Return the picture in floating point; one that is so already stays itself. */
export function toFloat(picture) {
  if (picture.data instanceof Float32Array) return picture;
  const data = new Float32Array(picture.data.length);
  const wide = picture.data instanceof Uint16Array;
  for (let i = 0; i < data.length; i++) {
    data[i] = wide ? picture.data[i] / 65535 : SHARES[picture.data[i]];
  }
  return { ...picture, data };
}

/** Return the picture in 8 bits, rounded; the array clips. */
export function toBytes(picture) {
  const data = new Uint8ClampedArray(picture.data.length);
  for (let i = 0; i < data.length; i++) data[i] = Math.fround(picture.data[i] * 255);
  return { ...picture, data };
}

/** Cut a rectangle out of a picture. */
export function crop(picture, left, top, width, height) {
  if (!left && !top && width === picture.width && height === picture.height) return picture;
  const data = new picture.data.constructor(width * height * 3);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * picture.width + left) * 3;
    data.set(picture.data.subarray(start, start + width * 3), y * width * 3);
  }
  return { data, width, height };
}

/** Take every so-manieth pixel of a picture in both directions. */
export function thin(picture, step) {
  if (step === 1) return picture;
  const width = Math.ceil(picture.width / step);
  const height = Math.ceil(picture.height / step);
  const data = new picture.data.constructor(width * height * 3);
  let place = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (y * step * picture.width + x * step) * 3;
      for (let c = 0; c < 3; c++) data[place++] = picture.data[from + c];
    }
  }
  return { data, width, height };
}
