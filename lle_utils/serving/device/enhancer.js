// A network used on photos of any size: the counterpart of lle_utils/enhancers/enhancer.py.

import { defaultLevel, exposureGain, reach } from "./exposure.js";
import { crop, fitSide, mergeScales, resize, thin, toBytes, toFloat } from "./resizing.js";
import { enhanceTiles, roundUp, tileSide } from "./tiling.js";

export class Enhancer {
  /**
   * @param card As of methods.json.
   * @param networks Those of its files, see network.js.
   * @param rules As of methods.json.
   */
  constructor(card, networks, rules) {
    Object.assign(this, { card, networks, rules });
  }

  /**
   * Decide brightness and colour of a photo.
   *
   * @param level A mean in (0, 1), or null to leave it to the network; see `toLevel` for one that
   *   has no gain.
   * @returns {base, run}: the float result at the working size, and from a float part to its result.
   */
  async decide(photo, level) {
    const working = toFloat(resize(photo, ...fitSide(photo, this.rules.workingSide)));
    const fits = working.width === photo.width && working.height === photo.height;
    const plain = await this.runner(photo, working, fits, level);
    const run = isGray(photo) ? async (part) => grayed(await plain(part)) : plain;
    return { base: await run(working), run };
  }

  /** The decision with its base, and so the photo, exposed to a mean brightness. */
  toLevel({ base, run }, level) {
    const expose = reach(base, level, this.rules);
    return { base: expose(base), run: async (part) => expose(await run(part)) };
  }

  /** The level that a photo is given when nobody says so, or null where the network decides. */
  ownLevel(photo, rules = this.rules) {
    return this.card.hasGain ? defaultLevel(photo, rules) : null;
  }

  /** Enhance a photo of 8 bits at its own size; `tick` is awaited with the share that is done. */
  async enhance(photo, { base, run }, tick) {
    if (base.width === photo.width && base.height === photo.height) return toBytes(base);
    const side = tileSide(photo, this.card, this.rules);
    if (side === null) return mergeScales(await run(toFloat(photo)), base);
    const { overlap, blend, multiple } = this.card;
    const cut = { side, overlap, blend, multiple };
    return mergeScales(await enhanceTiles(run, photo, cut, tick), base);
  }

  /** The network as a function of parts of a photo, which knows about the whole. */
  async runner(photo, working, fits, level) {
    if (this.card.hasStrength) return this.strengthRunner(photo, fits);
    const [network] = this.networks;
    if (this.card.hasGain) {
      const gain = Float32Array.of(exposureGain(photo, level, this.rules));
      return (part) => this.runPart(part, { gain });
    }
    if (fits || !network.hasStatistics) return (part) => this.runPart(part, {});
    const statistics = await network.measure(this.padded(working));
    return (part) => this.runPart(part, { statistics });
  }

  async runPart(part, more) {
    const output = await this.networks[0].run(this.padded(part), more);
    return clipped(crop(output, this.card.padding, this.card.padding, part.width, part.height));
  }

  /** For a network that moves the vector of a photo's brightness between encoding and decoding. */
  async strengthRunner(photo, fits) {
    const [encoder, decoder] = this.networks;
    const { mean, full } = this.card.strength;
    const share = 1 / full; // of strength 1
    const decode = async (features, part) => {
      const output = await decoder.decode(features);
      const result = clipped(crop(output, 0, 0, part.width, part.height));
      if (share < 1) {
        result.data.forEach((value, i) => {
          result.data[i] = part.data[i] + share * (value - part.data[i]);
        });
      }
      return result;
    };
    if (fits) {
      return async (part) => {
        const features = await encoder.encode(this.padded(part));
        return decode([...features.slice(0, -1), vector(mean)], part);
      };
    }
    const step = Math.ceil(Math.max(photo.width, photo.height) / this.rules.workingSide);
    const features = await encoder.encode(this.padded(toFloat(thin(photo, step))));
    const known = features.filter((entry) => entry.dims.length === 2).slice(0, -1);
    return async (part) => {
      const own = await encoder.encode(this.padded(part));
      const maps = own.filter((entry) => entry.dims.length > 2);
      return decode([...maps, ...known, vector(mean)], part);
    };
  }

  padded(part) {
    return pad(part, this.card.multiple, this.card.padding);
  }
}

const vector = (values) => ({ data: Float32Array.from(values), dims: [1, values.length] });

/** Reflect a picture at its edges until its sides divide, and by a padding all around. */
function pad(picture, multiple, padding) {
  const width = roundUp(picture.width, multiple) + 2 * padding;
  const height = roundUp(picture.height, multiple) + 2 * padding;
  if (width === picture.width && height === picture.height) return picture;
  const columns = Array.from({ length: width }, (_, x) => reflect(x - padding, picture.width));
  const data = new Float32Array(width * height * 3);
  for (let y = 0, place = 0; y < height; y++) {
    const row = reflect(y - padding, picture.height) * picture.width;
    for (let x = 0; x < width; x++) {
      const from = (row + columns[x]) * 3;
      for (let c = 0; c < 3; c++) data[place++] = picture.data[from + c];
    }
  }
  return { data, width, height };
}

function reflect(place, length) {
  const period = 2 * (length - 1);
  if (!period) return 0;
  const rest = ((place % period) + period) % period;
  return Math.min(rest, period - rest);
}

function clipped(picture) {
  const { data } = picture;
  for (let i = 0; i < data.length; i++) data[i] = Math.min(Math.max(data[i], 0), 1);
  return picture;
}

function isGray({ data }) {
  for (let i = 0; i < data.length; i += 3) {
    if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) return false;
  }
  return true;
}

function grayed(picture) {
  const { data } = picture;
  for (let i = 0; i < data.length; i += 3) {
    const light = 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];
    data.fill(light, i, i + 3);
  }
  return picture;
}
