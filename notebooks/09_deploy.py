# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From notebook to use: any size, any file, folders and videos
#
# You will take trained enhancers out of the notebook: onto photos too large for memory, files
# of 16 bits, whole folders and videos, and measure at each step what that does to the result.

# %% [markdown] tags=["badges"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/low-light-notebooks/blob/main/notebooks/09_deploy.ipynb)

# %% tags=["setup"]
import os
import subprocess
import sys

if "google.colab" in sys.modules:  # elsewhere the package is installed already
    project = "/content/low-light-notebooks"
    address = os.environ.get("LLE_REPOSITORY", "https://github.com/OWNER/low-light-notebooks")
    if not os.path.isdir(project):
        cloned = subprocess.run(["git", "clone", "--quiet", "--depth=1", address, project])
        if cloned.returncode:
            raise RuntimeError(
                f"{address} cannot be cloned. Unpack the project's zip to {project}, or link "
                "it there from a mounted Drive, and run this cell again."
            )
    package = f"{project}[notebooks,photos]"  # camera raw and HEIC too
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)
    os.chdir(f"{project}/notebooks")

# %% [markdown]
# ## What you will learn
#
# - why tiles show seams, and the two cures: an overlap, and statistics of the whole photo;
# - why 8 bits are too few for a dark photo, and what else a photo file carries;
# - how decoding, enhancing and encoding overlap;
# - why a video flickers, and how much of it an average over time removes.
#
# You should have read `03_zero_dce` and `04_mirnet`. Everything here is measured while the
# notebook runs, about a minute on two processor cores; nothing is trained or downloaded. Where the
# package has a function for a step, it is named beside it. What *runs* the network is another
# question, which `15_runtimes` asks.
#
# **References.** Li, Guo and Loy, *Learning to Enhance Low-Light Image via Zero-Reference Deep
# Curve Estimation*, 2021, arXiv 2103.00860 (curves at reduced resolution); Bonneel et al.,
# *Blind Video Temporal Consistency*, SIGGRAPH Asia 2015.

# %%
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from IPython.display import Markdown
from PIL import Image, ImageCms

from lle_utils import core, data, display, enhancers
from lle_utils.cli import main
from lle_utils.core import luminance
from lle_utils.enhancers import BASELINES, Enhancer, list_enhancers, load_enhancer, load_onnx

# %% [markdown]
# The next cell holds everything there is to set.

# %% tags=["parameters"]
profile = ""  # "colab", or another of notebooks/profiles; what you change below wins
video_method = "mirnet"  # the enhancer that enhances the video
frames = 20  # length of the video
count = 8  # photos in the folder
seed = 0
output_dir = ""  # where results go; empty: runs/09_deploy in the project

# %% tags=["profile"]
from lle_utils.notebook_tools import start

start("09_deploy", globals())

# %% [markdown]
# All shipped enhancers, in the form that a program takes, which needs no Keras (`15_runtimes`); and
# one dark photo whose well-lit twin we have. It is small, so that the whole of it can always be
# computed too: the result that tiles must match.

# %%
folder = core.run_folder("09_deploy", output_dir)
loaded = {name: load_onnx(name) for name in list_enhancers()}
print(", ".join(loaded))

# %%
normal = data.synthetic_pairs(1, (384, 576), seed, ("stereo_motorcycle",)).normal[0]
normal = core.to_float(normal)
camera = data.Camera(exposure=0.08, illumination=0.4, photons=4000, read_noise=0.002)
low = data.darken(normal, seed, camera)
display.show_images({"low": low, "normal": normal})

# %% [markdown]
# ## Any size
#
# ### How much memory does a photo take?
#
# A network holds feature maps, many numbers for each pixel. Walk through its layers, add up the
# maps that are needed at the same time, and the largest sum says how many bytes a pixel takes
# (`nn.bytes_per_pixel`, which each card keeps). Convolutions need working memory beside their
# results; a reserve for it, the factor `enhancers.MEMORY_SAFETY_FACTOR`, was found by measuring.
# Beside the maps there are the photo itself, its result, and what Keras holds before it has seen
# any photo (`enhancers.KERAS_BYTES`). What does not fit into a limit must be cut into *tiles*.


# %%
def plan(enhancer, photo, memory=enhancers.MEMORY_LIMIT):
    """Return bytes per pixel, bytes in one piece, and the side of tiles within a limit."""
    divisor, per_pixel = enhancer.size_divisor, enhancer.bytes_per_pixel
    piece = per_pixel * enhancers.MEMORY_SAFETY_FACTOR * photo.shape[0] * photo.shape[1]
    side = enhancers.tile_side(photo, per_pixel, enhancer.overlap, divisor, memory)
    return per_pixel, enhancers.KERAS_BYTES + 2 * photo.nbytes + piece, side


# %% [markdown]
# For a photo of 24 megapixels, and the limit that the package sets when it is told none:

# %%
large = np.broadcast_to(np.uint8(0), (4000, 6000, 3))  # stands for a photo, and takes no memory
rows = []
for name, enhancer in loaded.items():
    per_pixel, piece, side = plan(enhancer, large)
    tiles = f"{side}×{side}" if side else "–"
    rows.append([name, f"{per_pixel:,.0f}", f"{piece / 1e9:.1f}", tiles])
limit = f"tiles within {enhancers.MEMORY_LIMIT / 1e9:g} GB"
print(f"{sum(row[-1] != '–' for row in rows)} of {len(rows)} enhancers need tiles for this photo.")
Markdown(core.markdown_table(["enhancer", "bytes per pixel", "GB in one piece", limit], rows))

# %% [markdown]
# Is a photo that was put together from tiles the same photo?
#
# ### How far does a network see?
#
# That decides what a tile lacks at its border. Change the middle pixel of the photo, and look
# where the result changes. The maps show the change as a power of ten, on one scale: −2 is a
# hundredth, −8 is none.


# %%
def change(enhancer, image):
    """Return log10 of how much each pixel of the result changes when the middle pixel does."""
    touched, middle = image.copy(), tuple(side // 2 for side in image.shape[:2])
    touched[middle] = 1 - touched[middle]
    moved = enhancer.enhance(touched) - enhancer.enhance(image)
    return np.log10(np.abs(moved).max(axis=-1) + 1e-8)


# %% [markdown]
# One network of each kind. Where the map is dark from some distance on, the network has a *reach*;
# where it is not dark up to the borders, something is taken from the whole photo:

# %%
kinds = [name for name in ("lumen", "zero_dce_pp", "pix2pix") if name in loaded]
changes = {name: change(loaded[name], low) for name in kinds}
display.show_images(changes, limits=(-8, 0))

# %% [markdown]
# Three kinds of networks:
#
# - lumen's network sees its surroundings: each 3×3 convolution adds one pixel in every direction,
#   and two, four or eight where the photo was halved once, twice or three times before. That is the
#   spot in the middle. The fainter change everywhere is its gain, a single number that is taken
#   from the whole photo;
# - Zero-DCE and Zero-DCE++ draw their maps on a photo reduced by a factor, so each convolution
#   reaches that many pixels further, and the map shows a rectangle;
# - pix2pix normalises each channel by its mean and variance over the **whole photo**, and MIRNet
#   weighs channels by their means. Everything depends on everything.
#
# Where a network has a reach, it can be added up from the layers. Zero-DCE reaches as far as its
# convolutions do, in cells of that factor, and one cell more, since enlarging mixes the maps of
# neighbouring cells. The *overlap* of tiles covers both; the card that is saved with each enhancer
# keeps it as `halo`. How far did the map change?


# %%
def reach(enhancer):
    """Add up how far the convolutions of Zero-DCE or Zero-DCE++ see, in pixels of the photo."""
    layers = load_enhancer(enhancer.name).model.layers
    convolutions = [layer for layer in layers if hasattr(layer, "kernel_size")]
    return enhancer.size_divisor * sum(c.kernel_size[0] // 2 for c in convolutions)


# %%
def felt(enhancer, image):
    """Return how far the middle pixel is felt, in cells of the divisor; both sides divide by it."""
    cell = enhancer.size_divisor
    middle = np.array(image.shape[:2]) // 2 // cell
    return int(np.abs(np.argwhere(change(enhancer, image) > -7) // cell - middle).max())


# %%
for name in ("zero_dce", "zero_dce_pp"):
    enhancer, cell = loaded[name], loaded[name].size_divisor
    print(f"{name:12} cells of {cell}: convolutions reach {reach(enhancer) // cell}, ", end="")
    print(f"changed as far as {felt(enhancer, low)}, overlap {enhancer.overlap // cell}")
print("See the whole photo:", ", ".join(n for n in loaded if loaded[n].is_global))

# %% [markdown]
# ### Tiles and their seams
#
# A part of a photo is a photo, so the enhancer takes it as it is, and knows nothing of the rest.
# Cut the photo into squares of a `side`, enhance each, put them together. With an `overlap`, each
# square is handed over with that many pixels around it, which are cut off again afterwards.


# %%
def cut(run, photo, side, overlap=0):
    """Enhance a photo (H, W, 3) in squares, each with ``overlap`` more pixels on every side."""
    result = np.empty_like(photo)
    for top in range(0, photo.shape[0], side):
        for left in range(0, photo.shape[1], side):
            y, x = max(top - overlap, 0), max(left - overlap, 0)
            tile = run(photo[y : top + side + overlap, x : left + side + overlap])
            tile = tile[top - y :, left - x :][:side, :side]
            result[top : top + side, left : left + side] = tile
    return result


# %% [markdown]
# Zero-DCE++ on the whole photo, and on squares that know nothing of each other. Look along the
# borders of the squares, on areas of one colour.

# %%
fast = loaded["zero_dce_pp"]
whole = fast.enhance(low)
naive = cut(fast.enhance, low, side=168)
display.show_images({"whole": whole, "tiles without overlap": naive})

# %% [markdown]
# **The mistake.** Each tile is padded at its border as if the photo ended there, and the network
# draws other curves, which are right for the tile and wrong for the photo. With the overlap from
# the card it sees all that it would have seen. Here is the difference from the whole, amplified
# four times; grey is no difference.


# %%
def amplified(first, second, times=4):
    """Show ``first - second`` around grey."""
    return np.clip(0.5 + times * (first - second), 0, 1)


# %%
exact = cut(fast.enhance, low, side=168, overlap=fast.overlap)
by_overlap = {"without overlap": naive, "with overlap": exact}
for name, result in by_overlap.items():
    print(f"{name}: largest difference {255 * np.abs(result - whole).max():.2f} of 255")
display.show_images({name: amplified(result, whole) for name, result in by_overlap.items()})

# %% [markdown]
# The overlap costs time: every pixel of it is computed more than once. How wide must it be? Move
# the sliders: above the result, below its difference from the whole, both at half the size.


# %%
def seams(side, overlap):
    """Show Zero-DCE++ on tiles of a size and with an overlap, above its amplified difference."""
    tiled = cut(fast.enhance, low, side, overlap)
    return core.block_mean(np.concatenate([tiled, amplified(tiled, whole)]), 2)


sliders = {"side": (72, 312, 24, 168), "overlap": (0, 192, 24, 0)}
display.image_slider(seams, **sliders)

# %%
display.static(seams, **sliders)

# %% [markdown]
# The same in numbers, for a few widths up to that of the card:

# %%
step = fast.size_divisor
for overlap in range(0, fast.overlap + 1, 2 * step):
    difference = np.abs(cut(fast.enhance, low, 168, overlap) - whole).max()
    print(f"overlap {overlap:3}: largest difference {255 * difference:6.2f} of 255")

# %% [markdown]
# ### Networks that see everything
#
# For those that see the whole photo no overlap is wide enough: a dark corner, alone in its tile, is
# brightened like a dark photo. Look at surfaces of one colour that two tiles share.

# %%
everything = loaded["pix2pix"]
seen = everything.enhance(low)
naive = cut(everything.enhance, low, side=128, overlap=64)
display.show_images({"whole": seen, "tiles with an overlap of 64": naive})

# %% [markdown]
# The cure: what such a network computes over the photo, means and variances of channels, is
# measured **once on a reduced copy** of the whole photo, and every tile uses these numbers
# (`with_fixed_statistics`). All tiles then agree on them, and what is wrong with the copy is wrong
# everywhere alike. What is left at the borders, neighbours hide by fading into each other
# (`blend`). The function does it for any enhancer:


# %%
def tiled(enhancer, photo, side=128):
    """Enhance a photo in tiles that agree, whatever the network sees."""
    if enhancer.has_strength:  # knows two vectors of the whole photo; the package does it
        piece = plan(enhancer, photo)[1] - enhancers.KERAS_BYTES
        return enhancer.enhance(photo, memory=enhancers.KERAS_BYTES + int(0.9 * piece))
    run, options = enhancer.enhance, {"overlap": enhancer.overlap}
    level = enhancers.default_level(photo)
    if enhancer.has_gain:  # one gain, that of the whole photo, and one correction of the mean
        run = enhancer.runner(photo, photo, False, level, 1.0, None)
    if enhancer.is_global:
        quarter = core.reduce_to(photo, photo[..., 0].size // 4)
        copy = core.pad_to_divisor(quarter, enhancer.size_divisor)
        run = Enhancer(enhancers.with_fixed_statistics(enhancer.model, copy), enhancer.card).enhance
        options["blend"] = enhancers.DEFAULT_BLEND
    options["size_divisor"] = enhancer.size_divisor
    result = enhancers.enhance_tiles(run, photo, side, **options)
    return core.reach(result, level)(result) if enhancer.has_gain else result


# %% [markdown]
# The difference of pix2pix from the whole once more, with the statistics of each tile and with
# common ones:

# %%
agreed = {"each tile": naive, "a reduced photo": tiled(everything, low)}
display.show_images({f"statistics of {k}": amplified(v, seen) for k, v in agreed.items()})

# %% [markdown]
# `enhance(photo, memory=...)` does all of this by itself, with as large tiles as the limit allows.
# The table compares small tiles with the whole, in levels of 255: *naive* ones, which know nothing
# of each other, and *agreeing* ones, made as above.

# %%
part, rows, away = low[-256:, :384], [], {}
for name, enhancer in loaded.items():
    side, whole_part = core.round_up(128, enhancer.size_divisor), enhancer.enhance(part)
    ways_to_cut = cut(enhancer.enhance, part, side), tiled(enhancer, part)
    apart = [255 * np.abs(result - whole_part) for result in ways_to_cut]
    rows.append([name, *(f"{f(a):.2f}" for a in apart for f in (np.max, np.mean))])
    away[name] = apart[1].max()

# %% [markdown]
# Less than a level of 255 is what rounding to 8 bits would hide.

# %%
print("Agree to less than a level:", ", ".join(name for name in away if away[name] < 1))
print("Do not:", ", ".join(name for name in away if away[name] >= 1) or "none")
Markdown(
    core.markdown_table(["enhancer", "naive: largest", "mean", "agreeing: largest", "mean"], rows)
)

# %% [markdown]
# A network with a reach loses nothing. For one that takes statistics of its features from a copy a
# difference is left; in the figure above it has no edges, but it is there. (What `shed_light` knows
# of the whole photo are two vectors; the package takes them from every n-th pixel, and of a photo
# as small as this one from all of them.)
#
# ## Files: more than 8 bits, EXIF, colour profile
#
# ### Banding
#
# A dark photo of 8 bits uses a few of its 256 levels, and brightening pulls them apart. A wall
# beside a lamp, taken with little light and without noise, and stored in 8 and in 16 bits:


# %%
def shoot(normal, exposure, dtype):
    """Take a photo (H, W, 3) without noise, rounded to the levels of an integer type."""
    dark = core.linear_to_srgb(exposure * core.srgb_to_linear(normal))
    return np.rint(dark * np.iinfo(dtype).max).astype(dtype)


# %% [markdown]
# The light falls off smoothly, so whatever steps we shall see are not of the wall. How many
# different values are left of it?

# %%
lamp = data.illumination_map((240, 360), 0.15, seed)[..., None]
wall = np.float32(lamp * [0.8, 0.7, 0.55])
walls = {f"{8 * np.dtype(d).itemsize} bits": shoot(wall, 0.012, d) for d in (np.uint8, np.uint16)}
for name, photo in walls.items():
    print(f"{name}: {len(np.unique(photo[..., 1]))} levels of green in the dark photo")

# %% [markdown]
# `core.write_photo` and `read_photo` keep 16 bits in PNG and TIFF, and enhancers return the
# type that they are given: through a file and back.

# %%
brightened = {}
for name, photo in walls.items():
    path = core.write_photo(folder / f"wall_{photo.dtype}.tif", core.Photo(photo))
    brightened[name] = core.to_float(loaded["zero_dce"].enhance(core.read_photo(path).pixels))
display.show_images(brightened)

# %% [markdown]
# The same along one row, and then how the values are spread (shares on a scale of square roots):
# 8 bits leave gaps like those of a comb.

# %%
position = np.arange(360)
rows = {name: photo[30, :, 1] for name, photo in brightened.items()}
display.plot_curves(position, rows, "column", "green, enhanced", diagonal=False)

# %%
display.histograms(brightened, bins=128)

# %% [markdown]
# Noise hides the steps, so photos of 8 bits often look better than this wall. Where there is a raw
# file or a 16-bit one, enhance that.
#
# ### What else is in a file
#
# Many phones store photos as the sensor lay, with a note in the EXIF data how to turn them, and a
# colour profile, which says what the numbers mean as colours. Whoever ignores the note returns a
# photo on its side; whoever loses the profile leaves the colours to chance. In EXIF, tag 274 is the
# orientation, where 6 asks for a quarter turn clockwise; a photo that was turned must not keep it,
# or it is turned again. Tag 271 is the maker of the camera.

# %%
stored = Image.fromarray(np.rot90(core.to_uint8(low)))
exif, profile = Image.Exif(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
exif.update({271: "A camera", core.ORIENTATION: 6})
stored.save(folder / "phone.jpg", exif=exif, icc_profile=profile, quality=95)
photo = core.read_photo(folder / "phone.jpg")
core.write_photo(folder / "phone_enhanced.jpg", replace(photo, pixels=fast.enhance(photo.pixels)))
for name in ("phone.jpg", "phone_enhanced.jpg"):
    with Image.open(folder / name) as file:
        kept = file.info.get("icc_profile") == profile
        print(f"{name}: {file.size}, EXIF {dict(file.getexif())}, same profile: {kept}")
sides = {"as stored": core.to_float(np.asarray(stored)), "as read": core.to_float(photo.pixels)}
display.show_images(sides)

# %% [markdown]
# ## A folder of photos
#
# For each photo: decode the file, enhance, encode the result. If all is done one after the other,
# cores of the processor wait: decoding a photo keeps one core busy, and so does encoding it.


# %%
def one_by_one(paths, target, steps):
    """Read, enhance and write photos in turn."""
    read, enhance, write = steps
    for path in paths:
        write(target / f"{path.stem}.png", enhance(read(path)))


# %% [markdown]
# Now with more threads: while one photo is enhanced, others read the next photos and write the last
# ones. Two queues of limited length keep memory small, and `result()` raises here what went wrong
# there.


# %%
def overlapped(paths, target, steps, workers=2, ahead=3):
    """Read and write in other threads while this one enhances."""
    read, enhance, write = steps
    with ThreadPoolExecutor(workers) as pool:
        reading, writing = deque(), deque()
        rest = iter(paths)
        while True:
            for path in rest:
                reading.append((path, pool.submit(read, path)))
                if len(reading) == ahead:
                    break
            if not reading:
                break
            path, photo = reading.popleft()
            done = enhance(photo.result())
            writing.append(pool.submit(write, target / f"{path.stem}.png", done))
            if len(writing) == ahead:
                writing.popleft().result()
        for job in writing:
            job.result()


# %% [markdown]
# Each step notes when it began and ended, so that we can see what overlaps.


# %%
def logged(kind, work, log):
    """Return a function that does the work and notes when."""

    def run(*arguments):
        start = time.perf_counter()
        result = work(*arguments)
        log.append((kind, start, time.perf_counter()))
        return result

    return run


# %%
def enhanced_photo(photo):
    """Enhance what `read_photo` returned, and keep the rest of it."""
    return replace(photo, pixels=fast.enhance(photo.pixels))


# %%
def timed(way, paths, target):
    """Run one of the two ways and return when each step was done."""
    log = []
    works = {"decode": core.read_photo, "enhance": enhanced_photo, "encode": core.write_photo}
    way(paths, target, [logged(kind, work, log) for kind, work in works.items()])
    begin = min(start for _, start, _ in log)
    log.sort(key=lambda piece: piece[1])
    return [(kind, start - begin, stop - begin) for kind, start, stop in log]


# %% [markdown]
# Now both ways with the same photos. The network is called once before: its first call takes longer
# than the others and would count for the way that comes first.

# %%
album = data.synthetic_pairs(count, (480, 720), seed + 2)
paths = [
    core.save_image(folder / "album" / f"{name}.jpg", photo)
    for name, photo in zip(album.names, album.low, strict=True)
]
enhanced_photo(core.read_photo(paths[0]))  # the first call of a network is slow
ways = {"one by one": one_by_one, "overlapped": overlapped}
logs = {title: timed(way, paths, folder / title) for title, way in ways.items()}
display.timeline(logs)

# %% [markdown]
# A bar is one piece of work, darker where two of a kind overlap. How many photos per second are
# that, and did a step take longer when it shared the cores?

# %%
wall = {title: max(stop for *_, stop in log) for title, log in logs.items()}
for title, log in logs.items():
    print(f"{title:12} {count / wall[title]:5.1f} photos per second; a photo takes", end="")
    for kind in ("decode", "enhance", "encode"):
        taken = sum(stop - start for k, start, stop in log if k == kind)
        print(f" {1000 * taken / count:.0f} ms to {kind},", end="")
    print()
print(f"Overlapped, {wall['one by one'] / wall['overlapped']:.2f} times as many photos per second")

# %% [markdown]
# Threads are a good place for mistakes: a photo that is written under another's name, or before it
# is finished. So we compare the files:

# %%
first, second = ([core.read_photo(p).pixels for p in sorted((folder / t).iterdir())] for t in ways)
print("the same photos:", all(np.array_equal(a, b) for a, b in zip(first, second, strict=True)))

# %% [markdown]
# *Latency* is how long one photo takes, *throughput* how many are done in a second. Overlapping is
# for the second: it makes no step quicker (where one took less time above, that is chance), and
# where steps share the cores each may take longer. Once every core is busy there is nothing left to
# gain. Where most of the time is the network's, `15_runtimes` goes on.
#
# ## Video
#
# A video is a row of photos, but an enhancer sees each of these *frames* alone. Our camera pans
# over a dark scene; each frame has its own noise.


# %%
def pan(count, step=3, seed=0, exposure=lambda t: 0.05):
    """Return dark frames (120, 160, 3) of a window that moves over a scene."""
    scene = core.to_float(data.sample_scenes()["stereo_motorcycle"])[150:270, 100:]
    rng, shots = np.random.default_rng(seed), []
    for t in range(count):
        light = exposure(t) * core.srgb_to_linear(scene[:, step * t : step * t + 160])
        light = np.clip(data.add_noise(light, 1000, 0.004, rng), 0, 1)
        shots.append(core.to_float(core.to_uint8(core.linear_to_srgb(light))))
    return shots


# %%
shots = pan(frames, seed=seed)
filmed = [loaded[video_method].enhance(shot) for shot in shots]
ends = [shots[0], shots[-1], filmed[0], filmed[-1]]
titles = ["first frame", "last frame", "first, enhanced", "last, enhanced"]
display.show_images(ends, titles=titles, columns=4)

# %% [markdown]
# **Flicker** is brightness that goes up and down. A pan changes brightness too, but steadily, so we
# measure the change of the change: the mean absolute second difference of the frames' mean
# luminance, in levels of 255. It is zero for a steady fade.


# %%
def brightness(film):
    """Return the mean luminance of each frame, in levels of 255."""
    return np.array([255 * luminance(frame).mean() for frame in film])


# %%
def flicker(film):
    """Return the mean absolute second difference of the brightness."""
    return float(np.abs(np.diff(brightness(film), 2)).mean())


# %%
for name, film in {"dark": shots, video_method: filmed}.items():
    share = flicker(film) / brightness(film).mean()
    print(f"{name:9} flicker {flicker(film):.2f}, {share:.2%} of its brightness")

# %% [markdown]
# To multiply all frames by one factor multiplies the flicker as well, and leaves its share of the
# brightness as it is. A share that has grown points to a brightening that changes from frame to
# frame. Seen from far, an enhancer is a *tone curve*: how bright it makes each level of the dark
# frame, on average. Noise moves that curve from frame to frame, and a curve can be averaged over
# time. We keep two sums for each level, pixels and their enhanced luminance, and let old frames
# fade out of both (an exponential moving average); then each frame is multiplied by
#
# $$\text{gain} = \frac{\text{averaged curve}}{\text{its own curve}}$$

# %%
LEVELS = 32  # of the square root of luminance, which spreads the dark ones
BLACK = 1e-4  # keeps black as it is


# %%
def level_of(low):
    """Return where the luminance of a dark frame lies on the scale of levels."""
    return np.sqrt(luminance(low)) * (LEVELS - 1)


# %%
def tone_sums(low, enhanced):
    """Return, for each level, its number of pixels and the sum of their enhanced luminance."""
    level = np.rint(level_of(low)).astype(int).ravel()
    value = luminance(enhanced).ravel()
    return np.array([np.bincount(level, w, minlength=LEVELS) for w in (np.ones_like(value), value)])


# %%
def steady(lows, film, memory=0.9):
    """Replace the tone curve of each frame by its moving average."""
    sums, result = 0, []
    for low, frame in zip(lows, film, strict=True):
        own = tone_sums(low, frame)
        sums = memory * sums + own
        used = np.flatnonzero(own[0])
        (pixels, light), (all_pixels, all_light) = own[:, used], sums[:, used]
        gain = (all_light / all_pixels + BLACK) / (light / pixels + BLACK)
        gain = np.interp(level_of(low), used, gain)[..., None]
        result.append(np.clip(frame * gain, 0, 1).astype(np.float32))
    return result


# %% [markdown]
# The first frame has nothing to be averaged with and stays as it is; then the curve settles. (The
# axis shows only the part of the 255 levels that is needed.)

# %%
smoothed = steady(shots, filmed)
print(f"flicker {flicker(filmed):.2f} before, {flicker(smoothed):.2f} after")
lights = {f"{video_method} frame by frame": brightness(filmed), "smoothed": brightness(smoothed)}
display.plot_curves(np.arange(frames), lights, "frame", "mean luminance (of 255)", diagonal=False)

# %% [markdown]
# And as the eye meets it, twelve frames a second:

# %%
display.animation({"dark": shots, "frame by frame": filmed, "smoothed": smoothed}, fps=12)

# %% [markdown]
# Is it so for every method? Two curves without a network are there to compare with: `gamma`, which
# is the same for all frames, and `auto_gamma`, which is chosen for each frame by its brightness.

# %%
chosen = {name: method for name, method in BASELINES.items() if name in ("gamma", "auto_gamma")}
chosen |= {name: enhancer.enhance for name, enhancer in loaded.items()}
rows, steadier = [], {}
for name, method in chosen.items():
    film = filmed if name == video_method else [method(shot) for shot in shots]
    before, after = flicker(film), flicker(steady(shots, film))
    rows.append([name, f"{before:.2f}", f"{after:.2f}"])
    steadier[name] = after < before
Markdown(core.markdown_table(["method", "flicker", "smoothed"], rows))

# %%
for word, kind in {"less": True, "no less": False}.items():
    print(
        f"Smoothing leaves {word} flicker:", ", ".join(n for n in steadier if steadier[n] == kind)
    )

# %% [markdown]
# Smoothing is for methods that make flicker of their own. Where the curve was steady before there
# is little to gain. And it can do harm: an average lags behind a scene that changes, and where a
# method keeps the brightness constant by changing its curve, the average takes that away. So
# measure before and after.
#
# ## Where it fails
#
# **Lamps.** Under light that flickers by itself the dark video flickers, and a fixed curve that
# brightens, such as `gamma`, enlarges that. It is the same curve in each frame, so there is nothing
# to average. A method that adapts works against the lamps with a curve that changes from frame to
# frame, and the average takes just that away. Here every second frame has two thirds of the light
# of the one before:

# %%
lamps = pan(frames, step=0, seed=seed, exposure=lambda t: 0.05 * (1 + 0.2 * (-1) ** t))
rows, worse = [["(dark)", f"{flicker(lamps):.1f}", "–"]], []
for name in ("gamma", "zero_dce", video_method):
    film = [chosen[name](shot) for shot in lamps]
    before, after = flicker(film), flicker(steady(lamps, film))
    rows.append([name, f"{before:.1f}", f"{after:.1f}"])
    worse += [name] if after > 1.1 * before else []
print("Smoothing makes it worse by more than a tenth:", ", ".join(worse) or "none")
Markdown(core.markdown_table(["under lamps", "flicker", "smoothed"], rows))

# %% [markdown]
# **Tiles of networks that see everything** agree with each other but not quite with the whole: the
# reduced copy has less noise and less detail than the photo that it stands for, and so other
# variances.
#
# ## Exercises
#
# **1.** Many programs let neighbouring tiles fade into each other, but show them nothing beyond
# their edges. `enhancers.enhance_tiles` does that with a `blend` and no `overlap`. Are the seams of
# Zero-DCE++ gone?
#
# <details><summary>Solution</summary>Compare two numbers: the step at a seam, which the eye finds,
# and the mean difference from the whole, which it does not find. A blend spreads the step over its
# width. What is left of the difference has a fainter edge, but it is not gone.</details>

# %% tags=["solution"]
whole = fast.enhance(low)
for blend in (0, 40):
    faded = enhancers.enhance_tiles(fast.enhance, low, 160, blend=blend, size_divisor=step)
    difference = faded - whole
    step_at_seam = np.abs(np.diff(difference[:, 159:161], axis=1)).max()
    print(f"blend {blend:2}: step at a seam {255 * step_at_seam:.1f}, ", end="")
    print(f"mean difference {255 * np.abs(difference).mean():.1f} of 255")

# %% [markdown]
# **2.** After a cut to another scene the average still holds the curve of the old one. Find the
# cut in the dark video, and smooth each part by itself. Compare the first frames after the cut
# with those that are not smoothed.
#
# <details><summary>Solution</summary>A cut is a jump of the brightness that is many times the usual
# change. The numbers below are levels of 255, for the first three frames after it.</details>

# %% tags=["solution"]
second_shot = pan(8, seed=seed + 1, exposure=lambda t: 0.2)
cut_film = shots[:8] + second_shot
bright = filmed[:8] + [loaded[video_method].enhance(shot) for shot in second_shot]
jump = np.abs(np.diff(brightness(cut_film)))
at = int(np.argmax(jump)) + 1
print(f"cut before frame {at}: a jump of {jump.max():.1f}, otherwise {np.median(jump):.2f}")
apart = steady(cut_film[:at], bright[:at]) + steady(cut_film[at:], bright[at:])
for name, film in {"one average": steady(cut_film, bright), "one for each part": apart}.items():
    moved = np.abs(brightness(film) - brightness(bright))[at : at + 3]
    print(f"{name:17} away from unsmoothed by", moved.round(1))

# %% [markdown]
# ## Use it on your photos
#
# Everything above is behind a few commands. They cut what is too large, keep 16 bits, EXIF and
# profile, overlap their work, skip what is done and go on after a bad file:
#
# ```console
# lle enhance holiday/ night*.jpg -o bright/ --method mirnet
# lle enhance huge.tif --memory 1.5GB
# lle video in.mp4 out.mp4
# lle serve
# ```
#
# `lle serve` shows a web page for the same; `DEPLOY.md` says how to run it for others. The first
# command, on the album from above; its last line says what the method may do to a photo, from the
# measurements of `08`:

# %%
code = main.main(["enhance", str(folder / "album"), "-o", str(folder / "bright"), "--overwrite"])
print("exit code", code, "and", len(list((folder / "bright").iterdir())), "photos")

# %% [markdown]
# ## What was learnt
#
# - An overlap as wide as the network sees makes tiles exact but for rounding; a network that sees
#   the whole photo needs its statistics from the whole photo.
# - Keep all bits, turn the photo upright, hand on its profile.
# - Overlapping is for throughput, not for the speed of one photo.
# - Smooth what a method adds over time, and measure that it did.
#
# Next, `15_runtimes` takes a network out of Keras.

# %%
print(core.versions())
