// Keeps the files of the app, as files.js lists them with their hashes, and answers with them.
/* global FILES, GROUPS */
importScripts("files.js");

const CACHE = "lle";
const HEADERS = { // static hosts set none
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; " +
    "style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; manifest-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};
const scope = self.registration.scope;

/** Under what a file is kept: files of which the content stays need no second download. */
const keyOf = (path) => `${scope}${path}?${encodeURIComponent(FILES[path])}`;

async function kept(path) {
  const cache = await caches.open(CACHE);
  const found = await cache.match(keyOf(path));
  if (found) return found;
  const fetched = await fetch(scope + path, { cache: "no-cache", integrity: FILES[path] });
  if (!fetched.ok) throw new Error(`${path}: status ${fetched.status}`);
  await cache.put(keyOf(path), fetched.clone());
  return fetched;
}

async function answer(path) {
  const response = await kept(path);
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  return new Response(response.body, { status: 200, headers });
}

async function tidy() {
  const cache = await caches.open(CACHE);
  const current = new Set(Object.keys(FILES).map(keyOf));
  for (const { url } of await cache.keys()) if (!current.has(url)) await cache.delete(url);
}

/** Fetch groups of files one after the other, and tell the page how far it is. */
async function keep(groups, page) {
  const paths = groups.flatMap((group) => GROUPS[group]);
  let done = 0;
  for (const path of paths) {
    page.postMessage({ kept: done, of: paths.length });
    try {
      await kept(path);
      done += 1;
    } catch {
      page.postMessage({ kept: done, of: paths.length, failed: true });
      return;
    }
  }
  if (done) page.postMessage({ kept: done, of: paths.length });
}

self.addEventListener("install", (event) => {
  event.waitUntil(Promise.all(GROUPS.shell.map(kept)));
});
self.addEventListener("activate", (event) => {
  event.waitUntil(tidy().then(() => self.clients.claim()));
});
self.addEventListener("message", (event) => {
  event.waitUntil(keep(event.data.keep, event.source));
});
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  const path = url.href.startsWith(scope) ? url.pathname.slice(new URL(scope).pathname.length) : null;
  const name = path === "" ? "index.html" : path;
  if (event.request.method === "GET" && name in FILES) event.respondWith(answer(name));
});
