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
# # The autopsy of the well-known copies
#
# You will look for the slips in public copies of MIRNet, Zero-DCE and pix2pix, mend them, write the
# check that would have caught each, and measure what it does to a photo, a score or a network.

# %% [markdown] tags=["badges"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/low-light-notebooks/blob/main/notebooks/14_copies.ipynb)

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
# - to read code for the lines that run without a complaint and are wrong;
# - to write a *check*: a case whose answer you know before you run anything;
# - what each slip does to a score, a photo or a network, and that one of them does nothing;
# - why a test with zeros, or of shapes alone, cannot fail;
# - how to find out what a part of a network is worth: train it alike with and without.
#
# You should have read `02_metrics`, `03_zero_dce`, `04_mirnet` and `05_pix2pix`, whose code is used
# again. With the synthetic sample the notebook takes about a minute on two processor cores; the
# settings of the record at the end are in `profiles/cpu.yml`.
#
# **References.** Guo et al., *Zero-Reference Deep Curve Estimation*, CVPR 2020, arXiv 2001.06826;
# Zamir et al., *Learning Enriched Features for Real Image Restoration and Enhancement*, ECCV 2020,
# arXiv 2003.06792; Isola et al., *Image-to-Image Translation with Conditional Adversarial
# Networks*, CVPR 2017, arXiv 1611.07004.

# %%
from functools import partial

import keras
import numpy as np
from IPython.display import Markdown
from keras import layers, ops

from lle_utils import core, data, display, evaluation, training
from lle_utils.enhancers import Enhancer, load_enhancer
from lle_utils.metrics import psnr, psnr_float
from lle_utils.nn import BlurPool, UpsampleBilinear
from lle_utils.notebook_tools import definitions

# %% [markdown]
# The next cell holds everything there is to set. Only the comparison at the end trains anything;
# all settings but `seed` are for it.

# %% tags=["parameters"]
profile = ""  # "colab", or another of notebooks/profiles; what you change below wins
source = "synthetic"  # or pairs: a folder, a pack, "lol", "lol+mypairs", see `data.load`
features = 8  # channels of the networks compared at the end, at full resolution
groups = 1  # their residual groups
blocks = 1  # their multi-scale blocks per group
ablations = ["keras_io"]  # what is trained alike near the end, see `builders` there
ablation_stages = [[1, 48, 2]]  # epochs, crop and batch size of that training
steps = 20  # training steps per epoch
warmup = 10  # steps in which the learning rate rises
learning_rate = 2e-3
ema = 0.9  # momentum of the averaged weights; 0 for none
ssim_weight = 0.0  # weight of the structural similarity beside the Charbonnier loss
ssim_scales = 3  # its scales
validate_every = 2  # epochs between two measurements on validation photos
seed = 0
deterministic = False  # bit-identical repeats, at some cost in speed
output_dir = ""  # where results go; empty: runs/14_copies in the project

# %% tags=["profile"]
from lle_utils.notebook_tools import start

start("14_copies", globals())

# %% [markdown]
# ## The patients
#
# Code for these methods travels by copy: the Zero-DCE and MIRNet examples of the Keras site
# (`keras.io`), the collections `restorers` and `enhance-me`, TensorFlow's pix2pix tutorial, and
# smaller projects for low light, among them a Zero-DCE notebook, a pix2pix on LOL and a GAN of
# residual blocks. Some have been mended since we read them. What follows is rebuilt in the fewest
# lines that show the slip, and all of it runs.
#
# The effects are measured on a photo of the synthetic camera, with what the shipped MIRNet makes of
# it (`enhanced`) and the truth (`normal`).

# %%
core.set_seed(seed, deterministic)  # determinism has to be asked for before anything is computed
mirnet, zero_dce = definitions("04_mirnet"), definitions("03_zero_dce")
made = data.synthetic_pairs(4, (160, 240), seed + 1, data.VAL_SCENES)
low, normal = (core.to_float(side[0]) for side in (made.low, made.normal))
shipped = load_enhancer("mirnet")
enhanced = shipped.enhance(low)
display.show_images({"low": low, "enhanced": enhanced, "normal": normal})

# %% [markdown]
# ## How an autopsy goes
#
# Four steps for each slip: the lines *as copied*; the *mended* lines; a *check*, a question whose
# answer is known beforehand, so that right code passes and wrong code does not; and the *effect*,
# measured on our photo. `examine` puts the question to both forms, prints the effect and what came
# of the check, and keeps the finding for the table at the end. Where it says **find the slip**,
# cover what is below and look.

# %%
FINDINGS = []  # rows of that table


def examine(name, where, check, copied, mended, effect, *given):
    """Put a check to both forms of some code; print what came of it and keep it."""
    verdicts = ["passes" if check(form, *given) else "caught" for form in (copied, mended)]
    print(f"{effect}\ncheck: {check.__doc__} As copied: {verdicts[0]}; mended: {verdicts[1]}.")
    FINDINGS.append([name, where, effect, check.__doc__, *verdicts])


# %% [markdown]
# ## Metrics
#
# No curve shows that a metric is wrong: nothing trains on it, and a score that is too high looks
# like success.
#
# ### The peak
#
# **Find the slip.** The images lie in [0, 1], and a log of this code ends at 67.15 dB.


# %%
def copied_psnr(result, reference):
    """Return the PSNR, as copied."""
    return 10 * np.log10(255**2 / np.mean((result - reference) ** 2))


# %% [markdown]
# <details><summary>Found?</summary>The peak of images in [0, 1] is 1. With 255 every image, good or
# bad, is given 20 log₁₀ 255 ≈ 48.13 dB too much. A reader reported it; the issue was open when we
# looked.</details>


# %%
def mended_psnr(result, reference):
    """Return the PSNR of images in [0, 1]."""
    return 10 * np.log10(1 / np.mean((result - reference) ** 2))


# %% [markdown]
# Which question catches it? One about two images whose distance is known. What is 0.1 too bright
# everywhere has a mean squared error of 0.01, and that is 20 dB, whoever computes it.


# %%
def check_psnr(measure):
    """What is 0.1 too bright everywhere scores 20 dB."""
    ramp = np.linspace(0, 0.9, 60).reshape(4, 5, 3)
    return np.isclose(measure(ramp + 0.1, ramp), 20)


# %%
effect = f"{copied_psnr(enhanced, normal):.2f} dB in place of {mended_psnr(enhanced, normal):.2f}"
where = "keras.io MIRNet, enhance-me"
examine("peak of 255", where, check_psnr, copied_psnr, mended_psnr, effect)

# %% [markdown]
# ### Bytes
#
# **Find the slip.** The same line once more, `copied_psnr`, and a project that reports about 28 dB
# for Zero-DCE. Its photos have 8 bits, so 255 is right this time.
#
# <details><summary>Found?</summary>They still have 8 bits when they are subtracted. There 10 − 20
# is 246, because nothing lies below 0, and squares wrap around as well: whatever the error was, its
# square ends between 0 and 255. If the errors are large enough to wrap often, such squares average
# about 100, and that is 28 dB. Other projects report 28.000 dB from the same cell, and a user of
# another library 27.88 dB for two random pictures.</details>


# %%
def mended_bytes(result, reference):
    """Return the PSNR of two photos of 8 bits."""
    return 10 * np.log10(255**2 / np.mean((result.astype(float) - reference) ** 2))


# %% [markdown]
# The worse of two errors must score lower. The check needs both: ten and forty levels wrap around
# to different squares, and of one error alone nobody knows beforehand what the wrapped score is.


# %%
def check_bytes(measure):
    """Forty levels too dark is worse than ten."""
    grey = np.full((4, 5, 3), 120, np.uint8)
    return measure(grey - np.uint8(40), grey) < measure(grey - np.uint8(10), grey)


# %%
scores = []
for result in (low, enhanced):
    files = core.to_uint8(result), core.to_uint8(normal)
    scores.append(f"{copied_psnr(*files):.1f} dB in place of {mended_bytes(*files):.1f}")
effect = f"dark photo {scores[0]}, enhanced {scores[1]}"
examine("bytes wrap", "a Zero-DCE notebook", check_bytes, copied_psnr, mended_bytes, effect)

# %% [markdown]
# ### A scale of its own
#
# One collection scales each image to its own minimum and maximum before it compares. That makes
# two tensors of unknown range comparable, and takes away what low light is about: a photo that is
# too dark everywhere is stretched until it is not. The mended form is `mended_psnr`, which takes
# the images as they are.


# %%
def copied_scaling(result, reference):
    """Return the PSNR after scaling each image by itself, as copied."""
    return psnr_float(*((a - a.min()) / (a.max() - a.min()) for a in (result, reference)))


# %% [markdown]
# A ramp from 0 to 1 has a mean square of 1/3. A copy of it with a fifth of its light is off by 4/5
# of each value, so the mean squared error is (4/5)²/3, and the score 6.7 dB.


# %%
def check_scaling(measure):
    """A copy five times too dark scores below 12 dB."""
    ramp = np.linspace(0, 1, 240, dtype="float32").reshape(8, 10, 3)
    return measure(ramp / 5, ramp) < 12


# %% [markdown]
# On our photo only the rounding of float32 is left of the difference:

# %%
scores = [measure(normal / 5, normal) for measure in (copied_scaling, mended_psnr)]
effect = f"a fifth of the light: {scores[0]:.0f} dB in place of {scores[1]:.1f}"
name = "scaled before compared"
examine(name, "restorers", check_scaling, copied_scaling, mended_psnr, effect)

# %% [markdown]
# ### A yardstick that moves
#
# The learning rate of one copy falls when its validation score stops rising, and the score is taken
# on **random crops**. Chance in a yardstick looks like progress, and a schedule that waits for
# progress obeys it.


# %%
def copied_validation(pairs, rng, crop=64):
    """Return the mean PSNR on random crops, as copied."""
    values = []
    for result, reference in pairs:
        top, left = (rng.integers(side - crop + 1) for side in reference.shape[:2])
        window = np.s_[top : top + crop, left : left + crop]
        values.append(psnr(result[window], reference[window]))
    return np.mean(values)


# %% [markdown]
# Whole photos cost more time, and leave nothing to chance:


# %%
def mended_validation(pairs, rng):
    """Return the mean PSNR on whole photos; chance has no part in it."""
    return np.mean([psnr(*pair) for pair in pairs])


# %% [markdown]
# Nothing changes between two measurements of the same results, so the score must not change either.


# %%
def check_validation(measure):
    """The same results, measured twice, score the same."""
    rng = np.random.default_rng(0)
    photo = rng.random((90, 80, 3)) * np.linspace(0, 1, 80)[None, :, None]
    return measure([(photo**2, photo)], rng) == measure([(photo**2, photo)], rng)


# %% [markdown]
# Four results of the shipped network, measured five times:

# %%
photos = [(core.to_float(a), core.to_float(b)) for a, b in zip(*made[:2], strict=True)]
pairs, rng = [(shipped.enhance(a), b) for a, b in photos], np.random.default_rng(seed)
several = [copied_validation(pairs, rng) for _ in range(5)]
effect = f"five times: from {min(several):.2f} to {max(several):.2f} dB, nothing having changed"
where = "keras.io MIRNet"
examine("validated on crops", where, check_validation, copied_validation, mended_validation, effect)

# %% [markdown]
# ## Data
#
# Wrong data trains without complaint: a loss falls on it as well, and nobody knows how far it could
# have fallen.
#
# ### The flip
#
# **Find the slip.** A pair is to be flipped as one.


# %%
def copied_flip(low, normal):
    """Flip a pair, as copied."""
    low, normal = low[:, ::-1], low[:, ::-1]
    return low, normal


# %% [markdown]
# <details><summary>Found?</summary>Both sides of the flipped pair are the dark photo. All shapes
# and ranges are right, and every flipped example teaches the network to change nothing.</details>


# %%
def mended_flip(low, normal):
    """Flip a pair."""
    return low[:, ::-1], normal[:, ::-1]


# %% [markdown]
# Noise is the right picture for a check here: no flip maps it to itself, and the two photos of the
# pair differ. With a symmetrical picture, or one photo on both sides, the slip would pass.


# %%
def check_flip(flip):
    """A flipped reference, flipped back, is the reference."""
    low, normal = np.random.default_rng(0).random((2, 4, 5, 3))
    return np.array_equal(flip(low, normal)[1][:, ::-1], normal)


# %%
flipped, (_, right) = copied_flip(low, normal), mended_flip(low, normal)
effect = f"mean of the reference {flipped[1].mean():.2f} in place of {right.mean():.2f}"
examine("flip", "restorers", check_flip, copied_flip, mended_flip, effect)
titles = "low, flipped", "its reference, as copied", "its reference, mended"
display.show_images([*flipped, right], titles=titles)

# %% [markdown]
# ### The split
#
# LOL has several photos of most of its scenes. One project joins LOL's training and test photos
# with synthetic ones, shuffles, and sets 50 aside for the test. A network is then tested on scenes
# that it was trained on, and may have learnt by heart.


# %%
def copied_split(scene_of, rng):
    """Return photos for training and 50 for testing, as copied."""
    order = rng.permutation(list(scene_of))
    return order[50:], order[:50]


# %% [markdown]
# The mended form shuffles scenes and not photos, so a scene is on one side as a whole.


# %%
def mended_split(scene_of, rng):
    """Return photos for training and testing; a scene is on one side as a whole."""
    order = rng.permutation(sorted(set(scene_of.values())))
    test = [name for name, scene in scene_of.items() if scene in order[: len(order) // 10]]
    return [name for name in scene_of if name not in test], test


# %% [markdown]
# Scenes have names, so the check is a matter of sets and needs no photo. (Which photos show one
# scene is the harder question; `01_data` finds out.)


# %%
def check_split(split):
    """No scene is on both sides."""
    train, test = split({str(n): f"scene {n // 5}" for n in range(200)}, np.random.default_rng(0))
    return not {int(name) // 5 for name in train} & {int(name) // 5 for name in test}


# %% [markdown]
# Here with the scenes of LOL's own photos, without the synthetic ones:

# %%
scene_of = data.scene_map(data.load_scenes())
train, test = copied_split(scene_of, np.random.default_rng(seed))
known = {scene_of[name] for name in train}
effect = f"{sum(scene_of[name] in known for name in test)} of 50 test photos show a known scene"
examine("split by photo", "a pix2pix on LOL", check_split, copied_split, mended_split, effect)

# %% [markdown]
# ### The range
#
# **Find the slip.** A demonstration page prepared a photo for a network that was trained on [0, 1].


# %%
def copied_input(photo):
    """Prepare a photo of 8 bits for the network, as copied."""
    return photo.astype("float32")


# %% [markdown]
# <details><summary>Found?</summary>Nobody divides by 255.</details>


# %%
def mended_input(photo):
    """Prepare a photo of 8 bits for the network."""
    return photo.astype("float32") / 255


# %% [markdown]
# The ends of the range are known before any network runs.


# %%
def check_input(prepare):
    """White is 1."""
    return prepare(np.full((1, 1, 3), 255, np.uint8)).max() == 1


# %%
shown = [np.asarray(shipped.model(f(made.low[:1]))) for f in (copied_input, mended_input)]
white = [np.mean(np.clip(image, 0, 1) == 1) for image in shown]
effect = f"{white[0]:.0%} of the values come out white, in place of {white[1]:.0%}"
where = "a demonstration of keras.io MIRNet"
examine("0 to 255", where, check_input, copied_input, mended_input, effect)

# %% [markdown]
# ### Back to bytes
#
# **Find two slips** in how a result is saved.


# %%
def copied_cast(image):
    """Return an image as a file keeps it, as copied."""
    return (image * 255).astype(int).astype(np.uint8)


# %% [markdown]
# <details><summary>Found?</summary>The cast cuts off what lies behind the point, which darkens a
# photo by half a level on average; and nothing clips, so 256 becomes 0. (The copies cast from
# floating point to 8 bits at once, where no standard says what becomes of 256. We go by way of
# integers, so that it is 0 on every machine.)</details>
#
# Each slip gets a finding of its own. So between copied and mended we need a form in which one of
# them is left:


# %%
def clipped_cast(image):
    """Return an image as a file keeps it; still half a level too dark."""
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)


def mended_cast(image):
    """Return an image as a file keeps it."""
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


# %% [markdown]
# For clipping the question takes a value outside the range, which no photo from a file
# has; that is why a test with photos does not find it. For rounding it takes a fine ramp, over
# which the errors up and down are equally many.


# %%
def check_cast(cast):
    """What is brighter than white stays white."""
    return cast(np.full((1, 1, 3), 1.05)).min() == 255


def check_rounding(cast):
    """Over a fine ramp the errors of rounding cancel out."""
    ramp = np.linspace(0, 1, 25_501)
    return abs(np.mean(cast(ramp) / 255 - ramp)) < 1e-5


# %% [markdown]
# The missing clip shows where a network overshoots. We give the shipped MIRNet a photo that is well
# lit already, and look at its output before the clipping that the suite adds when it saves a
# network. For that, `transplant` puts its weights into the network of `04_mirnet`. It takes other
# parts for the blocks as well; they come later.


# %%
def transplant(code, enhancer, **parts):
    """Return a MIRNet with the weights of an enhancer and other parts in its blocks."""
    size = [enhancer.card["training"][name] for name in ("features", "groups", "blocks")]
    network = code.mirnet(*size, block=partial(code.multi_scale_block, **parts))
    network.set_weights(enhancer.model.get_weights())
    return network


# %%
over = np.asarray(transplant(mirnet, shipped)(normal[None]))[0]
share = np.mean(np.abs(copied_cast(over) - clipped_cast(over).astype(int)) > 100)
effect = f"{share:.2%} of the values jump to the other end of the range"
examine("not clipped", "keras.io MIRNet", check_cast, copied_cast, mended_cast, effect)
display.show_images({"as copied": copied_cast(over) / 255, "mended": mended_cast(over) / 255})

# %%
levels = np.mean(clipped_cast(enhanced).astype(float) - mended_cast(enhanced))
lost = [psnr(cast(enhanced) / 255, normal) for cast in (mended_cast, clipped_cast)]
effect = f"{levels:+.2f} levels on average, {lost[1] - lost[0]:+.2f} dB"
where = "keras.io Zero-DCE and MIRNet"
examine("truncated", where, check_rounding, clipped_cast, mended_cast, effect)

# %% [markdown]
# ## Losses
#
# A loss that is wrong by a factor or by an axis still falls, and the network learns what it asks
# for. `03_zero_dce` tells the first two of these from the outside; here are the lines themselves.
#
# ### A kernel of the wrong shape
#
# Zero-DCE's spatial consistency compares each region of the photo with its four neighbours, before
# and after. **Find the slip.** Each region less its left neighbour, as a convolution. Keras wants
# kernels of the shape (height, width, channels in, channels out).


# %%
def copied_contrast(grey):
    """Return each region (N, H, W, 1) less its left neighbour, as copied."""
    kernel = [[[[0, 0, 0]], [[-1, 1, 0]], [[0, 0, 0]]]]
    return ops.conv(grey, np.array(kernel, "float32"), padding="same")


# %% [markdown]
# <details><summary>Found?</summary>Count the brackets: the shape is (1, 3, 1, 3), one row of three
# pixels and three channels *out*. The only numbers stand at the pixel itself: out come minus the
# pixel, the pixel, and nothing. The neighbours on the left and on the right are lost like this; in
# the kernels for those above and below, written alike, the numbers come to stand side by side. At
# least ten public files hold this literal.</details>


# %%
def mended_contrast(grey):
    """Return each region (N, H, W, 1) less its left neighbour."""
    kernel = np.array([[0, 0, 0], [-1, 1, 0], [0, 0, 0]], "float32")
    return ops.conv(grey, kernel[:, :, None, None], padding="same")


# %% [markdown]
# A constant has no contrast, so adding one changes none. Noise stands for the photo, because in a
# flat picture there is nothing to get wrong.


# %%
def check_contrast(contrast):
    """Brightening everything alike changes no contrast inside the photo."""
    grey = np.random.default_rng(0).random((1, 6, 8, 1)).astype("float32")
    change = contrast(grey + np.float32(0.4)) - contrast(grey)
    return np.allclose(change[:, 1:-1, 1:-1], 0, atol=1e-6)


# %%
regions = ops.average_pool(low.mean(-1, keepdims=True)[None], 4, 4)
changes = [f(regions + 0.4) - f(regions) for f in (copied_contrast, mended_contrast)]
costs = [float(ops.mean(ops.square(change[:, 1:-1, 1:-1]))) for change in changes]
effect = f"the photo, brighter by 0.4 everywhere, costs {costs[0]:.3f} in place of {costs[1]:.3f}"
where = "keras.io Zero-DCE, restorers, enhance-me"
examine("kernel of one row", where, check_contrast, copied_contrast, mended_contrast, effect)

# %% [markdown]
# ### Channels last
#
# Zero-DCE's smoothness asks its curve maps for small steps between neighbouring pixels. **Find the
# slip.** Maps are (N, H, W, C), and the sum of squared steps is divided by their number.


# %%
def copied_smoothness(maps):
    """Return the smoothness loss of maps (N, H, W, C), as copied."""
    down, across = np.diff(maps, axis=1), np.diff(maps, axis=2)
    count_down = (maps.shape[2] - 1) * maps.shape[3]
    count_across = maps.shape[2] * (maps.shape[3] - 1)
    return 2 * ((down**2).sum() / count_down + (across**2).sum() / count_across) / len(maps)


# %% [markdown]
# <details><summary>Found?</summary>Axes 2 and 3 are height and width where channels come first, as
# in the code that was ported. Here they are width and channels: the sum grows with the height, what
# it is divided by does not.</details>


# %%
def mended_smoothness(maps):
    """Return the smoothness loss of maps (N, H, W, C)."""
    down, across = np.diff(maps, axis=1), np.diff(maps, axis=2)
    count_down = (maps.shape[1] - 1) * maps.shape[2]
    count_across = maps.shape[1] * (maps.shape[2] - 1)
    return 2 * ((down**2).sum() / count_down + (across**2).sum() / count_across) / len(maps)


# %% [markdown]
# The mean of the steps of a ramp does not depend on how long the ramp is. Two heights suffice for
# the check, if they differ.


# %%
def check_smoothness(loss):
    """A ramp of one slope costs the same at any height."""
    ramps = [np.tile(np.arange(n)[:, None, None] / 512, (1, 9, 24))[None] for n in (32, 256)]
    return np.isclose(*(loss(ramp) for ramp in ramps))


# %% [markdown]
# The dark photo, repeated to 24 channels, stands for Zero-DCE's 24 maps:

# %%
maps = np.tile(low, (1, 1, 8))[None]
times = copied_smoothness(maps) / mended_smoothness(maps)
effect = f"{times:.1f} times as strong, for a photo of {low.shape[0]}×{low.shape[1]}"
where = "keras.io Zero-DCE, restorers, enhance-me"
examine("wrong axes", where, check_smoothness, copied_smoothness, mended_smoothness, effect)

# %% [markdown]
# ### What the log says
#
# A training step that returns raw losses leaves it to Keras what to report for an epoch, and Keras
# reports the last one. A curve of such values jumps with whatever photos came last.


# %%
def copied_log(losses):
    """Return the value of an epoch from those of its batches, as copied."""
    return losses[-1]


# %% [markdown]
# The mean of all batches says what the epoch was like. Keras has it as a metric:


# %%
def mended_log(losses):
    """Return the value of an epoch from those of its batches."""
    mean = keras.metrics.Mean()
    for loss in losses:
        mean.update_state(loss)
    return float(mean.result())


# %% [markdown]
# A mean has no order; that is the question.


# %%
def check_log(log):
    """The order of the batches does not change the value of the epoch."""
    return np.isclose(log([0.1, 0.2, 0.6]), log([0.6, 0.2, 0.1]))


# %% [markdown]
# Our four photos are the batches, and how far the mean of each is from 0.6 is its loss:

# %%
losses = [abs(float(photo.mean()) / 255 - 0.6) for photo in made.normal]
last = [copied_log(losses[n:] + losses[:n]) for n in range(4)]
effect = f"an epoch of four photos reads from {min(last):.2f} to {max(last):.2f}, by which came "
effect += f"last; the mean is {mended_log(losses):.2f}"
where = "keras.io Zero-DCE, until 2023"
examine("last batch logged", where, check_log, copied_log, mended_log, effect)

# %% [markdown]
# ## Networks
#
# A network can make up for much, because its weights are trained around a wrong part. So we also
# ask what a slip does to weights that were trained without it: those of the shipped MIRNet, with
# one part exchanged. The score of one photo may fall by that, and it may rise, for instance if the
# result was too dark before. Whether something is wrong, the check says, and not the score.


# %%
def shipped_with(**parts):
    """Enhance the example with the shipped weights and other parts in the blocks."""
    network = training.clipped(transplant(mirnet, shipped, **parts))
    return Enhancer(network, shipped.card).enhance(low)


def on_shipped(result):
    """Tell the score of the example with an exchanged part, and without."""
    scores = [f"{psnr(image, normal):.2f}" for image in (result, enhanced)]
    return f"shipped network: {scores[0]} dB in place of {scores[1]}"


# %% [markdown]
# ### A softmax over what?
#
# MIRNet computes at three resolutions at once, in three *streams*, and fuses them again and again:
# for each *branch* that arrives and each channel there is a score, a softmax turns the scores into
# weights, and the branches are added up with these. **Find the slip.** The scores are stacked to
# (3, N, 1, 1, C).


# %%
def copied_fusion(branches, scores):
    """Fuse three branches (3, N, H, W, C), as copied."""
    return ops.sum(ops.softmax(scores, axis=-1) * branches, axis=0)


# %% [markdown]
# <details><summary>Found?</summary>Over the last axis the channels of one branch compete with each
# other. Each weighs 1/C on average, three branches together 3/C: the fusion does not choose between
# branches, and what passes through it **fades**, the more channels the more.</details>


# %%
def mended_fusion(branches, scores):
    """Fuse three branches (3, N, H, W, C)."""
    return ops.sum(ops.softmax(scores, axis=0) * branches, axis=0)


# %% [markdown]
# Weights that add up to one leave equal things equal, whatever the scores are.


# %%
def check_fusion(fuse):
    """Three equal branches come back as they were."""
    rng = np.random.default_rng(0)
    branch, scores = rng.random((1, 4, 5, 8)), rng.random((3, 1, 1, 1, 8))
    return np.allclose(fuse(np.stack([branch] * 3), scores), branch, atol=1e-5)


# %% [markdown]
# With equal scores, what is left of features that are 1 everywhere, at the channels of the paper's
# three streams? And what becomes of the photo, if this axis is exchanged in all fusions of the
# shipped network? (Features are not brightness: how the photo changes, the trained weights decide.)

# %%
left, other_axis = [], shipped_with(fusion=partial(mirnet.skff, softmax_axis=-1))
for channels in (64, 128, 256):
    ones = np.ones((3, 1, 4, 4, channels), "float32")
    left.append(float(ops.mean(copied_fusion(ones, 0 * ones[:, :, :1, :1]))))
effect = "of 1 there is left " + ", ".join(f"{value:.3f}" for value in left)
effect += f" at 64, 128 and 256 channels; {on_shipped(other_axis)}"
where = "keras.io MIRNet, enhance-me, restorers"
examine("softmax over channels", where, check_fusion, copied_fusion, mended_fusion, effect)
display.show_images({"over branches": enhanced, "over channels": other_axis, "low": low})

# %% [markdown]
# ### The lost stream
#
# **Find the slip.** The last fusion of a block gets what the three streams have become: level 1 at
# full resolution, level 2 at half, level 3 at a quarter.


# %%
def copied_merge(fuse, level_1, level_2, level_3):
    """Fuse the three streams, as copied."""
    return fuse([level_1, level_3, level_3])


# %% [markdown]
# <details><summary>Found?</summary>Level 3 comes twice, level 2 never: a slip of names, which stood
# in the example until December 2022. What level 2 became since the last exchange is thrown
# away.</details>


# %%
def mended_merge(fuse, level_1, level_2, level_3):
    """Fuse the three streams."""
    return fuse([level_1, level_2, level_3])


# %% [markdown]
# Move one input at a time and watch whether the output moves. It does not even take a network:
# the sum of three numbers will do for the fusion.


# %%
def check_merge(merge):
    """Whichever stream changes, the result changes."""
    results = [merge(sum, *streams) for streams in ((1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2))]
    return results[0] not in results[1:]


# %% [markdown]
# And in a network that was trained with all three? A merge without level 2 has no place for some of
# the shipped weights, so they cannot be transplanted. Instead we cut the shipped network in two
# before its last fusion adds up the weighted branches, and hand over the wrong one.

# %%
adds = [layer for layer in shipped.model.layers if isinstance(layer, layers.Add)]
branches = adds[-1]._inbound_nodes[0].input_tensors
tail = keras.Model([shipped.model.input, *branches], ops.clip(shipped.model.output, 0, 1))
streams = keras.Model(shipped.model.input, branches)(low[None])
given = [ops.convert_to_tensor(low[None]), *copied_merge(list, *streams)]
lost = ops.convert_to_numpy(tail(given))[0]
where = "keras.io MIRNet, until December 2022"
examine("lost stream", where, check_merge, copied_merge, mended_merge, on_shipped(lost))
display.show_images({"all streams": enhanced, "level 2 lost": lost})

# %% [markdown]
# ### Names that lie
#
# *Spatial attention* gives each pixel a weight. It looks at two maps, the average of the channels
# and their maximum, through a convolution. **Find the slip, and guess what it costs.**


# %%
def copied_extremes(x):
    """Return two maps of features (N, H, W, C), as copied."""
    average = ops.max(x, axis=-1, keepdims=True)
    maximum = ops.mean(x, axis=-1, keepdims=True)
    return average, maximum


# %% [markdown]
# <details><summary>Found?</summary>Average and maximum have each other's names. A convolution
# learns its own weights for both, so the network can do exactly what it could: only readers are
# misled, and whoever loads weights from elsewhere.</details>


# %%
def mended_extremes(x):
    """Return two maps of features (N, H, W, C)."""
    return ops.mean(x, axis=-1, keepdims=True), ops.max(x, axis=-1, keepdims=True)


# %% [markdown]
# No training of the network could have shown this. What can be asked is whether the names are true:
# an average lies nowhere above the maximum of the same numbers.


# %%
def check_extremes(extremes):
    """The average is nowhere above the maximum."""
    average, maximum = extremes(np.random.default_rng(0).random((1, 4, 5, 3)))
    return bool(ops.all(average <= maximum))


# %%
kernel = np.random.default_rng(seed).normal(size=(5, 5, 2, 1)).astype("float32")
looks = [
    ops.conv(ops.concatenate(extremes(enhanced[None]), -1), weights, padding="same")
    for extremes, weights in ((copied_extremes, kernel[:, :, ::-1]), (mended_extremes, kernel))
]
apart = float(ops.max(ops.abs(looks[0] - looks[1])))
effect = f"with the halves of the kernel exchanged the results are {apart:.0e} apart"
where = "keras.io MIRNet"
examine("names swapped", where, check_extremes, copied_extremes, mended_extremes, effect)

# %% [markdown]
# ### Attention of one pixel
#
# With a convolution of 1×1, spatial attention weighs each pixel by what it holds itself. In
# MIRNet's own code it is 5×5: whether a pixel is noise shows beside it.


# %%
def copied_look():
    """Return the convolution of spatial attention, as copied."""
    return layers.Conv2D(1, 1, padding="same", activation="sigmoid")


def mended_look():
    """Return the convolution of spatial attention."""
    return layers.Conv2D(1, 5, padding="same", activation="sigmoid", use_bias=False)


# %% [markdown]
# Sizes of kernels can be read in the code, too; what a block *sees* is better asked of the block.
# Let everything be dark but for one pixel, and count whose weight it changes.


# %%
def moved_by_a_dot(layer, side=9):
    """Return how many weights (side, side) a dot in the middle changes."""
    dot = np.zeros((1, side, side, 2), "float32")
    before = layer(dot)
    dot[0, side // 2, side // 2] = 1
    return int(ops.sum(ops.abs(layer(dot) - before) > 0))


def check_look(build):
    """A dot is noticed next door."""
    return moved_by_a_dot(build()) > 1


# %%
counts = [moved_by_a_dot(build()) for build in (copied_look, mended_look)]
effect = f"pixels whose weight a dot of light changes: {counts[0]} in place of {counts[1]}"
examine("1×1 attention", "keras.io MIRNet", check_look, copied_look, mended_look, effect)

# %% [markdown]
# ### Smaller and larger
#
# Between its streams MIRNet halves features after a blur and doubles them by interpolation. The
# copy takes the **maximum** of each 2×2 instead, and **repeats** pixels. Both are usual elsewhere,
# and neither is what MIRNet's own code does.


# %%
def copied_halving(x):
    """Halve features (N, H, W, C), as copied."""
    return layers.MaxPooling2D()(x)


def mended_halving(x):
    """Halve features (N, H, W, C)."""
    return BlurPool()(x)


# %% [markdown]
# Each gets a check that knows what should become of a simple picture. Stripes of one pixel have no
# place in a picture of half the size; what is left of them is their mean, grey.


# %%
def check_halving(halve):
    """Stripes too fine for the small picture turn grey."""
    stripes = np.tile(np.array([0, 1], "float32")[None, None, :, None], (1, 8, 8, 1))
    return np.allclose(halve(stripes)[:, 1:-1, 1:-1], 0.5, atol=1e-6)


# %% [markdown]
# Then the way up:


# %%
def copied_doubling(x):
    """Double features (N, H, W, C), as copied."""
    return layers.UpSampling2D()(x)


def mended_doubling(x):
    """Double features (N, H, W, C)."""
    return UpsampleBilinear(2)(x)


# %% [markdown]
# A ramp, enlarged, has no stairs.


# %%
def check_doubling(double):
    """A ramp, enlarged, still rises at every step."""
    ramp = np.tile(np.arange(8, dtype="float32")[None, None, :, None], (1, 8, 1, 1))
    return bool(np.all(np.diff(double(ramp), axis=2)[:, :, 1:-1] > 0))


# %% [markdown]
# Neither resizing has weights of its own, so both can be exchanged in the shipped network:

# %%
down = partial(mirnet.residual_down, pool=layers.MaxPooling2D)
up = partial(mirnet.residual_up, interpolation=layers.UpSampling2D)
coarse, blocky = (
    on_shipped(shipped_with(resizing=partial(mirnet.resize, **way)))
    for way in ({"down": down}, {"up": up})
)
where = "keras.io MIRNet"
examine("maximum for blur", where, check_halving, copied_halving, mended_halving, coarse)
examine("nearest for bilinear", where, check_doubling, copied_doubling, mended_doubling, blocky)

# %% [markdown]
# ### Twice through the tanh
#
# Zero-DCE's maps reach from −1 to 1, and with them its curves (`03_zero_dce`). One fast variant
# applies the tanh that bounds them inside the network, and once more outside.


# %%
def copied_maps(last):
    """Return curve maps from the last convolution, as copied."""
    return ops.tanh(ops.tanh(last))


def mended_maps(last):
    """Return curve maps from the last convolution."""
    return ops.tanh(last)


# %% [markdown]
# Where the last convolution puts out something large, the maps should come to the end of their
# range; the tanh of 1 is only 0.76.


# %%
def check_maps(maps_of):
    """The maps reach 1."""
    return float(maps_of(np.array([20.0], "float32"))[0]) > 0.999


# %%
reach = [float(ops.max(maps_of(np.array([20.0])))) for maps_of in (copied_maps, mended_maps)]
means = [zero_dce.light_curve(low, alpha).mean() for alpha in reach]
effect = f"the maps reach {reach[0]:.3f} in place of {reach[1]:.3f}; one curve lifts the photo "
effect += f"from {low.mean():.3f} to {means[0]:.3f} in place of {means[1]:.3f}"
examine("tanh twice", "restorers", check_maps, copied_maps, mended_maps, effect)

# %% [markdown]
# ## Training, and two networks against each other
#
# Layers that behave differently in training and in use, and two networks that must not move at
# once: here it matters *when* something is done, not only what.
#
# ### Test photos that train
#
# The pix2pix tutorial enhances its test photos with `training=True`, because the paper asks for the
# statistics of the test photo itself in batch normalisation. But that call does one thing more: it
# moves the averages that batch normalisation keeps for later, so the test photos become a part of
# the network. `05_pix2pix` normalises each photo by itself, which gives what the paper wanted and
# keeps nothing.


# %%
def copied_test(generator, photo):
    """Enhance a test photo (H, W, 3), as copied."""
    return np.asarray(generator(photo[None], training=True))[0]


def mended_test(generator, photo):
    """Enhance a test photo (H, W, 3)."""
    return np.asarray(generator(photo[None], training=False))[0]


# %% [markdown]
# A test may read a network and must not write to it. All its weights, the averages among them,
# are the same afterwards, to the bit.


# %%
def check_test(enhance):
    """Enhancing a photo leaves the network as it was."""
    generator = definitions("05_pix2pix").unet(4, 3, "batch", dropout=0.0)
    before = generator.get_weights()
    enhance(generator, np.random.default_rng(0).random((16, 24, 3)).astype("float32"))
    return all(np.array_equal(a, b) for a, b in zip(before, generator.get_weights(), strict=True))


# %% [markdown]
# On a small generator that was not trained; *contrast* is the standard deviation of its result:

# %%
generator = definitions("05_pix2pix").unet(8, 3, "batch", dropout=0.0)
before = mended_test(generator, low)
for _ in range(10):
    copied_test(generator, normal)
change = np.abs(mended_test(generator, low) - before).mean() / before.std()
effect = f"after ten test photos another one comes out different, by {change:.1%} of its contrast"
where = "TensorFlow's pix2pix tutorial"
examine("test photos train", where, check_test, copied_test, mended_test, effect)

# %% [markdown]
# ### Brightness, normalised away
#
# **Find the slip.** The last two layers of a generator that is to *brighten* photos.


# %%
def copied_output(x):
    """Return the photo, in [-1, 1], from the last convolution, as copied."""
    x = layers.BatchNormalization()(x, training=True)
    return ops.tanh(x)


# %% [markdown]
# <details><summary>Found?</summary>Normalised over the batch, each colour has a mean and a spread
# that no photo can change. `06_resnet_gan` takes this project apart and repairs it.</details>


# %%
def mended_output(x):
    """Return the photo, in [-1, 1], from the last convolution."""
    return ops.tanh(x)


# %% [markdown]
# The question is about brightness alone, so the picture may be noise. It needs no training
# either: what a normalisation takes away, no weight before it can give back.


# %%
def check_output(output):
    """Less light in, less light out."""
    photo = np.random.default_rng(0).random((1, 8, 8, 3)).astype("float32")
    bright, dark = (float(ops.mean(output(2 * light * photo - 1))) for light in (1.0, 0.25))
    return dark < bright - 0.1


# %%
ends = []
for output in (copied_output, mended_output):
    lights = [float(ops.mean(output(2 * photo[None] - 1))) for photo in (normal, normal / 4)]
    ends.append(f"{lights[0]:+.2f} and {lights[1]:+.2f}")
effect = f"means of a photo and of a quarter of its light: {ends[0]} in place of {ends[1]}"
where = "a residual GAN"
examine("normalised before tanh", where, check_output, copied_output, mended_output, effect)

# %% [markdown]
# ### Frozen for ever
#
# **Find the slip.** The generator trains *through* the discriminator, which must not move then.


# %%
def copied_freezing(discriminator):
    """Make a discriminator ready to train, and still while the generator trains, as copied."""
    discriminator.compile("adam", "mse")
    for layer in discriminator.layers:
        layer.trainable = isinstance(layer, layers.BatchNormalization)


# %% [markdown]
# <details><summary>Found?</summary>Keras 2 remembered at `compile` what was trainable, so the
# discriminator still learnt in its own turn. Keras 3 reads the flag whenever it trains: the
# convolutions never learn again. `05_pix2pix` freezes nothing and takes gradients for chosen
# weights. Then `compile` is all there is to do.</details>


# %%
def mended_freezing(discriminator):
    """Make a discriminator ready to train; whoever trains another names the other's weights."""
    discriminator.compile("adam", "mse")


# %% [markdown]
# Ask for movement, not for a loss: a loss may fall while only the normalisations learn. So we look
# at the kernels of the convolutions, before and after a step.


# %%
def step_of(prepare, photos):
    """Return how far the kernels of a discriminator move in a training step of its own."""
    discriminator = definitions("05_pix2pix").patch_gan(4, "batch")
    prepare(discriminator)
    kernels = [w for w in discriminator.weights if w.path.endswith("kernel")]
    before = [np.asarray(kernel).copy() for kernel in kernels]
    discriminator.train_on_batch(photos, np.ones(discriminator(photos).shape))
    moves = zip(before, map(np.asarray, kernels), strict=True)
    return sum(float(np.abs(after - old).sum()) for old, after in moves)


# %% [markdown]
# One step must move them. How far is no matter.


# %%
def check_freezing(prepare):
    """A step of the discriminator moves the discriminator."""
    return step_of(prepare, list(np.random.default_rng(0).random((2, 1, 32, 32, 3)))) > 0


# %% [markdown]
# The steps of all numbers in the kernels, added up without their signs:

# %%
moves = [step_of(form, [low[None], normal[None]]) for form in (copied_freezing, mended_freezing)]
effect = f"a step moves its kernels by {moves[0]:.1f} in place of {moves[1]:.1f}"
where = "a residual GAN"
examine("frozen discriminator", where, check_freezing, copied_freezing, mended_freezing, effect)

# %% [markdown]
# ## Tests that cannot fail
#
# At least one of these collections has tests, and they pass. A test deserves a check of its own:
# does it fail where it should? It is asked with two pieces of code, of which one is wrong. Whoever
# mends something should keep the broken form for this.


# %%
def check_of_test(test, right, wrong):
    """The test passes the mended code and fails the copied code."""
    return test(right) and not test(wrong)


# %% [markdown]
# The effect of a slip in a test is what the test says, so it is put in words:


# %%
def told(test, right, wrong):
    """Tell what a test says about both forms of some code."""
    return f"it passes the copied code: {test(wrong)}, the mended code: {test(right)}"


# %% [markdown]
# **What do these two see?** The first tests the smoothness loss from above, the second the flip
# that lost its reference. Both are shown as copied.


# %%
def copied_zeros(loss):
    """Test a loss of maps, as copied."""
    return loss(np.zeros((1, 8, 8, 24))) == 0


# %%
def copied_shapes(flip):
    """Test a paired flip, as copied."""
    sides = flip(np.zeros((4, 5, 3)), np.ones((4, 5, 3)))
    return all(side.shape == (4, 5, 3) for side in sides)


# %% [markdown]
# <details><summary>Found?</summary>Nothing: zeros divided by anything are zero, and the dark photo
# has the shape of the reference.</details>
#
# A test of a loss sees something when its input has steps. A ramp with a step of 1 from row to row
# costs 2 in each of 24 channels, whatever its size.


# %%
def mended_zeros(loss):
    """Test a loss of maps."""
    ramp = np.tile(np.arange(8.0)[:, None, None], (1, 9, 24))[None]
    return np.isclose(loss(ramp), 2 * 24)


# %% [markdown]
# A test of a flip sees something when the two sides differ: ones stay ones, on their side.


# %%
def mended_shapes(flip):
    """Test a paired flip."""
    low, normal = flip(np.zeros((4, 5, 3)), np.ones((4, 5, 3)))
    return low.max() == 0 and normal.min() == 1


# %%
code = mended_smoothness, copied_smoothness
effect = told(copied_zeros, *code)
examine("zeros alone", "restorers", check_of_test, copied_zeros, mended_zeros, effect, *code)

# %%
code = mended_flip, copied_flip
effect = told(copied_shapes, *code)
examine("shapes alone", "restorers", check_of_test, copied_shapes, mended_shapes, effect, *code)

# %% [markdown]
# ## All findings
#
# The table is made of what the cells above measured. A check that is worth keeping says *caught*
# and then *passes*. One that passes both forms looks at the wrong thing, and one that catches both
# asks for something that right code does not do. How large an effect is says nothing about the
# check: the swapped names change no result, and are caught as surely as a score that is 48 dB too
# high.

# %%
head = "| slip | where | effect, measured here | check | as copied | mended |"
rows = ["| " + " | ".join(row) + " |" for row in FINDINGS]
caught, passed = (
    sum(row[n] == word for row in FINDINGS) for n, word in ((4, "caught"), (5, "passes"))
)
print(f"{len(FINDINGS)} slips; {caught} copies are caught, {passed} mended forms pass")
Markdown("\n".join([head, "|---|---|---|---|---|---|", *rows]))

# %% [markdown]
# Nearly all checks are of three kinds: an answer known in **closed form** (a shift, a ramp), a
# **symmetry** (turn it, reorder it, do it twice), and a **change that must show** (move a stream,
# take light away). Where a flat picture could hide the slip, the input is not flat. None needs a
# data set.
#
# ## The copy as a whole
#
# One slip at a time tells what that slip does; the copies have several at once. Here is what
# keras.io made of MIRNet, in one network, built anew from its description. The softmax, the
# attention of one pixel, the maximum and the repeated pixels of above are in it; the lost stream,
# which was mended there, is not. And it departs from the paper's network in ways that are no slips:
#
# - the two lower streams start from the input of the block, halved once and twice, where the paper
#   halves what attention has made of the stream above;
# - each attention, fusion and resizing has weights of its own, where the paper's are used again;
# - convolutions have biases, and ReLU stands where the paper has PReLU, ReLU with a slope for
#   negative values that is learnt.
#
# First the convolution that all parts are made of, and the fusion. Its softmax is the *activation*
# of a convolution, and an activation works on the last axis, the channels; the slip is that short.


# %%
def biased(filters, size=3, activation=None):
    """Return the convolution of the copy, with a bias."""
    return layers.Conv2D(filters, size, padding="same", activation=activation)


def keras_io_fusion(channels):
    """Return the fusion of the copy: a softmax over channels in every branch."""
    pool, squeeze = layers.GlobalAveragePooling2D(keepdims=True), biased(channels // 8, 1, "relu")
    excite = [biased(channels, 1, "softmax") for _ in range(3)]

    def fuse(branches):
        summary = squeeze(pool(layers.add(branches)))
        return layers.add([b * e(summary) for b, e in zip(branches, excite, strict=True)])

    return fuse


# %% [markdown]
# The attention unit has two halves. One weighs channels by their means over the photo; the other
# weighs pixels, and looks at mean and maximum one pixel at a time. Both act on the same features,
# and a convolution of 1×1 mixes the results:


# %%
def keras_io_attention(channels):
    """Return the attention unit of the copy: 1x1 spatial attention."""
    first, second, mix = biased(channels, 3, "relu"), biased(channels), biased(channels, 1)
    pool, squeeze = layers.GlobalAveragePooling2D(keepdims=True), biased(channels // 8, 1, "relu")
    excite, look = biased(channels, 1, "sigmoid"), biased(1, 1, "sigmoid")

    def attend(x):
        r = second(first(x))
        both = [ops.mean(r, -1, keepdims=True), ops.max(r, -1, keepdims=True)]
        where = look(ops.concatenate(both, -1))
        return x + mix(ops.concatenate([r * excite(squeeze(pool(r))), r * where], -1))

    return attend


# %% [markdown]
# Resizing goes from level to level, each time half or twice the size, along two paths that are
# added up. It makes new weights for each way that it is asked for:


# %%
def keras_io_resize(x, features, start, stop):
    """Bring features from one level to another as the copy does, with new weights each time."""
    for level in range(start, stop):
        c = features * 2**level
        top = layers.MaxPooling2D()(biased(c, 3, "relu")(biased(c, 1, "relu")(x)))
        x = biased(2 * c, 1)(top) + biased(2 * c, 1)(layers.MaxPooling2D()(x))
    for level in range(start, stop, -1):
        c = features * 2**level
        transposed = layers.Conv2DTranspose(c, 3, strides=2, padding="same", activation="relu")
        top = biased(c // 2, 1)(transposed(biased(c, 1, "relu")(x)))
        x = top + biased(c // 2, 1)(layers.UpSampling2D()(x))
    return x


# %% [markdown]
# The block makes three streams, gives each its attention, fuses all three at each level, gives the
# results attention again, and fuses once more at full resolution. Compare with `multi_scale_block`
# of `04_mirnet`: which lines would share weights there?


# %%
def keras_io_block(x, features):
    """Apply the multi-scale block of the copy."""
    streams = [x, keras_io_resize(x, features, 0, 1)]
    streams.append(keras_io_resize(streams[1], features, 1, 2))
    streams = [keras_io_attention(features * 2**j)(s) for j, s in enumerate(streams)]
    second = []
    for j in range(3):
        moved = [keras_io_resize(s, features, i, j) for i, s in enumerate(streams)]
        fused = keras_io_attention(features * 2**j)(keras_io_fusion(features * 2**j)(moved))
        second.append(keras_io_resize(fused, features, j, 0))
    return x + biased(features)(keras_io_fusion(features)(second))


# %% [markdown]
# The network adds up what groups of such blocks contribute, and the sum is added to the dark photo.


# %%
def keras_io(features=64, groups=3, blocks=2):
    """Build the copy: ``low`` (N, H, W, 3), sides multiples of 4, to the same."""
    low = keras.Input((None, None, 3), name="low")
    x = biased(features)(low)
    for _ in range(groups):
        y = biased(features)(x)
        for _ in range(blocks):
            y = keras_io_block(y, features)
        x = x + biased(features)(y)
    return keras.Model(low, low + biased(3)(x), name="keras_io")


# %% [markdown]
# The copy, and the network of `04_mirnet` with as many features, groups and blocks. (At the size
# of the paper a test builds both: 44,157,007 parameters for the copy, 31,787,419 for the paper's
# network.)

# %%
numbers = (features, groups, blocks)
for model in (keras_io(*numbers), mirnet.mirnet(*numbers)):
    training.describe(model, multiple=4)

# %% [markdown]
# ## What each change costs
#
# Above, a network that was trained *without* a slip met it afterwards. One trained *with* it can
# make up for much. What a part is worth then shows in an *ablation*: train without it, or with
# another in its place, all else alike. We take the network of `04_mirnet` and change one thing at a
# time: four changes that are in this copy or once were. The parts of a block are its arguments, so
# a change is the block with one argument given: another axis for the softmax, another size for
# spatial attention, other ways to halve and double, or the numbers of the streams that the last
# fusion gets.


# %%
def changed_blocks(code):
    """Return multi-scale blocks of ``04_mirnet`` that each have one change of the copy, by name."""
    one_pixel = partial(code.spatial_attention, size=1)
    coarse = {
        "down": partial(code.residual_down, pool=layers.MaxPooling2D),
        "up": partial(code.residual_up, interpolation=layers.UpSampling2D),
    }
    changes = {
        "channel_softmax": {"fusion": partial(code.skff, softmax_axis=-1)},
        "pixel_attention": {"attention": partial(code.dual_attention, spatial=one_pixel)},
        "max_and_nearest": {"resizing": partial(code.resize, **coarse)},
        "lost_stream": {"merge": (0, 2, 2)},
    }
    return {name: partial(code.multi_scale_block, **parts) for name, parts in changes.items()}


# %% [markdown]
# A yardstick belongs beside them: is all this better than a plain U-Net of residual blocks with
# channel attention? This U-Net goes down to a quarter of the resolution once and comes up once,
# with a shortcut (`skips`) at each level; MIRNet goes down and up in each block. The U-Net's width
# is chosen so that it takes about as long for a photo as our network with the settings of the
# record below.


# %%
def residual_unet(code, width=36):
    """Build the yardstick: ``low`` (N, H, W, 3), sides multiples of 4, to the same."""

    def block(x, filters):
        y = code.convolution(filters)(code.convolution(filters, activation="relu")(x))
        return x + y * code.channel_attention(filters)(y)

    low = keras.Input((None, None, 3), name="low")
    x, skips = block(code.convolution(width)(low), width), []
    for filters in (2 * width, 4 * width):
        skips.append(x)
        x = block(code.convolution(filters, strides=2)(x), filters)
    for skip in reversed(skips):
        filters = skip.shape[-1]
        x = block(skip + UpsampleBilinear(2)(code.convolution(filters, 1)(x)), filters)
    return keras.Model(low, low + code.convolution(3)(x), name="unet")


# %% [markdown]
# All get the same steps, crops and loss, and all but two the same seed; of each the best weights
# are measured. How much of a difference is chance? Two more runs of our network, with other seeds,
# give an idea. `base` is the size of `04_mirnet` with three blocks, which says what depth brings
# alone. By default only the copy is trained, to see that it runs; the profile `cpu` trains them
# all.

# %%
own = partial(mirnet.mirnet, *numbers)
builders = {"mirnet": own, "base": partial(mirnet.mirnet, *mirnet.SIZES["base"])}
builders |= {name: partial(own, block=block) for name, block in changed_blocks(mirnet).items()}
builders |= {"keras_io": partial(keras_io, *numbers), "unet": partial(residual_unet, mirnet)}
other_seeds = {"mirnet_seed_1": 1, "mirnet_seed_2": 2}
builders |= dict.fromkeys(other_seeds, own)

# %% [markdown]
# Training is that of `04_mirnet`, which keeps the weights of the best measurement on validation
# photos. (The scores below are of the same photos. That flatters all of them, so they are for
# comparing with each other only.)


# %%
def train_alike(code, build, run, loss, pairs, path):
    """Build and train a network as ``04_mirnet`` does; return its best state as an enhancer."""
    core.set_seed(run.seed)
    network = build()
    code.prepare(network, run, loss)
    code.train(network, run, *pairs, path)
    training.load_checkpoint(training.best_path(path), network)
    return code.viewer(network)


# %%
folder = core.run_folder("14_copies", output_dir)
largest = max(crop for _, crop, _ in ablation_stages)
train_pairs = data.load(source, "train", seed, crop=largest)
val_pairs = data.load(source, "val", seed)
schedule = (ablation_stages, steps, learning_rate, warmup, ema, validate_every)
loss = partial(mirnet.restoration_loss, ssim_weight=ssim_weight, ssim_scales=ssim_scales)
compared = {}
for name in ablations:
    run = training.Run(folder, *schedule, seed + other_seeds.get(name, 0))
    alike = run, loss, (train_pairs, val_pairs), folder / "ablations" / f"{name}.npz"
    compared[name] = train_alike(mirnet, builders[name], *alike)

# %% [markdown]
# Zero-DCE joins in as it is shipped, trained elsewhere and without references. What each costs goes
# into the record too: the mean time for a photo, and the parameters.

# %%
compared["zero_dce"] = load_enhancer("zero_dce")
records = []
for name, enhancer in compared.items():
    enhancer.enhance(low)  # the first call of a network is slow
    record = evaluation.evaluate(
        name, enhancer.enhance, val_pairs, data=f"{source}, val", scenes=val_pairs.scenes
    )
    record["parameters"] = enhancer.model.count_params()
    if name in ablations:
        record["training"] = {"stages": ablation_stages, "steps": steps}
    records.append(record)
evaluation.save_records("14_ablations", records, folder)
Markdown(evaluation.table(records))

# %% [markdown]
# A few seconds of training would say nothing about quality. The same cells with the profile `cpu`,
# on LOL's pairs, gave this record:

# %%
ablations_lol = evaluation.load_records("mirnet_rivals")
Markdown(evaluation.table(ablations_lol))

# %% [markdown]
# What lies within the spread of the three seeds cannot be told from chance, and three seeds are
# few: a fourth might widen the spread. So only gaps well beyond it count. Computed from the record,
# against the mean of the three:

# %%
score_of = {name: record["summary"]["psnr"]["mean"] for name, record in ablations_lol.items()}
seeds = [score_of[name] for name in ("mirnet", "mirnet_seed_1", "mirnet_seed_2")]
print(f"three seeds: {max(seeds) - min(seeds):.2f} dB apart, mean {np.mean(seeds):.2f} dB")
for name in (*changed_blocks(mirnet), "keras_io", "unet", "base"):
    gap = score_of[name] - np.mean(seeds)
    beyond = "more than" if abs(gap) > max(seeds) - min(seeds) else "no more than"
    print(f"{name:16} {gap:+.2f} dB, {beyond} seeds differ")

# %% [markdown]
# The changes were made one at a time. `keras_io` has several of them, and also its own streams,
# weights and activations; these were not taken out one by one, so no row says what each of them
# costs. Nor does a row say more than that training was alike: short, on small crops, and with
# settings that were chosen for our network. And a slip that costs nothing here is still a slip:
# whoever reads the code learns another network than the paper's.
#
# ## Where it fails
#
# **A check sees what it looks at.** The PSNR of grey values is another convention of public code
# (`02_metrics`). Where it is reported as PSNR, our check of the peak has no objection, because its
# two images differ by the same amount in all colours; and most of a colour cast goes unseen:


# %%
def grey_psnr(result, reference):
    """Return the PSNR of the mean over the colours."""
    return mended_psnr(result.mean(axis=-1), reference.mean(axis=-1))


cast = np.clip(normal + np.array([0.08, 0, -0.08], "float32"), 0, 1)
print("the check of the peak passes:", bool(check_psnr(grey_psnr)))
print(f"a warm cast scores {grey_psnr(cast, normal):.1f} dB; over RGB {psnr(cast, normal):.1f}")
display.show_images({"normal": normal, "warm cast": cast})

# %% [markdown]
# **A rebuilt slip is not the project.** The lines above are ours, in the form that shows the slip;
# a project may have mended it since.
#
# **One photo.** An effect measured on it says that there is one, not how large it is elsewhere.
#
# ## Exercises
#
# **1.** Write a check that the PSNR of grey values fails and `mended_psnr` passes. (*Hint:* which
# change of a photo leaves its grey values alone?)
#
# <details><summary>Solution</summary>Move light from one colour to another: the mean over the
# colours stays, the photo does not.</details>


# %% tags=["solution"]
def check_colors(measure):
    """Light moved from blue to red is noticed."""
    flat = np.full((4, 5, 3), 0.5)
    return measure(flat + [0.1, 0, -0.1], flat) < 30


with np.errstate(divide="ignore"):  # grey values that are equal have no error at all
    print("grey:", check_colors(grey_psnr), " RGB:", check_colors(mended_psnr))

# %% [markdown]
# **2.** The softmax of `04_mirnet`'s `branch_weights` takes its axis as an argument. What do the
# weights of the branches add up to for each channel, with either axis?
#
# <details><summary>Solution</summary>Over the branches they add up to one for each channel. Over
# the channels they differ from channel to channel, and are three divided by the number of channels
# on average. The next cell shows both.</details>

# %% tags=["solution"]
wide = np.random.default_rng(seed).random((1, 8, 8, 64)).astype("float32")
for name, axis in {"branches": 0, "channels": -1}.items():
    total = ops.convert_to_numpy(ops.sum(mirnet.branch_weights(64, axis)([wide] * 3), axis=0))
    print(f"softmax over {name}: {total.min():.3f} to {total.max():.3f}, mean {total.mean():.4f}")

# %% [markdown]
# **3.** The best score in the log of keras.io's MIRNet is 67.95 dB, the last 67.15 dB, on crops of
# 128×128. What are they with the right peak?
#
# <details><summary>Solution</summary>A peak of 255 adds 20 log₁₀ 255 to any image; take that off,
# and they are ordinary scores. (That they are scores of crops, another slip, no formula can take
# back.)</details>

# %% tags=["solution"]
bonus = 20 * np.log10(255)
print(", ".join(f"{reported} dB: {reported - bonus:.2f} dB" for reported in (67.95, 67.15)))

# %% [markdown]
# ## What was learnt
#
# - Wrong code runs. A slip that crashes is found at once; some of these were copied from project to
#   project.
# - A check is a question with a known answer, asked of code: closed forms, symmetries, changes that
#   must show. It takes a ramp, not a data set.
# - Tests with zeros, or of shapes alone, passed the wrong code.
# - A score that looks too good is a symptom; an autopsy begins with the metric.
# - What a change of a network costs, only training alike can tell, and only beyond what seeds do.
#
# Next, `16_experiments` measures what seeds do, and photos, and searches.

# %%
print(core.versions())
