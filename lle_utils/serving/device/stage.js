// The picture before and after, one over the other, and the line between them.

const $ = (id) => document.getElementById(id);

/** Show a picture, as ImageData, in the canvas `before` or `after`. */
export function show(id, image) {
  const canvas = $(id);
  if (canvas.width !== image.width || canvas.height !== image.height) {
    canvas.width = image.width;
    canvas.height = image.height;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  if (id === "before") {
    $("stage").style.setProperty("--shape", image.width / image.height);
  }
}

/** Show the stage with nothing after yet, or hide it. */
export function reveal(visible) {
  $("result").hidden = !visible;
}

export function clearAfter() {
  const canvas = $("after");
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

function wipe() {
  const share = Number($("wipe").value);
  $("after").style.clipPath = `inset(0 0 0 ${share}%)`;
  $("line").style.left = `${share}%`;
  $("wipe").setAttribute("aria-valuetext", `${Math.round(share)} % before, the rest after`);
}

$("wipe").addEventListener("input", wipe);
wipe();
