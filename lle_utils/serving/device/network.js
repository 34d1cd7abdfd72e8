// Networks of ONNX files in onnxruntime-web: on the graphics card where it can, else WebAssembly.

const MOST_THREADS = 8;

let runtime = null; // {ort, provider}, the one that is in use

async function load(provider) {
  const file = provider === "webgpu" ? "ort.webgpu.min.mjs" : "ort.wasm.min.mjs";
  const ort = await import(`./ort/${file}`);
  ort.env.wasm.wasmPaths = new URL("ort/", import.meta.url).href;
  ort.env.wasm.numThreads = threads();
  ort.env.logLevel = "error";
  return { ort, provider };
}

/** How many threads WebAssembly has: several only where the page is isolated from other origins. */
export function threads() {
  if (!self.crossOriginIsolated) return 1;
  return Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS);
}

async function hasGraphics() {
  return Boolean(await navigator.gpu?.requestAdapter().catch(() => null));
}

/** What networks run on: "webgpu" or "wasm". */
export async function provider() {
  runtime ??= await load((await hasGraphics()) ? "webgpu" : "wasm");
  return runtime.provider;
}

/** Take WebAssembly from now on; false if that was so already. */
export async function leaveGraphics() {
  if ((await provider()) === "wasm") return false;
  runtime = await load("wasm");
  return true;
}

export class Network {
  /** @param content The bytes of an ONNX file. */
  static async open(content) {
    const name = await provider();
    const { ort } = runtime;
    const options = { executionProviders: [name], enableMemPattern: false, logSeverityLevel: 3 };
    return new Network(ort, await ort.InferenceSession.create(content, options));
  }

  constructor(ort, session) {
    Object.assign(this, { ort, session });
    this.hasStatistics = session.inputNames.includes("statistics");
  }

  release() {
    return this.session.release();
  }

  /** Run on a float picture; `more` is {gain} or {statistics}, for networks that take them. */
  async run(picture, { gain, statistics }) {
    const inputs = { low: photoTensor(picture) };
    if (gain) inputs.gain = { data: gain, dims: [1, 1] };
    if (this.hasStatistics) Object.assign(inputs, this.told(statistics));
    const [output] = await this.outputs(inputs);
    return asPicture(output);
  }

  /** The statistics that the network has on a whole photo, made small. */
  async measure(picture) {
    const [, statistics] = await this.outputs({ low: photoTensor(picture), ...this.told(null) });
    return statistics.data;
  }

  told(statistics) {
    const width = this.session.inputMetadata.find((entry) => entry.name === "statistics").shape[1];
    const data = statistics ?? new Float32Array(width);
    const told = { data: Float32Array.of(statistics ? 1 : 0), dims: [1, 1] };
    return { statistics: { data, dims: [1, width] }, told };
  }

  /** From a picture to its features: [{data, dims}]. */
  encode(picture) {
    return this.outputs({ [this.session.inputNames[0]]: photoTensor(picture) });
  }

  /** From features to a picture. */
  async decode(features) {
    const names = features.map((entry, i) => [`part_${i}`, entry]);
    const [output] = await this.outputs(Object.fromEntries(names));
    return asPicture(output);
  }

  async outputs(inputs) {
    const tensors = Object.entries(inputs).map(([name, { data, dims }]) => [
      name,
      new this.ort.Tensor("float32", data, dims),
    ]);
    const found = await this.session.run(Object.fromEntries(tensors));
    return Promise.all(
      this.session.outputNames.map(async (name) => {
        const data = await found[name].getData(true);
        const { dims } = found[name];
        found[name].dispose();
        return { data, dims };
      }),
    );
  }
}

const photoTensor = ({ data, width, height }) => ({ data, dims: [1, height, width, 3] });
const asPicture = ({ data, dims }) => ({ data, width: dims[2], height: dims[1] });
