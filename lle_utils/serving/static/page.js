// Preview of reduced size while one looks and drags; the full size goes to the server on download.
"use strict";

const PREVIEW = 1200; // longest side in pixels
const $ = (id) => document.getElementById(id);
let photo = null; // the file as chosen
let preview = null; // a reduced PNG of it
let enlarged = 1; // how many times more pixels the photo has than its preview
let taken = 0; // seconds that the last answer took the server
let longest = Infinity; // seconds that the server gives a photo
let current = null; // aborts the request whose answer is no longer wanted

function say(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}

function show(image, blob) {
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
  return image.decode();
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); });
  });
}

function level() {
  return $("auto").checked ? "auto" : $("level").value;
}

function showLevel() {
  $("shown").textContent = $("auto").checked ? "auto" : Number($("level").value).toFixed(2);
}

function showCaution() {
  const chosen = $("method").selectedOptions[0];
  $("caution").textContent = chosen ? chosen.dataset.caution : "";
}

// Sends a photo; asks again while the server is busy.
async function send(path, body, signal) {
  const kind = body.type.startsWith("image/") ? body.type : "application/octet-stream";
  const headers = { "Content-Type": kind };
  for (let left = 20; ; left--) {
    const answer = await fetch(path, { method: "POST", body, headers, signal });
    if (answer.ok) return answer;
    const seconds = Number(answer.headers.get("Retry-After"));
    if (answer.status !== 503 || !seconds || !left) {
      throw new Error((await answer.json().catch(() => ({}))).error || `Error ${answer.status}`);
    }
    say(`Busy; trying again in ${seconds} s.`);
    await pause(seconds, signal);
  }
}

async function enhance(body, format, signal) {
  const query = new URLSearchParams({ method: $("method").value, level: level(), format });
  const answer = await send(`api/enhance?${query}`, body, signal);
  const told = /dur=(\d+)/.exec(answer.headers.get("Server-Timing"));
  taken = told ? Number(told[1]) / 1000 : 0;
  return answer.blob();
}

// Runs the newest piece of work and drops the one before; reports what goes wrong.
async function newest(work) {
  if (current) current.abort();
  const mine = (current = new AbortController());
  try {
    await work(mine.signal);
  } catch (error) {
    if (mine === current) say(error instanceof TypeError ? "The server cannot be reached." : error.message, true);
  }
}

async function reduce(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, PREVIEW / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(scale * bitmap.width));
  canvas.height = Math.max(1, Math.round(scale * bitmap.height));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  enlarged = (bitmap.width * bitmap.height) / (canvas.width * canvas.height);
  bitmap.close();
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function choose(file) {
  if (!file) return;
  newest(async (signal) => {
    say("Reading the photo …");
    await send("api/check", file, signal); // refuses what the download would
    photo = file;
    preview = await reduce(file).catch(() => null);
    signal.throwIfAborted();
    if (preview) {
      await show($("before"), preview);
      await update(signal);
    } else { // a TIFF, a HEIC: few browsers show these
      const png = await enhance(file, "png", signal);
      await Promise.all([show($("before"), png), show($("after"), png)]);
      say("This browser cannot show the photo itself, only the result.");
    }
    $("result").hidden = false;
  });
}

async function update(signal) {
  say("Working …");
  const result = await enhance(preview || photo, "jpeg", signal);
  signal.throwIfAborted();
  await show($("after"), result);
  const expected = Math.ceil(taken * enlarged);
  const late = `The full size may take ${expected} s, and the server stops after ${longest} s.`;
  say(expected > longest ? `${late} Reduce the photo, or take a quicker method.` : "");
}

function download() {
  newest(async (signal) => {
    $("download").disabled = true;
    try {
      say("Working on the full size …");
      const format = photo.type === "image/png" ? "png" : "jpeg";
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await enhance(photo, format, signal));
      link.download = `${photo.name.replace(/\.[^.]*$/, "") || "photo"}_enhanced.${format === "png" ? "png" : "jpg"}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      say("Downloaded.");
    } finally {
      $("download").disabled = false;
    }
  });
}

function wipe() {
  const share = $("wipe").value;
  $("after").style.clipPath = `inset(0 0 0 ${share}%)`;
  $("line").style.left = `${share}%`;
}

async function start() {
  const { methods, limits } = await (await fetch("api/methods")).json();
  for (const trained of [true, false]) {
    const group = document.createElement("optgroup");
    group.label = trained ? "trained" : "without training";
    for (const method of methods.filter((entry) => entry.trained === trained)) {
      const option = new Option(method.title, method.name);
      option.dataset.caution = method.caution;
      group.append(option);
    }
    $("method").append(group);
  }
  showCaution();
  longest = limits.seconds;
  $("limits").textContent = `Up to ${limits.megabytes} MB and ${limits.megapixels} megapixels, ${limits.seconds} s for a photo.`;
}

$("file").addEventListener("change", () => { choose($("file").files[0]); $("file").value = ""; });
$("method").addEventListener("change", () => { showCaution(); newest(update); });
$("level").addEventListener("input", () => { $("auto").checked = false; showLevel(); });
$("auto").addEventListener("change", () => { showLevel(); newest(update); });
$("level").addEventListener("change", () => newest(update));
$("wipe").addEventListener("input", wipe);
$("download").addEventListener("click", download);
document.addEventListener("paste", (event) => choose(event.clipboardData.files[0]));
document.addEventListener("dragover", (event) => { event.preventDefault(); $("drop").classList.add("over"); });
document.addEventListener("dragleave", () => $("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  choose(event.dataTransfer.files[0]);
});
wipe();
newest(start);
