// The camera: frames at preview size, and photos at its own.

const PREVIEW = 640; // longer side of a frame that is worked on, in pixels
const WANTED = {
  audio: false,
  video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1080 } },
};
const REASONS = {
  NotAllowedError: "The camera may not be used. Allow it for this page in the browser.",
  NotFoundError: "There is no camera.",
  NotReadableError: "The camera is in use elsewhere.",
};

let stream = null;
const video = document.createElement("video");
video.muted = video.playsInline = true;

export const isOn = () => stream !== null;

/** Start the camera. @throws Error that says why it cannot be used. */
export async function start() {
  if (!navigator.mediaDevices) throw new Error("A camera needs https, or this very device.");
  try {
    stream = await navigator.mediaDevices.getUserMedia(WANTED);
  } catch (error) {
    throw new Error(REASONS[error.name] ?? `The camera cannot be used: ${error.message}`);
  }
  video.srcObject = stream;
  await video.play();
}

export function stop() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = video.srcObject = null;
}

/** The frame of now, as a bitmap of preview size. */
export function frame() {
  const scale = Math.min(1, PREVIEW / Math.max(video.videoWidth, video.videoHeight));
  return createImageBitmap(video, {
    resizeWidth: Math.round(scale * video.videoWidth),
    resizeHeight: Math.round(scale * video.videoHeight),
  });
}

/** Take a photo, as a file: by the camera itself where that is possible, else the frame of now. */
export async function shoot() {
  const name = `photo_${new Date().toISOString().slice(0, 19).replace(/[T:]/g, "-")}`;
  const blob = (await taken()) ?? (await still());
  return new File([blob], `${name}.${blob.type.split("/")[1]}`, { type: blob.type });
}

async function taken() {
  if (!("ImageCapture" in window)) return null;
  const [track] = stream.getVideoTracks();
  return new ImageCapture(track).takePhoto().catch(() => null);
}

function still() {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
