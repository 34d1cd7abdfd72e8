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
# # lumen: brightness is given, restoration is learnt
#
# You will take apart the two questions that every pair of photos asks at once, how bright and
# what is wrong, answer the first with a number that a person may choose, and train a network of
# your own for the second.

# %% [markdown] tags=["badges"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/low-light-notebooks/blob/main/notebooks/12_lumen.ipynb)

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
# - why a network that is trained on pairs must guess, and what its guess costs;
# - how exposure is a curve with one parameter, and which curve is nearest to a camera's;
# - how to make training examples for *every* brightness out of exposure sequences;
# - how a U-Net restores a photo: convolutions at half resolution and below, and a shortcut;
# - how a slider can set the brightness of the result to the percent.
#
# You should have read `02_metrics` and `04_mirnet`. With the synthetic sample the notebook
# takes about a minute on two processor cores.
#
# **References.** The network is our own. Its parts: Ronneberger et al., *U-Net*, MICCAI 2015,
# arXiv 1505.04597; He et al., *Deep Residual Learning*, CVPR 2016, arXiv 1512.03385; Schlick,
# *Quantization Techniques for Visualization of High Dynamic Range Pictures*, 1995 (the curve).
# Photos of many exposures: Cai et al., *Learning a Deep Single Image Contrast Enhancer from
# Multi-Exposure Images*, TIP 2018.

# %%
import time
from functools import partial

import keras
import numpy as np
from IPython.display import Markdown
from keras import layers, ops

from lle_utils import core, data, display, enhancers, evaluation, training
from lle_utils.core import expose, exposure_gain
from lle_utils.enhancers import Enhancer, load_enhancer, save_enhancer
from lle_utils.metrics import psnr
from lle_utils.nn import Expose, charbonnier_loss, ssim_loss

# %% [markdown]
# The next cell holds everything there is to set. The sizes that the project trains on real
# photos are in `profiles/cpu.yml`; here the network is so small that a processor trains it while
# you watch.

# %% tags=["parameters"]
profile = ""  # "colab", or another of notebooks/profiles; what you change below wins
source = "synthetic"  # or pairs: a folder, a pack, "lol", see `data.load`
with_sequences = False  # whether the exposure sequences of LLE_DATA_DIR join them
widths = [12, 20, 28]  # channels at a half, a quarter and an eighth of the resolution
down = [1, 1, 1]  # residual blocks at each of them on the way down
up = [1, 1]  # residual blocks on the way up, at a half and at a quarter
stages = [[10, 64, 8]]  # epochs, crop and batch size of each stage of training
steps = 20  # training steps per epoch
warmup = 20  # steps in which the learning rate rises
learning_rate = 2e-3
ema = 0.9  # momentum of the averaged weights; 0 for none
ssim_weight = 0.25  # weight of the structural similarity beside the Charbonnier loss
validate_every = 2  # epochs between two measurements on validation photos
seed = 0
deterministic = False  # bit-identical repeats, at some cost in speed
output_dir = ""  # where results go; empty: runs/12_lumen in the project

# %% tags=["profile"]
from lle_utils.notebook_tools import start

start("12_lumen", globals())

# %% [markdown]
# ## Two questions in one
#
# A pair tells a network: this dark photo shall become that bright one. How bright, nobody can see
# in the dark photo; whoever took the other chose its exposure. So a network learns to **guess** a
# brightness and to **restore** the rest. Let us look at the guess.

# %%
core.set_seed(seed, deterministic)  # determinism has to be asked for before anything is computed
largest = max(crop for _, crop, _ in stages)
train_pairs = data.load(source, "train", seed, crop=largest)
val_pairs = data.load(source, "val", seed)
sample = data.synthetic_pairs(1, (160, 240), seed + 1, data.VAL_SCENES)
low, normal = (core.to_float(side[0]) for side in (sample.low, sample.normal))
display.show_images({"low": low, "normal": normal})

# %% [markdown]
# The well-lit photos differ in their means. Who says the middle of them for every photo is wrong by
# the deviation below. Whether a dark photo tells more than that is measured further down.

# %%
means = np.array([core.mean_brightness(lit) for *_, lit in train_pairs])
print(f"means of {len(means)} well-lit photos: {means.mean():.3f} ± {means.std():.3f}")
print(f"a photo that is right but for such an error: {-20 * np.log10(means.std()):.1f} dB")

# %% [markdown]
# So we take the first question out. The network is **given** the mean brightness of the result,
# its *level*. In training that is the mean of the well-lit photo, so nothing has to be guessed;
# in use it is a slider, the mean of another photo, or a default.
#
# ## Exposure is a curve
#
# First the photo is brought to the level as well as one curve can do it. Four candidates, each
# with a gain $k$ that is found by bisection:
#
# - multiply the values, and cut at 1;
# - a power of the values, the gamma curve;
# - multiply the *light*, which is what a longer exposure does, and cut at 1;
# - the same, but bend the curve so that white stays white:
#
# $$ y = \frac{k\,x}{1 + (k - 1)\,x} \qquad \text{in linear light} $$

# %%
CURVES = {
    "multiplied values": lambda x, k: np.minimum(k * x, 1),
    "power of the values": lambda x, k: x ** (1 / k),
    "multiplied light": lambda x, k: core.linear_to_srgb(np.minimum(k * core.srgb_to_linear(x), 1)),
    "light, white kept": expose,
}


def solve(curve, photo, level):
    """Return the gain with which a curve brings a photo to a mean brightness."""
    low, high = -8.0, 14.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if curve(photo, 2**middle).mean() < level else (low, middle)
    return 2**middle


x = np.linspace(0, 1, 201)
rows = {name: curve(x, solve(curve, low, normal.mean())) for name, curve in CURVES.items()}
display.plot_curves(x, rows, "value in the dark photo", "value once exposed to the level")

# %% [markdown]
# Which one is nearest to the well-lit photo, when all have its mean? The table gives the mean
# PSNR over some training pairs, and the values that are cut.

# %%
lines = ["| curve | PSNR (dB) | cut values |", "|---|---:|---:|"]
some = [
    [core.to_float(photo) for photo in pair[1:]]
    for pair in train_pairs[:: max(len(train_pairs) // 8, 1)]
]
for name, curve in CURVES.items():
    lit = [curve(dark, solve(curve, dark[::4, ::4], bright.mean())) for dark, bright in some]
    cut = np.mean([(y >= 1).mean() for y in lit])
    good = np.mean([psnr(y.astype("float32"), pair[1]) for y, pair in zip(lit, some, strict=True)])
    lines.append(f"| {name} | {good:.2f} | {cut:.1%} |")
Markdown("\n".join(lines))

# %% [markdown]
# The synthetic camera multiplies light, so on its photos the third may be ahead. Real cameras bend
# their curve towards white: with `source = "lol"` the last is ahead, by some tenths of a decibel of
# multiplied light, by more of the two that forget about light. It is the curve that we take,
# `core.expose`. Two such exposures in turn are one, with the product of the gains; a gain of 1
# changes nothing; and what the light was before can be found again, because nothing is cut.

# %%
twice = expose(expose(low, 3.0), 4.0)
print(f"4 after 3 is 12, but for {np.abs(twice - expose(low, 12.0)).max():.1e}; ", end="")
print(f"and back, but for {np.abs(expose(twice, 1 / 12) - low).max():.1e}")
lit = expose(low, exposure_gain(low, float(normal.mean()))).astype("float32")
display.show_images({"low": low, "lit": lit, "normal": normal})

# %% [markdown]
# What is left to do is what the network is for: the noise, which was in the dark photo all along;
# pale or wrong colour; and light that the curve puts where the photographer would not.
#
# ## Examples of every brightness
#
# A pair shows one brightness. An **exposure sequence** shows one scene at many: any member may be
# the input, any other the target, whose mean is the level. Darker ones too, and the input itself.
# A camera model makes more: a well-lit photo, taken again with little light, towards itself. And
# the same for grey photos, other white balances, other sizes and JPEG, so that what is neutral,
# large or compressed comes out as it should. `data.ExposureStream` draws all of this.

# %%
sequences = data.load_sequences("train") if with_sequences else []
stream = data.ExposureStream(train_pairs, sequences, 64, 4, steps, seed)
inputs, targets = stream[0]
print({name: value.shape for name, value in inputs.items()}, targets.shape)

# %%
exposed = ops.convert_to_numpy(Expose()([inputs["low"], inputs["gain"]]))
for row, photos in {"low": inputs["low"], "lit": exposed, "normal": targets}.items():
    display.show_images(list(photos), titles=[row] * len(photos), columns=4)

# %% [markdown]
# The gain is found on the *whole* photo and applied to the crop, so that a crop shows the network
# what a whole photo will: a corner that the curve leaves too dark, a lamp that it makes too light.
#
# ## The network
#
# A residual block computes a correction of its input with two convolutions.


# %%
def residual_block(x):
    """Return features (N, H, W, C) plus a correction that two 3x3 convolutions compute."""
    filters = x.shape[-1]
    y = layers.Conv2D(filters, 3, padding="same")(x)
    y = layers.LeakyReLU(negative_slope=0.2)(y)
    return x + layers.Conv2D(filters, 3, padding="same")(y)


# %% [markdown]
# They cost most where there are most pixels, so none runs at full resolution. The first
# convolution has a stride of 2: each of its outputs sees 4×4 pixels, and no pixel is lost. Further
# down the photo gets smaller and the channels more. On the way up a transposed convolution of 2×2
# writes each pixel to four places of its own, so that no sums overlap unevenly, which is how most
# checkerboards come about; its four kernels may still differ. Next, the features of
# the way down are added.
#
# Last, a cap spares the lights: no value may get nearer to white than half of what the exposed
# photo leaves. The curve never clips, and so the network cannot clip at white either.
#
# There is no mean over the photo anywhere: what a pixel becomes depends on its surroundings and
# the gain alone. So tiles of a large photo agree exactly.


# %%
def spare_lights(result, lit, share=0.5):
    """Return the result, no nearer to white than a share of what the exposed photo leaves."""
    return ops.minimum(result, 1 - share * (1 - lit))


def lumen(widths, down, up):
    """Build lumen: ``low`` (N, H, W, 3) and ``gain`` (N, 1) to (N, H, W, 3); not clipped."""
    low, gain = keras.Input((None, None, 3), name="low"), keras.Input((1,), name="gain")
    lit = Expose(name="lit")([low, gain])
    x, skips = layers.concatenate([low, lit]), []
    for filters, blocks in zip(widths, down, strict=True):
        x = layers.Conv2D(filters, 2 if skips else 4, strides=2, padding="same")(x)
        for _ in range(blocks):
            x = residual_block(x)
        skips.append(x)
    for skip, blocks in zip(skips[-2::-1], up[::-1], strict=True):
        x = layers.Conv2DTranspose(skip.shape[-1], 2, strides=2, use_bias=False)(x) + skip
        for _ in range(blocks):
            x = residual_block(x)
    change = layers.Conv2DTranspose(3, 2, strides=2, kernel_initializer="zeros")(x)
    return keras.Model([low, gain], spare_lights(lit + change, lit), name="lumen")


# %% [markdown]
# The last kernel starts at zero: the untrained network puts out the exposed photo, so training
# begins from something sensible. (Its gradient is not zero, so it does not stay there.)

# %%
core.set_seed(seed)
network = lumen(widths, down, up)
training.describe(network, 2 ** len(widths))
gain = exposure_gain(low, 0.5)
untrained = network([low[None], np.array([[gain]], "float32")])
print(f"untrained: {np.abs(untrained[0] - expose(low, gain)).max():.1e} from the exposed photo")
display.network_diagram(network)

# %% [markdown]
# Two sizes have names: `lumen` is meant for single photos, `lumen_tiny` for sliders and small
# machines.

# %%
SIZES = {
    "lumen": ([32, 64, 96, 128], [1, 1, 2, 2], [2, 1, 1]),
    "lumen_tiny": ([12, 20, 28], [1, 1, 1], [1, 1]),
}
for name, numbers in SIZES.items():
    print(f"{name:10} {lumen(*numbers).count_params():9,} parameters")

# %% [markdown]
# ## Loss
#
# The Charbonnier loss of `04_mirnet`, and the structural similarity, which minds texture. As the
# brightness is given, neither can be lowered by a better guess: all that is left to learn is
# restoration. Of equal photos the Charbonnier loss is its $\varepsilon$, not 0.


# %%
def restoration_loss(y_true, y_pred, ssim_weight):
    """Return the Charbonnier loss plus the weighted structural similarity."""
    return charbonnier_loss(y_true, y_pred) + ssim_weight * ssim_loss(y_true, y_pred)


for name, image in {"low": low, "lit": lit, "normal": normal}.items():
    print(f"{name:7} {float(restoration_loss(normal[None], image[None], ssim_weight)):.4f}")

# %% [markdown]
# ## Training
#
# Validation photos are enhanced with the mean of their twin as level: the epoch is chosen by how
# well it restores, not by luck with brightness. `halo` is how far a pixel sees; `padding` is how
# much of its reflection is put around a photo first, because a convolution takes what lies beyond
# the border for black, and would draw a frame.

# %%
run = training.Run(
    core.run_folder("12_lumen", output_dir),
    stages,
    steps,
    learning_rate,
    warmup,
    ema,
    validate_every,
    seed,
)


def about(widths):
    """Return the part of the card that does not depend on the training."""
    divisor = 2 ** len(widths)
    card = {"name": "lumen", "method": "lumen", "inputs": ["low", "gain"]}
    return {**card, "multiple": divisor, "halo": 10 * divisor, "padding": 2 * divisor}


def viewer(network, widths):
    """Return the network in training as an enhancer, to see its results on whole photos."""
    return Enhancer(training.clipped(network), about(widths))


def train(network, enhance, run, streams, val_pairs, path):
    """Train in stages, one stream each, with validation; return the history."""
    history, reached = {}, 0
    validate = training.ValidationPsnr(enhance, val_pairs, run.validate_every, told=True)
    for (epochs, *_), stream in zip(run.stages, streams, strict=True):
        reached += epochs
        history = training.fit(network, stream, reached, path, [validate], best="val_psnr")
    return history


# %%
network.compile(
    run.optimizer(), partial(restoration_loss, ssim_weight=ssim_weight), **core.compile_options()
)
streams = [
    data.ExposureStream(train_pairs, sequences, crop, batch, steps, seed)
    for _, crop, batch in stages
]
checkpoint = run.folder / "lumen_checkpoint.npz"
started = time.time()
seen = viewer(network, widths)
history = train(network, seen.enhance, run, streams, val_pairs, checkpoint)
print(f"{run.total_steps} steps in {time.time() - started:.0f} s; ", end="")
print(f"best PSNR {max(history['val_psnr']):.2f} dB, the level being told")

# %%
display.loss_curves(history)

# %%
training.load_checkpoint(training.best_path(checkpoint), network)
enhanced = seen.enhance(low, reference=normal)
display.show_images({"lit": lit, "enhanced": enhanced, "normal": normal})

# %% [markdown]
# ## What the network changes
#
# Its output is the exposed photo plus a *change*, shown three times as strong. Grey is no change, a
# tint is a correction of colour, grain is noise that is taken away, and an outline is an edge that
# gets softer or sharper.

# %%
change = enhanced - lit
display.show_images({"lit": lit, "change": np.clip(0.5 + 3 * change, 0, 1), "enhanced": enhanced})

# %% [markdown]
# ## Try it: a slider that means something
#
# The level is the mean of the result. `Enhancer.enhance` finds the gain for it, and makes up for
# what the network changes of the mean by exposing once more.


# %%
def at_level(level):
    """Enhance the example to a mean brightness."""
    return seen.enhance(low, level)


slider = {"level": (0.05, 0.8, 0.05, 0.45)}
display.image_slider(at_level, **slider)

# %%
display.static(at_level, **slider)

# %%
levels = np.linspace(0.05, 0.8, 16)
reached = np.array([at_level(level).mean() for level in levels])
print(f"at most {np.abs(reached / levels - 1).max():.1%} off, ", end="")
print(f"the smallest step upwards {np.diff(reached).min():.3f}")

# %% [markdown]
# ## How bright, if nobody says?
#
# `enhancers.default_level` is a rule of thumb: 0.45, unless a fifth of the photo would then be
# brighter than 0.8, since lamps and skies may keep a night scene dark; and never darker than the
# photo is. Is a better guess hidden in the photo? Ridge regression on the logarithms of a few
# quantiles, with scenes left out in turn, says how much is to be gained.

# %%
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def features(photo):
    """Return what a histogram says about a photo: logarithms of quantiles, and 1."""
    return np.append(
        np.log(np.quantile(core.luminance(photo[::4, ::4]) / 255, QUANTILES) + 0.01), 1
    )


def predict_left_out(inputs, wanted, scenes, strength):
    """Predict each value from the photos of the other scenes, by ridge regression."""
    predicted = np.empty(len(wanted))
    penalty = strength * len(wanted) * np.diag([*[1] * len(QUANTILES), 0])
    for scene in set(scenes):
        out = scenes == scene
        x, y = inputs[~out], wanted[~out]
        predicted[out] = inputs[out] @ np.linalg.solve(x.T @ x + penalty, x.T @ y)
    return predicted


# %%
scenes = np.array([train_pairs.scenes[name] for name, *_ in train_pairs])
inputs = np.array([features(dark) for _, dark, _ in train_pairs])
for strength in (1e-3, 1e-1, 10.0):
    error = predict_left_out(inputs, means, scenes, strength) - means
    print(f"ridge {strength:5}: error {np.sqrt(np.mean(error**2)):.4f}")
constant = predict_left_out(inputs * [*[0] * len(QUANTILES), 1], means, scenes, 1.0) - means
print(f"the same level for all: {np.sqrt(np.mean(constant**2)):.4f}")
ruled = np.array([enhancers.default_level(dark) for _, dark, _ in train_pairs]) - means
print(f"the rule: {np.sqrt(np.mean(ruled**2)):.4f}")

# %% [markdown]
# The three scenes of the sample are too few to tell. With `source = "lol"` the regression is hardly
# nearer than a constant: the photo says next to nothing about the exposure that somebody chose for
# its twin. So the default stays a rule, made for scenes that LOL lacks, and the slider is there for
# a reason.
#
# ## Evaluation
#
# Two scores that must not be mixed, so each has a table. *Blind*: the default level. *Level told*:
# the mean of the well-lit photo, which no method has in use, but which shows restoration alone.
# The exposed photo without any network is in both.

# %%
final = lumen(widths, down, up)
final.set_weights(network.get_weights())
facts = {"widths": widths, "down": down, "up": up, "data": source, "pairs": len(train_pairs)}
facts |= {"also": "exposure sequences" if sequences else ""}
facts |= {"sequences": len(sequences), "loss": f"Charbonnier + {ssim_weight} (1 - SSIM)"}
card = run.card(about(widths), train_pairs.licence, history, **facts)
kept = load_enhancer(save_enhancer(training.clipped(final), run.folder / "lumen", card))


# %%
def exposed_alone(low, level=None):
    """Expose a photo to a level, or to the default one."""
    gain = exposure_gain(low, level or enhancers.default_level(low))
    return expose(low, gain).astype("float32")


methods = {name: enhancers.BASELINES[name] for name in ("input", "auto_gamma")}
methods |= {"exposed": exposed_alone, "lumen": kept.enhance}
score = partial(
    evaluation.evaluate,
    pairs=val_pairs,
    data=f"{source}, val",
    scenes=val_pairs.scenes,
)
blind = [score(name, method) for name, method in methods.items()]
evaluation.save_records("12_lumen", blind, run.folder)
Markdown(evaluation.table(blind))

# %%
told = [score(name, methods[name], level_told=True) for name in ("exposed", "lumen")]
evaluation.save_records("12_lumen_told", told, run.folder)
Markdown(evaluation.table(told))

# %% [markdown]
# A part of it, enlarged, where noise and lost detail show:

# %%
window = np.s_[40:110, 90:195]
crops = {"lit": lit, "lumen": kept.enhance(low, reference=normal), "normal": normal}
display.show_images({name: image[window] for name, image in crops.items()})

# %% [markdown]
# ## What a long training gives
#
# The project ships both sizes, trained on LOL's pairs and on exposure sequences: `lumen` with the
# profile `cpu`, `lumen_tiny` with another schedule, which its card holds. First the blind scores on
# LOL's validation photos, the photos at their full size; the other enhancers as they are shipped.

# %%
shipped = {name: evaluation.load_records(name) for name in ("lol_val", "lol_val_told", "sequences")}
rows = ["lumen", "lumen_tiny", "mirnet", "zero_dce_pp", "shed_light", "auto_gamma"]
columns = ["ssim", "psnr_gtmean", "mean_error", "psnr"]
Markdown(evaluation.table([shipped["lol_val"][name] for name in rows], columns))

# %% [markdown]
# The same photos, the level being told; a method that takes none has its result exposed to it. What
# is left is noise, colour and detail:

# %%
Markdown(evaluation.table([shipped["lol_val_told"][name] for name in rows], ["psnr", "ssim"]))

# %% [markdown]
# And scenes of another kind, from the exposure sequences: by day and by night, with many cameras.
# Blind, from the exposure with a mean near 0.10 to the one near 0.45:

# %%
Markdown(evaluation.table([shipped["sequences"][name] for name in rows], columns))

# %%
best = {name: evaluation.ranking(records)[0] for name, records in shipped.items()}
print("; ".join(f"{name}: {method} is first in structure" for name, method in best.items()))

# %% [markdown]
# On the example from above, both told the same level:

# %%
pair = {name: load_enhancer(name) for name in ("lumen", "lumen_tiny")}
display.show_images({name: network.enhance(low, 0.45) for name, network in pair.items()})

# %% [markdown]
# ## Where it fails
#
# **A level far from what the photo can give**: at 0.8 a dark photo has lost its blacks, whatever
# restores it. **Light from two sides**: one level for a backlit photo leaves the face dark or the
# window white, since a single curve precedes the network. **Unknown cameras**: noise of a kind
# that training has not shown is taken for texture, or texture for noise.

# %%
good = core.to_float(data.sample_scenes()["coffee"])[::2, ::2]
half = good.shape[1] // 2
backlit = np.concatenate([good[:, :half] * 0.1, good[:, half:]], 1)
pictures = {"level 0.8": at_level(0.8), "half lit": backlit}
pictures["half lit, enhanced"] = kept.enhance(backlit)
pictures["half lit, level 0.5"] = kept.enhance(backlit, 0.5)
display.show_images(pictures, columns=2)

# %% [markdown]
# ## What fell short, and what was tried
#
# The goals were set before the first training. The table is computed from the records.

# %%
GOALS = [
    ("lol_val_told", "lumen", "psnr", 27.0),
    ("lol_val_told", "lumen", "ssim", 0.87),
    ("lol_val_told", "lumen_tiny", "psnr", 25.5),
    ("lol_val_told", "lumen_tiny", "ssim", 0.83),
    ("lol_val", "lumen", "psnr", 22.5),
    ("lol_val", "lumen", "ssim", 0.851),
    ("sequences", "lumen", "psnr", 21.0),
    ("sequences", "lumen", "ssim", 0.85),
]


def against_goals(goals, records):
    """Print what was wanted, what was reached, and by how much it is more or less."""
    lines = [
        "| record | method | metric | goal | reached | difference |",
        "|---|---|---|---:|---:|---:|",
    ]
    for record, method, metric, goal in goals:
        reached = records[record][method]["summary"][metric]["mean"]
        digits = 3 if metric == "ssim" else 2
        cells = f"{goal:.{digits}f} | {reached:.{digits}f} | {reached - goal:+.{digits}f}"
        lines.append(f"| {record} | {method} | {metric} | {cells} |")
    return "\n".join(lines)


Markdown(against_goals(GOALS, shipped))

# %% [markdown]
# Structure lags behind the goals, and on LOL `mirnet`, which computes at full resolution, has more
# of it. That may be what half the resolution costs; no ablation shows it yet. Blind scores ask for
# a guess of the level in the first place, for which LOL's photos hold little. Tried and left out: a
# cap that spares lights further (scenes with lamps then hardly got brighter), and a regression of
# the level on histograms. Not tried for want of time: crops as high as the photo from the start, a
# larger weight of the structural similarity, two more seeds.
#
# ## Exercises
#
# **1.** What is the gain that takes a photo from one level to another and back?
#
# <details><summary>Solution</summary>Exposures form a group: the gains of there and back are
# inverse to each other, if nothing is rounded in between.</details>

# %% tags=["solution"]
there = exposure_gain(low, 0.4)
back = exposure_gain(expose(low, there), float(low.mean()))
print(f"{there:.3f} * {back:.4f} = {there * back:.3f}")

# %% [markdown]
# **2.** A grey photo should stay grey. Measure how much colour the network adds to one.
#
# <details><summary>Solution</summary>`Enhancer.enhance` takes all colour out of the result for a
# photo without any, so ask the network itself. Some training examples are grey, so that it can
# learn to add little; `gray=0` in `data.Mix` leaves them out.</details>

# %% tags=["solution"]
gray = np.repeat(core.luminance(low)[..., None], 3, -1).astype("float32")
told_gain = np.full((1, 1), exposure_gain(gray, 0.45), "float32")
alone = kept.model.predict_on_batch([gray[None], told_gain])[0]
for name, result in {"the network": np.asarray(alone), "enhance": kept.enhance(gray)}.items():
    print(f"{name}: channels differ by up to {255 * np.ptp(result, axis=-1).max():.1f} of 255")

# %% [markdown]
# **3.** The level may also be the mean of a *reference photo*. Give the example the brightness of a
# photo of your choice.
#
# <details><summary>Solution</summary>`enhance(low, reference=...)`.</details>

# %% tags=["solution"]
bright = core.to_float(data.sample_scenes()["rocket"])
same = kept.enhance(low, reference=bright)
print(f"reference {bright.mean():.3f}, result {same.mean():.3f}")

# %% [markdown]
# ## What was learnt
#
# - Brightness and restoration are two questions; pairs answer only the second.
# - Exposure is one curve in linear light, and a group: nothing is lost in going there and back.
# - A sequence of exposures supervises every brightness, darker ones included.
# - Tiles of a photo meet without a seam if the network has no mean over the photo.
# - A score in which the level was told is another score than a blind one.
#
# Next, `08_compare` puts all methods side by side.

# %%
print(core.versions())
