// Brightness: the counterpart of lle_utils/core/exposure.py and enhancers/brightness.py.

import { thin, toFloat } from "./resizing.js";

function toLinear(value) {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

function fromLinear(light) {
  return light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055;
}

function expose(value, gain) {
  const light = toLinear(value);
  return fromLinear((gain * light) / (1 + (gain - 1) * light));
}

/** Values in [0, 1] from dark to bright, and the share of a picture that has each. */
function histogram(picture, rules) {
  const step = Math.ceil(Math.sqrt((picture.width * picture.height) / rules.countedPixels));
  const { data } = thin(picture, step);
  const whole = data instanceof Uint8ClampedArray;
  const top = whole ? 255 : 4095;
  const shares = new Float64Array(top + 1);
  for (let i = 0; i < data.length; i++) {
    shares[whole ? data[i] : Math.round(Math.min(Math.max(data[i], 0), 1) * top)] += 1;
  }
  for (let i = 0; i <= top; i++) shares[i] /= data.length;
  return { values: Float64Array.from(shares, (_, i) => i / top), shares };
}

function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** The mean over all values of a picture. */
export function meanBrightness(picture, rules) {
  const { values, shares } = histogram(picture, rules);
  return dot(values, shares);
}

/** The gain that brings a picture to a mean brightness. */
export function exposureGain(picture, level, rules) {
  const { values, shares } = histogram(picture, rules);
  const light = values.map(toLinear);
  let [low, high] = rules.gains.map(Math.log2);
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    const gain = 2 ** middle;
    const exposed = light.map((x) => fromLinear((gain * x) / (1 + (gain - 1) * x)));
    if (dot(shares, exposed) < level) low = middle;
    else high = middle;
  }
  return 2 ** ((low + high) / 2);
}

/** The function that exposes parts of a picture so that the whole has a mean brightness. */
export function reach(picture, level, rules) {
  const top = rules.curvePoints - 1;
  const gain = exposureGain(picture, level, rules);
  const curve = Float32Array.from({ length: top + 1 }, (_, i) => expose(i / top, gain));
  return (part) => ({ ...part, data: part.data.map((value) => curve[Math.round(value * top)]) });
}

/** How bright a photo should be when nobody says so. */
export function defaultLevel(photo, rules) {
  const step = Math.ceil(Math.sqrt((photo.width * photo.height) / rules.sampledPixels));
  const sample = toFloat(thin(photo, step)).data;
  const brightest = new Float32Array(sample.length / 3);
  for (let i = 0; i < brightest.length; i++) {
    brightest[i] = Math.max(sample[3 * i], sample[3 * i + 1], sample[3 * i + 2]);
  }
  const bright = toLinear(quantile(brightest, 1 - rules.brightShare));
  const wanted = toLinear(rules.brightValue);
  const own = meanBrightness(photo, rules);
  let highest = rules.usualLevel;
  if (bright >= wanted) {
    highest = own;
  } else if (bright > 0) {
    const gain = (wanted * (1 - bright)) / (bright * (1 - wanted));
    highest = sample.reduce((sum, value) => sum + expose(value, gain), 0) / sample.length;
  }
  const [least, most] = rules.limits;
  return Math.min(Math.max(own, Math.min(rules.usualLevel, highest), least), most);
}

function quantile(values, share) {
  values.sort();
  const place = (values.length - 1) * share;
  const below = Math.floor(place);
  const above = values[Math.min(below + 1, values.length - 1)];
  return values[below] + (place - below) * (above - values[below]);
}
