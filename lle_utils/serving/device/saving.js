// Results leave the page only where their owner sends them: as a download, or shared.

const KEPT = 60_000; // milliseconds until the memory of a download is given back

/** Download a result; return what to say. */
export async function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT);
  return `Downloaded ${name}.`;
}

export function canShare() {
  const file = new File([""], "photo.jpg", { type: "image/jpeg" });
  return Boolean(navigator.canShare?.({ files: [file] }));
}

/** Share a result with another app; return what to say. */
export async function share(blob, name) {
  try {
    await navigator.share({ files: [new File([blob], name, { type: blob.type })] });
    return "Shared.";
  } catch (error) {
    if (error.name === "AbortError") return "Not shared.";
    // Browsers allow it for a few seconds after a press; the result is kept until the next one.
    if (error.name === "NotAllowedError") return "The photo is ready: press Share again.";
    throw error;
  }
}
