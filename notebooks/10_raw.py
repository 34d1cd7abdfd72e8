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
# # Raw: what the sensor saw before the camera threw it away
#
# You will read what a sensor counted, see what a file of 8 bits keeps of it, and train a network
# that develops a dark raw frame to a well-lit photo.

# %% [markdown] tags=["badges"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/low-light-notebooks/blob/main/notebooks/10_raw.ipynb)

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
# - what is in a raw file: a mosaic of counts, a black level, and what white is;
# - how shot, read and row noise come about, and what each does to a dark frame;
# - why brightening raw loses less than brightening a file of 8 bits of the same photons;
# - why demosaicing is a transposed convolution;
# - how *Learning to See in the Dark* develops with a U-Net, and how to do so for any camera.
#
# You should have read `01_data` and `02_metrics`. With the synthetic sample the notebook takes
# about a minute on two processor cores.
#
# **References.** Chen et al., *Learning to See in the Dark*, CVPR 2018, arXiv 1805.01934; Wei et
# al., *A Physics-based Noise Formation Model for Extreme Low-light Raw Denoising*, CVPR 2020,
# arXiv 2003.12751; Brooks et al., *Unprocessing Images for Learned Raw Denoising*, CVPR 2019,
# arXiv 1811.11127.

# %%
import time
from functools import partial
from pathlib import Path

import keras
import numpy as np
from IPython.display import Markdown
from keras import layers
from skimage.color import deltaE_ciede2000, hsv2rgb, rgb2lab

from lle_utils import core, data, display, enhancers, evaluation, training
from lle_utils.enhancers import load_enhancer, load_onnx, save_enhancer
from lle_utils.metrics import psnr
from lle_utils.nn import EncodeLight, charbonnier_loss, ssim_loss

# %% [markdown]
# The next cell holds everything there is to set. `source` may be any source of well-lit photos:
# a camera model takes them again. Or it is a folder of See-in-the-Dark with `short` and `long` in
# it, whose raw files need no model.

# %% tags=["parameters"]
profile = ""  # "colab", or another of notebooks/profiles; what you change below wins
source = "synthetic"  # or well-lit photos, see `data.load`; or a folder of See-in-the-Dark
raw_file = ""  # a camera raw file to develop in the end; empty: a frame of the camera model
widths = [12, 24, 48]  # channels at half the resolution of the photo, a quarter, an eighth
stages = [[16, 96, 6]]  # epochs, crop and batch size of each stage of training
steps = 20  # training steps per epoch
warmup = 20  # steps in which the learning rate rises
learning_rate = 3e-3
ema = 0.9  # momentum of the averaged weights; 0 for none
ssim_weight = 0.1  # weight of the structural similarity beside the Charbonnier loss
begin = ""  # an enhancer of the same widths to go on from, such as "raw_unet", not from chance
validate_every = 4  # epochs between two measurements on validation photos
seed = 0
deterministic = False  # bit-identical repeats, at some cost in speed
output_dir = ""  # where results go; empty: runs/10_raw in the project

# %% tags=["profile"]
from lle_utils.notebook_tools import start

start("10_raw", globals())

# %% [markdown]
# ## A sensor counts
#
# Each pixel of a sensor collects photons behind one filter: red, green or blue. It knows nothing
# about the other two colours. Light is counted, so that twice the light is twice the number; no
# curve, no white balance. Our synthetic camera undoes what a camera does to a photo and takes it
# again. Its gain and its noise are those of a Canon EOS Kiss X4, measured in one of its files.
# First, a well-lit photo of a scene that is kept for validation:

# %%
core.set_seed(seed, deterministic)  # determinism has to be asked for before anything is computed
sample = data.synthetic_pairs(1, (256, 384), seed + 1, data.VAL_SCENES)
normal = core.to_float(sample.normal[0])

# %% [markdown]
# The camera takes it at full light, a `ratio` of 1. The pattern of its filters repeats every 2×2
# pixels (a *Bayer pattern*): one red, two green, one blue. A *plane* holds the counts behind one of
# the four places.

# %%
camera = data.RawCamera()
frame = camera.shoot(normal, ratio=1, seed=seed)
print(f"planes {frame.planes.shape}, from {frame.planes.min():.3f} to {frame.planes.max():.3f}")

# %% [markdown]
# A file stores counts on top of a **black level**, the value without light, so that noise may fall
# below it; at the **white level** values are cut off. The planes are scaled so that black is 0 and
# white is 1: hence the numbers a little below 0. Of a white surface only green comes near 1; red
# and blue collect less, for which the white balance makes up later.
#
# Packed so, as the network will see them, the planes have half the height and width of the photo:
# red, green, green, blue. Put back into the mosaic, and shown as they are, they look dark and
# green: the eye expects a curve, half of the pixels are green, and filters for green let most light
# pass.


# %%
def tiles_of(planes):
    """Return the mosaic that four planes (h, w, 4) were taken from, as an image (2h, 2w)."""
    h, w, _ = planes.shape
    return planes.reshape(h, w, 2, 2).swapaxes(1, 2).reshape(2 * h, 2 * w)


# %% [markdown]
# The four planes are the last axis; as 2×2 it is the row and the column in a cell, and
# swapping the middle axes puts each row of a cell beside the rows of the frame. To see which filter
# a count came through, the mosaic is multiplied by the colours of the pattern, laid out like tiles.

# %%
window = np.s_[60:84, 150:186]
colors = np.array([[[1, 0, 0], [0, 1, 0]], [[0, 1, 0], [0, 0, 1]]])
colored = tiles_of(frame.planes)[..., None] * np.tile(colors, (*frame.planes.shape[:2], 1))
shown = {"photo": normal, "mosaic": colored, "24 x 36 pixels, lighter": 4 * colored[window]}
display.show_images({name: np.clip(image, 0, 1) for name, image in shown.items()})

# %% [markdown]
# From counts to a photo are four steps: multiply by the **white balance**, guess the two missing
# colours of each pixel (*demosaicing*), turn the camera's colours to those of sRGB with a
# **matrix**, and apply the sRGB curve. LibRaw, which many programs develop with, does all of them.

# %%
developed = core.as_float(data.develop(frame))  # LibRaw returns 16 bits
print(f"white balance {[round(gain, 2) for gain in frame.gains]}; ", end="")
print(f"developed, {psnr(developed, normal):.1f} dB from the photo: guessed colours, and noise")

# %% [markdown]
# ## Four kinds of noise
#
# Photons arrive by chance: where $n$ are expected, a pixel catches $n \pm \sqrt{n}$, and each frees
# one electron (**shot noise**). Reading it adds or takes a few electrons (**read noise**), each row
# of the sensor its own (**row noise**, which shows as stripes), and the result is rounded to whole
# levels (**quantization**). An exposure ratio of 100 means a hundredth of the light.
#
# Independent noises add up by their *variances*, the squares of their standard deviations. That of
# shot noise is the expected number itself. The others do not depend on the light; rounding to steps
# of $s$ has a variance of $s^2 / 12$, that of a number anywhere within a step.

# %%
RATIOS = (20, 60, 150, 300)
step = camera.electrons / (camera.white - camera.black)  # electrons of one level
others = camera.read_noise**2 + camera.row_noise**2 + step**2 / 12

# %% [markdown]
# Middle gray, the tone of a gray card, sends back 18 % of the light. Behind the filter with the
# largest gain the fewest photons arrive, here behind red: of white, one over that gain.

# %%
gray = 0.18 * camera.electrons / max(camera.gains)
for ratio in RATIOS:
    expected = gray / ratio
    noise = np.sqrt(expected + others)
    print(f"1/{ratio:3}: middle gray is {expected:5.1f} red electrons, noise {noise:.1f}")

# %% [markdown]
# The same scene at each ratio, developed as before and multiplied by the ratio on the way. Look for
# grain, for stripes along the rows, and for the colour of what was black.

# %%
dark = {ratio: camera.shoot(normal, ratio, seed) for ratio in RATIOS}
lit = {f"1/{ratio}": data.develop(shot, ratio) for ratio, shot in dark.items()}
display.show_images({name: core.as_float(photo) for name, photo in lit.items()}, columns=2)

# %% [markdown]
# ## The same photons through a file of 8 bits
#
# Now two ways from the same frame to a bright photo. *Raw*: amplify the counts, then develop.
# *File*: develop as the camera would, round to 8 bits, save; later decode and amplify the light
# by the same ratio.


# %%
def through_file(frame, ratio):
    """Develop to 8 bits first, and brighten the file."""
    photo = core.to_uint8(core.as_float(data.develop(frame)))
    light = ratio * core.srgb_to_linear(core.to_float(photo))
    return core.linear_to_srgb(np.clip(light, 0, 1)).astype(np.float32)


# %%
def through_raw(frame, ratio):
    """Brighten the counts, and develop."""
    return core.as_float(data.develop(frame, ratio))


# %% [markdown]
# A file of 8 bits has 256 levels. The table counts how many of them the dark photo uses, and
# compares both ways with the well-lit photo.

# %%
lines = ["| exposure | levels in the file | file (dB) | raw (dB) |", "|---|---:|---:|---:|"]
for ratio, shot in dark.items():
    levels = len(np.unique(core.to_uint8(core.as_float(data.develop(shot)))))
    scores = [psnr(way(shot, ratio), normal) for way in (through_file, through_raw)]
    lines.append(f"| 1/{ratio} | {levels} | {scores[0]:.2f} | {scores[1]:.2f} |")
Markdown("\n".join(lines))

# %% [markdown]
# Pixel by pixel there is not much between the two: the noise is larger than the steps of the file,
# and LibRaw cuts off what is below black in both. The loss shows where one averages, as an eye does
# and a network will; of raw the counts themselves are averaged, before any cut. Averaging takes
# noise away; it cannot bring back what rounding and the cut at black have taken.


# %%
def averaged(image, side=24):
    """Average the light of blocks, as if pixels were larger."""
    light = core.block_mean(core.srgb_to_linear(image), side)
    return core.linear_to_srgb(np.clip(light, 0, 1)).astype(np.float32)


# %% [markdown]
# Of raw, blocks need no demosaicing: each holds more than a hundred counts of every colour.
# `amplified` multiplies by ratio and white balance, to which a mean is indifferent; matrix and
# curve follow after it. A plane has half the sides of the photo, so its blocks have, too.


# %%
def raw_averaged(frame, ratio, side=24):
    """Average the counts, the negative ones too, before anything is cut off."""
    means = core.block_mean(data.amplified(frame, ratio), side // 2)
    red, green, other, blue = np.moveaxis(means, -1, 0)
    light = np.stack([red, (green + other) / 2, blue], -1) @ frame.matrix.T
    return core.linear_to_srgb(np.clip(light, 0, 1)).astype(np.float32)


# %%
smooth = averaged(normal)
pairs = {r: (averaged(through_file(f, r)), raw_averaged(f, r)) for r, f in dark.items()}
lines = ["| exposure | file, averaged (dB) | raw, averaged (dB) |", "|---|---:|---:|"]
for ratio, images in pairs.items():
    scores = " | ".join(f"{psnr(image, smooth):.2f}" for image in images)
    lines.append(f"| 1/{ratio} | {scores} |")
Markdown("\n".join(lines))

# %%
ratio = RATIOS[2]
names = (f"file, 1/{ratio}", f"raw, 1/{ratio}")
display.show_images({"photo": smooth} | dict(zip(names, pairs[ratio], strict=True)))

# %% [markdown]
# Half of the noise in the dark lies below black. A file cuts it off, and what is left has a mean
# above 0: the dark gets lighter, and most of all in red and blue, which white balance multiplies
# most. Hence the pink of many photos brightened too far. Raw keeps both sides of black, so its
# noise averages out, and the network below is given the negative counts too.
#
# ## Try it: the exposure ratio
#
# On the left the file, on the right raw; above, the mean over blocks; below, the full resolution.


# %%
def both_ways(ratio, normal, camera, seed):
    """Show file and raw, each averaged on top of itself."""
    shot = camera.shoot(normal, ratio, seed)
    full = np.hstack([through_file(shot, ratio), through_raw(shot, ratio)])
    means = np.hstack([averaged(through_file(shot, ratio)), raw_averaged(shot, ratio)])
    return np.vstack([np.kron(means, np.ones((24, 24, 1))), full])


# %% [markdown]
# `np.kron` enlarges each mean to the block that it came from. The slider takes four numbers:
# the lowest ratio, the highest, the step and the start.

# %%
at_ratio = partial(both_ways, normal=normal, camera=camera, seed=seed)
slider = {"ratio": (20, 300, 40, 100)}
display.image_slider(at_ratio, **slider)

# %%
display.static(at_ratio, **slider)

# %% [markdown]
# ## Demosaicing is a transposed convolution
#
# Bilinear demosaicing gives each pixel that lacks a colour the mean of its neighbours that have it.
# Seen the other way round, every count is *spread*: all of it to its own pixel, a half or a
# quarter to its neighbours. That is a transposed convolution with a stride of 2, from four planes
# to three colours. Its kernel is 4×4, so that the four planes may sit at four places.
#
# Red is measured in one pixel of four, with gaps in both directions, and so is blue: a count
# spreads as a tent of 3×3. Green is measured in every other pixel, and each that lacks it has four
# neighbours that have it, so its counts spread as a cross. The place of a plane in the cell is
# where its spread begins in the kernel.


# %%
def demosaicing_kernel():
    """Return the kernel (4, 4, 3, 4) of bilinear demosaicing: rows, columns, colours, planes."""
    sparse = np.outer([0.5, 1, 0.5], [0.5, 1, 0.5])  # red and blue: one pixel in four
    dense = np.array([[0, 0.25, 0], [0.25, 1, 0.25], [0, 0.25, 0]])  # green: every other one
    kernel = np.zeros((4, 4, 3, 4), np.float32)
    for plane, (color, spread) in enumerate([(0, sparse), (1, dense), (1, dense), (2, sparse)]):
        row, column = divmod(plane, 2)
        kernel[row : row + 3, column : column + 3, color, plane] = spread
    return kernel


# %%
def demosaicing():
    """Return the layer from planes (N, h, w, 4) to colours (N, 2h, 2w, 3); it is not trained."""
    options = {"strides": 2, "padding": "same", "use_bias": False, "trainable": False}
    kernel = keras.initializers.Constant(demosaicing_kernel().tolist())
    return layers.Conv2DTranspose(3, 4, kernel_initializer=kernel, name="demosaic", **options)


# %% [markdown]
# LibRaw looks for edges before it guesses, which ours does not. So the two need not agree; compare
# how near each comes to the photo.

# %%
planes = data.amplified(frame, 1)[None]
light = np.asarray(demosaicing()(planes))[0]
simple = data.camera_to_srgb(np.clip(core.linear_to_srgb(np.clip(light, 0, 1)), 0, 1), frame)
print(f"ours {psnr(simple, normal):.1f} dB, LibRaw {psnr(developed, normal):.1f} dB")

# %% [markdown]
# ## The network
#
# Chen et al. pack the planes, multiply them by the exposure ratio and give them to a **U-Net**,
# which returns the photo. On the way down, maps get smaller and see further; on the way up, each
# level is joined to the one of its size. The last step is *depth to space*: twelve numbers per cell
# become four pixels of three colours. A transposed convolution of 2×2 with stride 2 is just that,
# with a matrix before it; see the first exercise.
#
# Four things are different here. The network learns a *change* of the simple development, so
# that it begins with a photo. A **gate** between 0 and 1, half open at first, says for each pixel
# how much of that development is worth keeping: where there is more noise than photo, it may close,
# and the network paints by itself. The network sees the planes after the sRGB curve, which makes
# noise more alike in darks and lights; negative counts are mirrored (`EncodeLight`). And its photo
# is in the **colours of the camera**, balanced but not yet sRGB: the matrix is written in the file,
# so there is nothing to learn, and a network that has not learnt it serves any camera. Theirs
# learnt one.


# %%
def two_convolutions(x, filters):
    """Apply two 3x3 convolutions to (N, H, W, C)."""
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same")(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    return x


# %% [markdown]
# In the code, `skips` keeps the maps of each level on the way down, to be joined on the way up in
# the opposite order. Change and gate begin with kernels of zeros: a change of 0, and a gate of
# sigmoid(0), which is a half.


# %%
def raw_unet(widths):
    """Build the network: amplified planes (N, h, w, 4) to camera colours (N, 2h, 2w, 3)."""
    raw = keras.Input((None, None, 4), name="raw")
    x, skips = EncodeLight()(raw), []
    for filters in widths[:-1]:
        x = two_convolutions(x, filters)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = two_convolutions(x, widths[-1])
    for skip in skips[::-1]:
        x = layers.Conv2DTranspose(skip.shape[-1], 2, strides=2)(x)
        x = two_convolutions(layers.concatenate([x, skip]), skip.shape[-1])
    change = layers.Conv2DTranspose(3, 2, strides=2, kernel_initializer="zeros")(x)
    half_open = {"kernel_initializer": "zeros", "activation": "sigmoid"}
    gate = layers.Conv2DTranspose(1, 2, strides=2, name="gate", **half_open)(x)
    simple = EncodeLight()(demosaicing()(raw))
    return keras.Model(raw, gate * simple + change, name="raw_unet")


# %% [markdown]
# Packing halves the sides of the photo once, and each level but the first halves them again. So
# height and width must be multiples of two to the power of the number of levels.

# %%
core.set_seed(seed)
network = raw_unet(widths)
divisor = 2 ** len(widths)  # of the sides of a photo; of the planes it is half of that
training.describe(network, divisor)

# %% [markdown]
# Before any training, the network must return half of the simple development, as the gate is half
# open. That checks the way around the U-Net; what the U-Net itself says is still multiplied by 0.

# %%
untrained = np.asarray(network(planes))[0]
encoded = np.asarray(EncodeLight()(light))
half = np.abs(untrained - encoded / 2).max()
print(f"untrained: {half:.1e} from half of the simple development")

# %% [markdown]
# In the diagram, full size is that of the planes; the photo is twice as high and wide.

# %%
display.network_diagram(network)

# %% [markdown]
# ## Training data without end
#
# A well-lit photo becomes a training example when a camera takes it again: another one each time,
# with a ratio between 2 and 600, and other noise. Neither camera nor noise is ever the same twice.
#
# Nor are the colours. Where counts are few, a network falls back on what photos usually look like,
# and photos of rooms are brown and blue. A network that we trained so turned green leaves and a
# magenta patch grey, even in bright frames, and its scores did not tell. So the three colours
# are swapped at random, and more or less saturated: no colour is the usual one.


# %%
def recolored(photo, rng):
    """Swap the colours of a photo at random, and change how saturated they are."""
    gray = core.luminance(photo)[..., None]
    return np.clip(gray + rng.uniform(0, 1.5) * (photo - gray), 0, 1)[..., rng.permutation(3)]


# %% [markdown]
# The logarithm of the ratio is drawn evenly, so that from 2 to 20 is as frequent as from 20 to 200.
# What the network shall return is in the colours of the drawn camera; it is the dimmed photo, not
# the bright one, since a scene that was dark by itself shall stay so.


# %%
def shoot_again(photo, rng):
    """Return amplified planes of a photo taken with too little light, and its camera colours."""
    photo, camera = recolored(photo, rng), data.random_raw_camera(rng)
    ratio = np.exp(rng.uniform(np.log(2), np.log(600)))
    dim = rng.uniform(0.3, 1)  # of the light, so that dark scenes come up as well
    photo = core.linear_to_srgb(dim * core.srgb_to_linear(photo))
    shot = camera.shoot(photo, ratio, rng)
    return data.amplified(shot, ratio), data.srgb_to_camera(photo, shot)


# %% [markdown]
# `PhotoStream` cuts random crops of photos; we take each with a camera. All chance comes from
# seed, epoch and index, so that a training can be interrupted and resumed with the same batches.


# %%
class RawStream(data.PhotoStream):
    """Batches (planes, photo) of crops that cameras take again."""

    def batch(self, epoch, index):
        """Return one batch, a function of seed, epoch and index alone."""
        rng = np.random.default_rng([self.seed, epoch, index, 3])
        taken = [shoot_again(photo, rng) for photo in super().batch(epoch, index)]
        return tuple(np.stack(side) for side in zip(*taken, strict=True))


# %% [markdown]
# See-in-the-Dark has real pairs: a short exposure, and a long one of the same scene. The ratio
# stands in the names of its files. `data.RawPairStream` reads them a few at a time, since all of
# them are more than memory holds.


# %%
def is_sid(source):
    """Tell whether a source is a folder of See-in-the-Dark."""
    return (Path(source) / "short").is_dir()


# %%
def streams_of(source, stages, steps, seed):
    """Return a stream for each stage."""
    if is_sid(source):
        pairs = data.raw_pairs(source, "train")
        return [data.RawPairStream(pairs, crop, batch, steps, seed) for _, crop, batch in stages]
    photos = data.load(source, "train", seed, crop=max(crop for _, crop, _ in stages)).normal
    return [RawStream(photos, crop, batch, seed, steps) for _, crop, batch in stages]


# %% [markdown]
# One batch, to see shapes and range: planes of half the sides of the crop, with four channels, and
# photos with three. Amplified counts may exceed 1 and fall below 0; nothing is cut.

# %%
streams = streams_of(source, stages, steps, seed)
inputs, targets = streams[0][0]
print(inputs.shape, targets.shape, f"counts from {inputs.min():.2f} to {inputs.max():.2f}")

# %% [markdown]
# Above is what the gate weighs, the amplified counts demosaiced and encoded, here cut to [0, 1];
# below what the network shall make of them. Both are in camera colours.

# %%
simple = np.asarray(EncodeLight()(demosaicing()(inputs)))
rows = {"amplified": np.clip(simple, 0, 1), "wanted": targets}
for row, photos in rows.items():
    display.show_images(list(photos[:4]), titles=[row] * len(photos[:4]), columns=4)

# %% [markdown]
# ## Training
#
# The paper's loss is the mean absolute difference. The Charbonnier loss is nearly that; a little
# structural similarity keeps texture. Validation is on scenes that training does not know,
# recoloured too, with the camera of above, whose exact numbers training never drew. First a small
# helper for photos of odd sides:


# %%
def even(photo):
    """Leave out an odd last row or column, of which a mosaic has no whole cell."""
    return photo[: len(photo) // 2 * 2, : photo.shape[1] // 2 * 2]


# %% [markdown]
# The four ratios take turns. Recolouring and noise are drawn from the seed and the number of the
# photo, so every measurement is on the very same frames, and differences come from the network
# alone.


# %%
def val_examples(source, seed):
    """Return (name, amplified planes, camera colours) of validation scenes."""
    if is_sid(source):
        pairs = data.raw_pairs(source, "val")[:8]
        read = [(pair, *data.read_pair(pair)) for pair in pairs]
        return [(p.name, data.amplified(f, p.ratio), core.to_float(t)) for p, f, t in read]
    examples = []
    for i, (name, _, photo) in enumerate(data.load(source, "val", seed)):
        photo = recolored(even(core.to_float(photo)), np.random.default_rng([seed, i]))
        ratio = RATIOS[i % len(RATIOS)]
        shot = data.RawCamera().shoot(photo, ratio, [seed, i])
        examples.append((name, data.amplified(shot, ratio), data.srgb_to_camera(photo, shot)))
    return examples


# %% [markdown]
# A frame whose sides the divisor does not divide is padded, and the result cut to twice the sides
# of the planes.


# %%
def restore(planes, model, divisor):
    """Return camera colours in [0, 1] for amplified planes of any size."""
    padded = core.pad_to_divisor(planes, divisor)
    result = np.asarray(model.predict_on_batch(padded[None]))[0]
    return result[: 2 * planes.shape[0], : 2 * planes.shape[1]]


# %%
def restoration_loss(y_true, y_pred, ssim_weight):
    """Return the Charbonnier loss plus the weighted structural similarity."""
    return charbonnier_loss(y_true, y_pred) + ssim_weight * ssim_loss(y_true, y_pred)


# %% [markdown]
# A stage has crops of one size, and each goes on where the last one stopped. What is kept in the
# end are the weights with the best PSNR on the validation frames, not the last ones.


# %%
def train(network, run, streams, validate, path):
    """Train in stages, one stream each; return the history."""
    history, reached = {}, 0
    for (epochs, *_), stream in zip(run.stages, streams, strict=True):
        reached += epochs
        history = training.fit(network, stream, reached, path, [validate], best="val_psnr")
    return history


# %% [markdown]
# The training in one object: its folder, and its schedule. The rate rises over the first `warmup`
# steps and falls from there; `ema` averages the weights over the last steps, which evens out
# what single batches do to them.

# %%
folder = core.run_folder("10_raw", output_dir)
run = training.Run(folder, stages, steps, learning_rate, warmup, ema, validate_every, seed)

# %% [markdown]
# With `begin` an enhancer that somebody has trained takes the place of chance.

# %%
if begin:
    network.set_weights(load_enhancer(begin).model.get_weights())

# %% [markdown]
# `clipped` puts a cut to [0, 1] behind the network, for measuring and for use. It is trained
# without, because beyond a cut there is no slope that would lead back.

# %%
seen = partial(restore, model=training.clipped(network), divisor=divisor // 2)
validate = training.ValidationPsnr(seen, val_examples(source, seed), validate_every)
loss = partial(restoration_loss, ssim_weight=ssim_weight)
network.compile(run.optimizer(), loss, **core.compile_options())

# %%
checkpoint = run.folder / "raw_unet_checkpoint.npz"
started = time.time()
history = train(network, run, streams, validate, checkpoint)
print(f"{run.total_steps} steps in {time.time() - started:.0f} s; ", end="")
print(f"best PSNR {max(history['val_psnr']):.2f} dB, in camera colours, the ratio being told")

# %% [markdown]
# The loss is that of training crops, the PSNR that of whole validation frames. They need not rise
# and fall together: each crop has a camera and a ratio of its own.

# %%
display.loss_curves(history)

# %% [markdown]
# `RawEnhancer` does the rest: it reads the file, amplifies, cuts large frames into tiles, applies
# the matrix and turns the photo upright. It learns how from the card: `multiple` is what the sides
# of a tile must be divisible by, `halo` how many pixels a tile sees beyond its own part, against
# seams.


# %%
def about(widths):
    """Return the part of the card that does not depend on the training."""
    divisor = 2 ** len(widths)
    card = {"name": "raw_unet", "method": "U-Net on raw", "inputs": ["raw"]}
    return {**card, "multiple": divisor, "halo": 8 * divisor}


# %%
training.load_checkpoint(training.best_path(checkpoint), network)
final = raw_unet(widths)
final.set_weights(network.get_weights())

# %% [markdown]
# The card also says what the network was trained on, and how, with the licence of the photos: from
# it a table in `08_compare` tells who has seen what.

# %%
facts = {"data": source, "widths": widths, "ratios": "2 to 600, log-uniform"}
facts |= {"loss": f"Charbonnier + {ssim_weight} (1 - SSIM)", "begin": begin}
licence = "See-in-the-Dark" if is_sid(source) else data.load(source, "train", seed).licence
card = run.card(about(widths), licence, history, **facts)
kept = load_enhancer(save_enhancer(training.clipped(final), run.folder / "raw_unet", card))

# %% [markdown]
# A short training may leave a tint and a grid, the latter because the kernels that enlarge do not
# agree yet from place to place. Compare with the long training further below.

# %%
pictures = {}
for ratio, shot in list(dark.items())[:3]:
    both = {"LibRaw": through_raw(shot, ratio)}
    both["network"] = core.as_float(kept.enhance(shot, ratio=ratio))
    pictures |= {f"{name}, 1/{ratio}, {psnr(x, normal):.1f} dB": x for name, x in both.items()}
display.show_images(pictures, columns=2)

# %% [markdown]
# ## Evaluation
#
# On validation scenes, at four ratios. Who is not told the ratio guesses the brightness: `blind`
# does, and so do the methods after a `+`, which enhance what LibRaw makes of the frame as it was
# exposed. So there are three tables: PSNR, PSNR once the mean is right, and structure.


# %%
def with_network(frame, ratio, kept):
    """Develop with the network, the ratio being told; None leaves it to the network."""
    return core.as_float(kept.enhance(frame, ratio=ratio))


# %%
def with_libraw(frame, ratio):
    """Develop with LibRaw, the ratio being told."""
    return core.as_float(data.develop(frame, ratio))


def with_enhancer(frame, ratio, enhance):
    """Develop with LibRaw as it was exposed, and enhance the photo."""
    return enhance(core.as_float(data.develop(frame)))


# %% [markdown]
# `partial` fills in all that differs between methods, so that each is a function of frame and
# ratio. Those that guess are given a ratio, too, and leave it unread.

# %%
methods = {
    "raw_unet": partial(with_network, kept=kept),
    "raw_unet, blind": lambda frame, ratio: with_network(frame, None, kept),
    "LibRaw, ratio told": with_libraw,
    "LibRaw + auto_gamma": partial(with_enhancer, enhance=enhancers.BASELINES["auto_gamma"]),
}
for name in ("zero_dce_pp", "mirnet"):
    methods[f"LibRaw + {name}"] = partial(with_enhancer, enhance=load_onnx(name).enhance)


# %% [markdown]
# Every method gets the very same frames: the noise depends on seed and scene only.


# %%
METRICS = ("psnr", "psnr_gtmean", "ssim", "delta_e")


def records_at(ratio, methods, pairs, source, seed):
    """Return a record of each method for frames of one exposure ratio."""
    shots = []
    for i, (name, _, photo) in enumerate(pairs):
        photo = even(core.to_float(photo))
        shots.append((name, data.RawCamera().shoot(photo, ratio, [seed, i]), photo))
    words = f"{source}, val, taken again as raw with 1/{ratio} of the light"
    score = partial(evaluation.evaluate, metrics=METRICS, data=words, scenes=pairs.scenes)
    return [
        score(f"{name}, 1/{ratio}", partial(method, ratio=ratio), shots)
        for name, method in methods.items()
    ]


# %%
def by_ratio(records, methods, metric):
    """Print one metric: a row for each method, a column for each exposure."""
    lines = ["| method | " + " | ".join(f"1/{ratio}" for ratio in RATIOS) + " |"]
    lines.append("|---|" + "---:|" * len(RATIOS))
    for name in methods:
        found = [records[f"{name}, 1/{ratio}"]["summary"][metric]["mean"] for ratio in RATIOS]
        digits = 3 if metric == "ssim" else 2
        lines.append(f"| {name} | " + " | ".join(f"{value:.{digits}f}" for value in found) + " |")
    return Markdown("\n".join(lines))


# %%
judged = "synthetic" if is_sid(source) else source
pairs = data.load(judged, "val", seed)
measured = [r for ratio in RATIOS for r in records_at(ratio, methods, pairs, judged, seed)]
evaluation.save_records("10_raw", measured, run.folder)
records = {record["method"]: record for record in measured}

# %%
by_ratio(records, methods, "psnr")

# %%
by_ratio(records, methods, "psnr_gtmean")

# %%
by_ratio(records, methods, "ssim")

# %% [markdown]
# ## What a long training gives
#
# The project ships `raw_unet`, trained on LOL's well-lit photos with the widths of the profile
# `cpu` (its card says in which parts) and judged on LOL's validation scenes. First PSNR, then
# PSNR once the mean is right, then structure.

# %%
shipped = evaluation.load_records("raw")
by_ratio(shipped, methods, "psnr")

# %%
by_ratio(shipped, methods, "psnr_gtmean")

# %%
by_ratio(shipped, methods, "ssim")

# %% [markdown]
# And the colour difference, of which less is better:

# %%
by_ratio(shipped, methods, "delta_e")

# %% [markdown]
# Tables of four columns are hard to sum up by eye. For each metric: at how many ratios is the
# network ahead of everything that is not itself?


# %%
def wins(records, methods, metric, of="raw_unet"):
    """Return the ratios at which a method is ahead of all that do not have its name."""
    rivals = [name for name in methods if not name.startswith("raw_unet")]
    sign = -1 if metric == "delta_e" else 1  # of which less is better
    mean = {name: sign * r["summary"][metric]["mean"] for name, r in records.items()}
    return [
        ratio
        for ratio in RATIOS
        if all(mean[f"{of}, 1/{ratio}"] > mean[f"{name}, 1/{ratio}"] for name in rivals)
    ]


# %%
for name in ("raw_unet", "raw_unet, blind"):
    for metric in METRICS:
        ahead = wins(shipped, methods, metric, name)
        print(f"{name} is ahead of all others in {metric} at {len(ahead)} of {len(RATIOS)} ratios")

# %% [markdown]
# On the example from above, which it has not seen either:

# %%
best = load_enhancer("raw_unet")
pictures = {}
for ratio, shot in dark.items():
    pictures[f"LibRaw, 1/{ratio}"] = with_libraw(shot, ratio)
    pictures[f"raw_unet, 1/{ratio}"] = with_network(shot, ratio, best)
display.show_images(pictures, columns=2)

# %% [markdown]
# ## Does it keep colour?
#
# A score over photos of rooms does not ask for colours that rooms lack. A chart does: twelve hues,
# three saturations, and the mean colour of each patch, so that grain by itself does not count. What
# the cut at black does to the mean does count. ΔE is the colour difference of CIEDE2000; about 2 is
# seen side by side.


# %%
def hue_chart(side=48):
    """Return a chart (3 side, 12 side, 3): hues from left to right, saturation downwards."""
    hue, saturation = np.meshgrid(np.arange(12) / 12, [0.3, 0.55, 0.8])
    patches = hsv2rgb(np.dstack([hue, saturation, np.full_like(hue, 0.6)]))
    return np.kron(patches, np.ones((side, side, 1))).astype(np.float32)


# %% [markdown]
# The chart is cut into its 3×12 patches by a reshape: rows of patches, pixels, columns of patches,
# pixels. A quarter of a patch is left out at each side, where demosaicing mixes it with the next.


# %%
def color_error(image, chart, side=48):
    """Return the mean ΔE of the patches, whose edges are left out."""
    inner = np.s_[:, side // 4 : -side // 4, :, side // 4 : -side // 4]
    means = [x.reshape(3, side, 12, side, 3)[inner].mean((1, 3)) for x in (image, chart)]
    return float(deltaE_ciede2000(*map(rgb2lab, means)).mean())


# %%
chart = hue_chart()
developed = {"chart": chart}
for ratio in RATIOS[:3]:
    shot = camera.shoot(chart, ratio, seed)
    developed[f"1/{ratio}"] = with_network(shot, ratio, best)
    errors = [color_error(x, chart) for x in (with_libraw(shot, ratio), developed[f"1/{ratio}"])]
    print(f"1/{ratio}: LibRaw ΔE {errors[0]:.1f}, raw_unet {errors[1]:.1f}")
display.show_images(developed, columns=2)

# %% [markdown]
# ## Any raw file
#
# Without a ratio, `RawEnhancer` chooses one: as high as a mean brightness of 0.45 needs (less where
# a fifth of the photo would get very bright), but not so high that more than 1 % of the frame gets
# white; a curve that keeps white white does the rest. In a terminal:
# `lle enhance photo.dng --method raw_unet`.

# %%
path = raw_file or data.write_dng(run.folder / "night.dng", dark[RATIOS[1]])
mine = data.read_raw(path)
pictures = {"as it was exposed": data.develop(mine), "raw_unet": best.enhance(mine)}
display.show_images({name: core.as_float(photo) for name, photo in pictures.items()})

# %% [markdown]
# Sensors of Fuji's X-Trans kind repeat after 6×6 pixels, of which 20 are green. Chen et al. pack
# them into nine planes of a third of the height and width. `read_raw` refuses them; they are
# developed by LibRaw and enhanced as photos.
#
# ## Where it fails
#
# **Other noise.** Real sensors have hot pixels, banding that is no white noise, and purple glow at
# a corner; the model has none. **The last photons.** At 1/300 middle gray is a few electrons: large
# forms are left, without texture and in blotches of colour. Scores like that better than grain;
# look at both. **Lights.** What the sensor has clipped stays clipped, and white balance turns it
# pink if one colour clips before the others.

# %% [markdown]
# The first two, made: one count in a thousand is raised by a twentieth of white, as a pixel that
# leaks current would be; and a frame with a thousandth of the light, beyond all of training.

# %%
hot = dark[RATIOS[1]].planes.copy()
rng = np.random.default_rng(seed)
hot[rng.random(hot.shape) < 1e-3] += 0.05
broken = data.RawFrame(hot, camera.gains, np.array(camera.matrix))
night = camera.shoot(normal, 1000, seed)
pictures = {"hot pixels": with_network(broken, RATIOS[1], best)}
pictures["1/1000"] = with_network(night, 1000, best)
display.show_images(pictures)

# %% [markdown]
# ## Exercises
#
# **1.** Show that a transposed convolution of 2×2 with stride 2 is a product with a matrix and then
# depth to space.
#
# <details><summary>Solution</summary>Twelve numbers per cell are a product of its features with a
# matrix of twelve columns. Reshaped to 2×2×3 and moved next to each other, they are the
# pixels.</details>

# %% tags=["solution"]
layer = layers.Conv2DTranspose(3, 2, strides=2, use_bias=False)
features = np.random.default_rng(0).random((1, 4, 5, 6), np.float32)
wide = np.asarray(layer(features))
matrix = np.asarray(layer.kernel).transpose(3, 0, 1, 2).reshape(6, 12)
cells = (features @ matrix).reshape(4, 5, 2, 2, 3)
difference = np.abs(cells.swapaxes(1, 2).reshape(8, 10, 3) - wide[0]).max()
print(f"largest difference of the two: {difference:.1e}")

# %% [markdown]
# **2.** How much of the noise of a dark patch is cut off at black, and what does it do to the mean?
#
# <details><summary>Solution</summary>Of noise around 0, half. The mean of what is left is
# $\sigma / \sqrt{2 \pi}$.</details>

# %% tags=["solution"]
noise = np.random.default_rng(0).normal(0, 1, 100_000)
print(f"mean {noise.mean():.3f}, cut at 0 {np.maximum(noise, 0).mean():.3f}, ", end="")
print(f"expected {1 / np.sqrt(2 * np.pi):.3f}")

# %% [markdown]
# **3.** A raw frame looks green without white balance. Which gains make a grey card grey?
#
# <details><summary>Solution</summary>The mean of green over that of each colour.</details>

# %% tags=["solution"]
card_frame = data.RawCamera().shoot(np.full((64, 64, 3), 0.5, np.float32), 1, seed)
means = card_frame.planes.mean((0, 1))[[0, 1, 3]]
print("measured:", [round(float(means[1] / mean), 2) for mean in means])
print("set in the camera:", list(camera.gains))

# %% [markdown]
# ## What was learnt
#
# - A raw frame is a mosaic of counts in linear light, with noise on both sides of black.
# - Rounding to 8 bits hides under the noise of single pixels; a cut at black does not average out.
# - Demosaicing and depth to space are transposed convolutions.
# - A network that leaves colour to the file's matrix serves more than one camera.
#
# Next, `11_exposures` takes several shots of one scene.

# %%
print(core.versions())
