// The page: what people choose, and what they see of it.

import * as camera from "./camera.js";
import { ask, giveUp } from "./client.js";
import { keepHere } from "./offline.js";
import { download, share, canShare } from "./saving.js";
import { clearAfter, reveal, show } from "./stage.js";

const $ = (id) => document.getElementById(id);
let photo = null; // the file that is open
let newest = 0; // number of the newest piece of work; older ones say nothing any more

function say(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}

const level = () => ($("auto").checked ? null : Number($("level").value));
const chosen = () => ({ method: $("method").value, level: level() });

function showChoice() {
  $("shown").textContent = $("auto").checked ? "auto" : Number($("level").value).toFixed(2);
  $("caution").textContent = $("method").selectedOptions[0]?.dataset.caution ?? "";
}

/** Do the newest piece of work and drop those before; say what goes wrong. */
async function run(work) {
  giveUp();
  working(false);
  const mine = ++newest;
  try {
    await work(() => mine === newest);
  } catch (error) {
    if (mine === newest && error.name !== "AbortError") say(error.message, true);
  }
}

function choose(file) {
  if (!file) return;
  stopCamera();
  photo = null;
  reveal(false);
  run(async (wanted) => {
    say("Reading the photo …");
    const { image, width, height } = await ask("open", { file });
    if (!wanted()) return;
    photo = file;
    show("before", image);
    clearAfter();
    reveal(true);
    await preview(wanted);
    if (wanted()) say(`${file.name}: ${width}×${height} pixels`);
  });
}

async function preview(wanted) {
  say("Working …");
  const { image } = await ask("preview", chosen());
  if (wanted()) show("after", image);
}

function update() {
  showChoice();
  if (photo) {
    run(async (wanted) => {
      await preview(wanted);
      if (wanted()) say("");
    });
  }
}

/** Work on the full size, then hand the result to a function. */
function save(use) {
  run(async (wanted) => {
    working(true);
    say("Working on the full size …");
    try {
      const progress = (done) => wanted() && ($("progress").value = done);
      const { blob, kind } = await ask("full", chosen(), { progress });
      const name = photo.name.replace(/\.[^.]*$/, "") || "photo";
      if (wanted()) say(await use(blob, `${name}_enhanced.${kind === "png" ? "png" : "jpg"}`));
    } finally {
      if (wanted()) working(false);
    }
  });
}

function working(on) {
  for (const id of ["progress", "cancel"]) $(id).hidden = !on;
  $("progress").removeAttribute("value");
}

// The camera

async function toggleCamera() {
  if (camera.isOn()) {
    stopCamera();
    reveal(false);
    return run(async () => say("The camera is off."));
  }
  run(async (wanted) => {
    photo = null;
    say("Starting the camera …");
    await camera.start();
    setCamera(true);
    $("method").value = $("method").dataset.live;
    showChoice();
    await live(wanted);
  });
}

/** Show frame after frame, until something else is asked for. */
async function live(wanted) {
  let started = false;
  while (wanted() && camera.isOn()) {
    const bitmap = await camera.frame();
    const words = { bitmap, ...chosen() };
    const { before, image } = await ask("frame", words, { transfer: [bitmap] });
    if (!wanted() || !camera.isOn()) return;
    show("before", before);
    show("after", image);
    if (!started) say("The camera is on.");
    started = true;
    reveal(true);
    performance.mark("frame");
    await new Promise(requestAnimationFrame);
  }
}

function setCamera(on) {
  $("camera").textContent = on ? "Stop the camera" : "Use the camera";
  $("camera").setAttribute("aria-pressed", on);
  $("shoot").hidden = !on;
  $("download").hidden = on;
  $("share").hidden = on || !canShare();
}

function stopCamera() {
  camera.stop();
  setCamera(false);
}

function shoot() {
  run(async () => choose(await camera.shoot()));
}

// Start

async function start() {
  const settings = await (await fetch("methods.json")).json();
  for (const method of settings.methods) {
    const option = new Option(method.title, method.name);
    option.dataset.caution = method.caution;
    $("method").append(option);
    const entry = document.createElement("li");
    entry.textContent = `${method.title}: ${method.licence}`;
    $("trained").append(entry);
  }
  $("method").dataset.live = settings.live;
  $("absent").textContent = settings.absent;
  const { megabytes, megapixels } = settings.rules;
  $("limits").textContent = `Up to ${megabytes} MB and ${megapixels} megapixels.`;
  $("licences").textContent = await (await fetch("licences.txt")).text();
  $("share").hidden = !canShare();
  showChoice();
  document.documentElement.dataset.isolated = self.crossOriginIsolated ? "yes" : "no";
  document.documentElement.dataset.ready = "yes";
}

async function tellRuntime() {
  const { provider, threads } = await ask("runtime");
  const processor = `the processor (${threads} ${threads > 1 ? "threads" : "thread"})`;
  $("runtime").textContent = `Runs on ${provider === "webgpu" ? "the graphics card" : processor}.`;
}

$("file").addEventListener("change", () => { choose($("file").files[0]); $("file").value = ""; });
$("camera").addEventListener("click", toggleCamera);
$("shoot").addEventListener("click", shoot);
$("method").addEventListener("change", update);
$("level").addEventListener("input", () => { $("auto").checked = false; update(); });
$("auto").addEventListener("change", update);
$("download").addEventListener("click", () => save(download));
$("share").addEventListener("click", () => save(share));
$("cancel").addEventListener("click", () => run(async () => say("Cancelled.")));
document.addEventListener("paste", (event) => choose(event.clipboardData.files[0]));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
document.addEventListener("dragleave", () => $("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  choose(event.dataTransfer.files[0]);
});

run(async () => {
  await start();
  await keepHere(() => photo !== null || camera.isOn(), (text) => ($("kept").textContent = text));
  await tellRuntime();
});
