// The service worker: it keeps the app on the device, and isolates the page so that threads work.

const RELOADED = "reloaded";

/**
 * Register it. A page that is not isolated yet is loaded once more, unless `busy()`.
 *
 * @param told Called with what to say about use without network.
 */
export async function keepHere(busy, told) {
  if (!("serviceWorker" in navigator)) return told("This browser cannot keep the app.");
  try {
    const { active, installing, waiting } = await register();
    const worker = active ?? installing ?? waiting;
    if (!self.crossOriginIsolated && !sessionStorage.getItem(RELOADED) && !busy()) {
      sessionStorage.setItem(RELOADED, "yes");
      return location.reload();
    }
    listen(told);
    worker.postMessage({ keep: await wanted() });
  } catch (error) {
    told(`The app is not kept on this device: ${error.message}`);
  }
}

async function register() {
  await navigator.serviceWorker.register("sw.js", { updateViaCache: "none" });
  const registration = await navigator.serviceWorker.ready;
  if (!navigator.serviceWorker.controller) {
    await new Promise((resolve) => {
      navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true });
    });
  }
  return registration;
}

/** Everything, but where data are dear only what the page has asked for by itself. */
async function wanted() {
  if (navigator.connection?.saveData) return [];
  const graphics = await navigator.gpu?.requestAdapter().catch(() => null);
  return [graphics ? "webgpu" : "wasm", "models"];
}

function listen(told) {
  navigator.serviceWorker.onmessage = ({ data: { kept, of, failed } }) => {
    document.documentElement.dataset.kept = kept === of ? "all" : "some";
    if (failed) told("Not all of the app could be kept; it will be tried again at the next visit.");
    else if (kept < of) told(`Being kept for use without network: ${kept} of ${of} files`);
    else told("Works without network.");
  };
}
