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
# # MIRNet: a network that looks at three scales at once
#
# You will build the paper's network block by block, look at what each block does to a photo,
# train a small one on pairs, and measure what the best-known copy of it changed.

# %% [markdown] tags=["badges"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/low-light-notebooks/blob/main/notebooks/04_mirnet.ipynb)

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
    package = f"{project}[photos]"  # camera raw and HEIC too
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)
    os.chdir(f"{project}/notebooks")

# %% [markdown]
# ## What you will learn
#
# - how three streams of different resolution exchange what they know;
# - how *attention* decides where to look and which features to use;
# - why a picture must be blurred before it is made smaller;
# - how to train on pairs: loss, schedule, averaged weights, a run that can be killed;
# - what a softmax over the wrong axis and a metric on the wrong scale do, in numbers.
#
# You should have read `02_metrics` and `03_zero_dce`. With the synthetic sample the notebook
# takes about a minute on two processor cores; the settings for LOL and a graphics card are in
# `profiles/colab.yml`.
#
# **References.** Zamir et al., *Learning Enriched Features for Real Image Restoration and
# Enhancement*, ECCV 2020, arXiv 2003.06792 (equations 1 to 4); Zhang, *Making Convolutional
# Networks Shift-Invariant Again*, ICML 2019, arXiv 1904.11486.

# %%
import time
from dataclasses import replace
from functools import partial

import keras
import numpy as np
from IPython.display import Markdown
from keras import layers, ops

from lle_utils import core, data, display, enhancers, evaluation, training
from lle_utils.enhancers import Enhancer, load_enhancer, save_enhancer
from lle_utils.metrics import psnr
from lle_utils.nn import (
    BlurPool,
    ConvTranspose2x,
    ScalarPReLU,
    UpsampleBilinear,
    charbonnier_loss,
    ms_ssim_loss,
)

# %% [markdown]
# The next cell holds everything there is to set. Two sizes have names: `small` and `base`.
# The default is smaller still, so that a processor trains it while you watch.

# %% tags=["parameters"]
profile = ""  # "colab", or another of notebooks/profiles; what you change below wins
source = "synthetic"  # or pairs: a folder, a pack, "lol", "lol+mypairs", see `data.load`
size = ""  # "small" or "base" of SIZES; empty: the three numbers below
features = 8  # channels at full resolution; the paper has 64
groups = 1  # residual groups; the paper has 3
blocks = 1  # multi-scale blocks per group; the paper has 2
stages = [[10, 64, 4]]  # epochs, crop and batch size of each stage of training
steps = 20  # training steps per epoch
warmup = 10  # steps in which the learning rate rises
learning_rate = 2e-3
ema = 0.9  # momentum of the averaged weights; 0 for none
ssim_weight = 0.0  # weight of the structural similarity beside the Charbonnier loss
ssim_scales = 3  # its scales: 1 is plain SSIM, 5 needs crops of 176 or more
mixup = 0.0  # blend pairs with a share from Beta(mixup, mixup); the released code has 1.2
precision = "float32"  # or "mixed_float16", "mixed_bfloat16" on a GPU that has them
validate_every = 2  # epochs between two measurements on validation photos
ablations = ["keras_io"]  # what is trained alike near the end, see `builders` there
ablation_stages = [[1, 48, 2]]  # epochs, crop and batch size of that training
seed = 0
deterministic = False  # bit-identical repeats, at some cost in speed
output_dir = ""  # where results go; empty: runs/04_mirnet in the project

# %% tags=["profile"]
from lle_utils.notebook_tools import start

start("04_mirnet", globals())

# %% [markdown]
# ## Data: pairs
#
# MIRNet learns from *pairs*: one scene, dark and well lit. Where Zero-DCE could only guess what
# a good photo is, this network is shown it. We take pairs of the synthetic camera, or those of
# LOL, and keep some scenes for validation that training never sees.

# %%
core.set_seed(seed, deterministic)  # determinism has to be asked for before anything is computed
largest = max(crop for _, crop, _ in stages)
train_pairs = data.load(source, "train", seed, crop=largest)
val_pairs = data.load(source, "val", seed)
first = train_pairs[0][1]
print(f"{len(train_pairs)} pairs for training, {len(val_pairs)} for validation; ", end="")
print(f"{first.dtype} {first.shape}, from {first.min()} to {first.max()}")

# %% [markdown]
# The example that we look at throughout is synthetic whatever `source` is, and not trained on.

# %%
sample = data.synthetic_pairs(1, (160, 240), seed + 1, data.VAL_SCENES)
low, normal = (core.to_float(side[0]) for side in (sample.low, sample.normal))
display.show_images({"low": low, "normal": normal})

# %% [markdown]
# ## The plan
#
# A convolution of 3×3 sees its neighbours only. Brightness and colour of a photo are decided
# over large areas, its detail in single pixels. MIRNet therefore keeps **three streams**: full
# resolution, a half, and a quarter with four times the features. They pass what they learn to
# each other again and again, and the full-resolution stream is never given up. We build from
# the inside out:
#
# 1. *fuse*: merge three pictures, choosing per feature which to trust (SKFF);
# 2. *attend*: stress places and features that matter (dual attention);
# 3. *resize*: change resolution without false patterns;
# 4. the multi-scale block that joins them, and the network of such blocks.
#
# No convolution has a bias. A photo is a batch of one for the network; `features_of` turns our
# example into features, with a convolution of random weights: every block can be tried before
# anything is trained.


# %%
def convolution(filters, size=3, **options):
    """Return a convolution without bias that keeps height and width."""
    return layers.Conv2D(filters, size, padding="same", use_bias=False, **options)


def features_of(image, filters, seed=0):
    """Turn an image (H, W, 3) into random features (1, H, W, filters)."""
    start = keras.initializers.GlorotUniform(seed)
    return convolution(filters, kernel_initializer=start)(image[None])


def shown(features, count=3):
    """Return the first channels of features (1, H, W, C) as maps."""
    return list(np.moveaxis(ops.convert_to_numpy(features)[0, ..., :count], -1, 0))


x = features_of(low, 8)
display.show_images(shown(x), titles=[f"feature {n + 1}" for n in range(3)])

# %% [markdown]
# ## Fuse: selective kernel feature fusion
#
# Three branches $L_1, L_2, L_3$ of equal shape are to become one. Adding them would treat all
# alike. Instead their sum is averaged over the photo, squeezed through a few channels, and
# turned into three weights for each channel, which a softmax makes add up to one
# (section 3.2 of the paper):
#
# $$ U = s_1 L_1 + s_2 L_2 + s_3 L_3, \qquad
#    s_b = \operatorname{softmax}_b\; W_b\, \mathrm{PReLU}(W\, \mathrm{mean}(L_1 + L_2 + L_3)) $$
#
# The softmax runs **over the branches**. Remember that; it will matter.


# %%
def branch_weights(channels, softmax_axis=0):
    """Return a function from three branches to their weights (3, N, 1, 1, C)."""
    pool = layers.GlobalAveragePooling2D(keepdims=True)
    squeeze, activation = convolution(max(channels // 8, 4), 1), ScalarPReLU()
    excite = [convolution(channels, 1) for _ in range(3)]

    def weigh(branches):
        summary = activation(squeeze(pool(layers.add(branches))))
        return ops.softmax(ops.stack([branch(summary) for branch in excite]), softmax_axis)

    return weigh


def skff(channels, softmax_axis=0):
    """Return a function that fuses three branches (N, H, W, C) into one."""
    weigh = branch_weights(channels, softmax_axis)

    def fuse(branches):
        weights = ops.unstack(weigh(branches), 3)
        return layers.add([w * branch for w, branch in zip(weights, branches, strict=True)])

    return fuse


# %% [markdown]
# Three checks. The weights of the branches add up to one for each channel; three equal
# branches come back as they were; and with branches of different strength the untrained
# fusion is near their average.

# %%
branches = [x, 2 * x, -x]
weights = ops.convert_to_numpy(branch_weights(8)(branches))[:, 0, 0, 0]
print("weights of the first channels\n", weights[:, :4].round(3), "\nsum", weights.sum(0)[:4])
same = skff(8)([x, x, x])
print("equal branches come back:", np.allclose(same, x, atol=1e-6))

# %%
fused = skff(8)(branches)
display.show_images({"branch 1": shown(x)[0], "branch 3": shown(-x)[0], "fused": shown(fused)[0]})

# %% [markdown]
# ## Attend: where, and what
#
# *Spatial attention* is a picture of weights between 0 and 1, one per pixel, computed from the
# maximum and the mean over the channels with a 5×5 convolution: it sees a neighbourhood.
# *Channel attention* is one weight per channel, from the channel's mean over the photo.


# %%
def spatial_attention(size=5):
    """Return a function from features (N, H, W, C) to weights (N, H, W, 1)."""
    look = convolution(1, size, activation="sigmoid")

    def weigh(x):
        extremes = ops.max(x, axis=-1, keepdims=True), ops.mean(x, axis=-1, keepdims=True)
        return look(ops.concatenate(extremes, axis=-1))

    return weigh


def channel_attention(channels):
    """Return a function from features (N, H, W, C) to weights (N, 1, 1, C)."""
    pool = layers.GlobalAveragePooling2D(keepdims=True)
    squeeze = convolution(max(channels // 8, 1), 1, activation="relu")
    excite = convolution(channels, 1, activation="sigmoid")
    return lambda x: excite(squeeze(pool(x)))


# %%
where, which = spatial_attention()(x), channel_attention(8)(x)
print("weights of the channels:", ops.convert_to_numpy(which).ravel().round(3))
display.show_images({"low": low, "weights of the pixels": shown(where, 1)[0]})

# %% [markdown]
# The *dual attention unit* works its input through two convolutions, stresses the result in
# both ways, mixes the two with a 1×1 convolution and **adds it to the input**. Such a residual
# block can only add to what it got; with a last convolution of zeros it changes nothing.
#
# In the released code one activation object is the default argument of all these units, so
# their PReLU is the same single number throughout the network. Whether by intent or not, the
# published parameter count has it so, and `activation` is handed down here.


# %%
def dual_attention(channels, activation, spatial=spatial_attention):
    """Return the dual attention unit; ``activation`` is the one that all units share."""
    first, second = convolution(channels), convolution(channels)
    where, which = spatial(), channel_attention(channels)
    mix = convolution(channels, 1)

    def attend(x):
        r = second(activation(first(x)))
        return x + mix(ops.concatenate([r * where(r), r * which(r)], axis=-1))

    return attend


display.show_images(shown(dual_attention(8, ScalarPReLU())(x)))

# %% [markdown]
# ## Resize: blur before you downsample
#
# Keep every second pixel of fine stripes and they turn into something else: *aliasing*. The
# maximum of 2×2 pixels, popular in classification, does it too. `BlurPool` averages with the
# weights 1, 2, 1 in both directions first. The test: shift the photo by one pixel and see how
# much the small picture changes.


# %%
def shift_variance(pool, image):
    """Return the mean change of pooled pixels when the image moves by one pixel."""
    here, there = (ops.convert_to_numpy(pool(image[None, :, i : i - 2])) for i in (0, 1))
    return float(np.abs(here - there).mean())


for name, pool in {"maximum": layers.MaxPooling2D(), "blur": BlurPool()}.items():
    print(f"{name:8} {shift_variance(pool, normal):.4f}")

# %% [markdown]
# The stripes below get wider towards the right. Where they are too fine for the small picture
# they should turn grey. With the maximum they turn into light and false stripes.

# %%
position = np.linspace(0, 1, 240)
wave = 0.5 + 0.5 * np.sin(2 * np.pi * 60 * (1.9 * position - 0.8 * position**2))
stripes = np.tile(wave.astype("float32")[None, :, None], (60, 1, 3))
small = {"stripes": stripes}
for name, pool in {"maximum": layers.MaxPooling2D(), "blur": BlurPool()}.items():
    small[name] = ops.convert_to_numpy(pool(stripes[None]))[0]
display.show_images(small)

# %% [markdown]
# Both resizing blocks are residual too: one path computes, the other only resizes. Going down
# doubles the channels, going up halves them. (On the upward path a 1×1 convolution comes
# before the upsampling and not after it: the result is the same, at a quarter of the cost.)
#
# `ConvTranspose2x` is a transposed convolution that puts the middle of its kernel on the pixel,
# as the released code does. Keras' own, with padding "same", puts it one pixel further down and
# to the right, where the upsampled shortcut is not: the two paths would be out of step.


# %%
def residual_down(channels, pool=BlurPool):
    """Return a function that halves height and width and doubles the channels."""
    first, second = convolution(channels, 1), convolution(channels)
    early, late = ScalarPReLU(), ScalarPReLU()
    last, shortcut = convolution(2 * channels, 1), convolution(2 * channels, 1)

    def downsample(x):
        top = late(second(early(first(x))))
        return last(pool()(top)) + shortcut(pool()(x))

    return downsample


def residual_up(channels, interpolation=UpsampleBilinear):
    """Return a function that doubles height and width and halves the channels."""
    first, transposed = convolution(channels, 1), ConvTranspose2x(channels)
    early, late = ScalarPReLU(), ScalarPReLU()
    last, shortcut = convolution(channels // 2, 1), convolution(channels // 2, 1)

    def upsample(x):
        top = late(transposed(early(first(x))))
        return last(top) + interpolation(2)(shortcut(x))

    return upsample


# %%
half = residual_down(8)(x)
again = residual_up(16)(half)
print(x.shape, "->", half.shape, "->", again.shape)
display.show_images({"half": shown(half)[0], "and back": shown(again)[0]})

# %% [markdown]
# ## The multi-scale block
#
# Level 0 is full resolution, 1 a half, 2 a quarter. `resize` chains the blocks above to bring
# features from one level to any other.


# %%
def resize(features, start, stop, down=residual_down, up=residual_up):
    """Return a function from features at level ``start`` to level ``stop``."""
    step = 1 if start < stop else -1
    block = down if start < stop else up
    chain = [block(features * 2**level) for level in range(start, stop, step)]

    def move(x):
        for block in chain:
            x = block(x)
        return x

    return move


# %% [markdown]
# Now the heart of MIRNet. The streams attend (column 1); every stream gets all three, brought
# to its level and fused; they attend again (column 2); all are fused at full resolution. The
# lower streams start from what the stream above them has attended to, not from the raw input.
#
# Weights are **shared** in three places, as in the released code: both columns use the same
# attention units, the last fusion is that of level 0, and the way down from level 0 to 1 that
# starts stream 1 is also the one that feeds it later. The last way up has weights of its own.
#
# Its parts are arguments. Later we hand in others, to see what each part is worth.


# %%
def multi_scale_block(
    features, activation, attention=dual_attention, fusion=skff, resizing=resize, merge=(0, 1, 2)
):
    """Return the multi-scale residual block; in and out are (N, H, W, features)."""
    attend = [attention(features * 2**level, activation) for level in range(3)]
    fuse = [fusion(features * 2**level) for level in range(3)]
    move = {(i, j): resizing(features, i, j) for i in range(3) for j in range(3)}
    last_up = [resizing(features, level, 0) for level in range(3)]
    close = convolution(features)

    def block(x):
        streams, moved = [attend[0](x)], {}
        for level in (1, 2):
            moved[level - 1, level] = move[level - 1, level](streams[-1])
            streams.append(attend[level](moved[level - 1, level]))
        moved |= {(i, j): move[i, j](streams[i]) for i, j in move if (i, j) not in moved}
        mesh = [fuse[j]([moved[i, j] for i in range(3)]) for j in range(3)]
        streams = [attend[level](s) for level, s in enumerate(mesh)]
        merged = fuse[0]([last_up[level](streams[level]) for level in merge])
        return x + close(merged)

    return block


display.show_images(shown(multi_scale_block(8, ScalarPReLU())(x)))

# %% [markdown]
# ## The network
#
# Blocks in a row, closed by a convolution and a shortcut, are a *residual group*; groups in a
# row, between a convolution in and one out, are the network. Its output is **added to the dark
# photo**: the network learns what is missing. Nothing clips the output during training, since
# a clipped value has no gradient.


# %%
def residual_group(features, blocks, activation, block=multi_scale_block):
    """Return the recursive residual group; in and out are (N, H, W, features)."""
    chain = [block(features, activation) for _ in range(blocks)]
    close = convolution(features)

    def group(x):
        y = x
        for member in chain:
            y = member(y)
        return x + close(y)

    return group


def mirnet(features=64, groups=3, blocks=2, block=multi_scale_block):
    """Build MIRNet: ``low`` (N, H, W, 3), sides multiples of 4, to the same; not clipped."""
    low = keras.Input((None, None, 3), name="low")
    activation = ScalarPReLU()
    x = convolution(features)(low)
    for _ in range(groups):
        x = residual_group(features, blocks, activation, block)(x)
    return keras.Model(low, low + convolution(3)(x), name="mirnet")


# %% [markdown]
# The paper's size has 31.8 million parameters; with one PReLU for all attention units our
# count is the published one to the last digit. Parameters grow with the square of the width,
# so a quarter of the width and fewer blocks give networks that anyone can train.

# %%
SIZES = {"paper": (64, 3, 2), "base": (16, 1, 3), "small": (16, 1, 1)}

counts = {name: mirnet(*numbers).count_params() for name, numbers in SIZES.items()}
print(*(f"{name}: {count:,} parameters" for name, count in counts.items()), sep="\n")
assert counts["paper"] == 31_787_419

# %% [markdown]
# The network to train is built with the precision asked for. With `mixed_float16` a graphics
# card computes in 16 bits and keeps its weights in 32; a processor gains nothing from it.

# %%
core.set_seed(seed)
with core.dtype_policy(precision):
    numbers = SIZES[size] if size else (features, groups, blocks)
    network = mirnet(*numbers)
training.describe(network, multiple=4)

# %% [markdown]
# ## Loss: nearly L1
#
# The Charbonnier loss is the mean absolute difference with its corner rounded off (equation 4):
# $\sqrt{d^2 + \varepsilon^2}$. A squared difference would let the few large errors of a lamp
# or a window decide; the rounded corner keeps the gradient smooth where the photo is right.

# %%
d = np.linspace(-0.1, 0.1, 201).astype("float32")
rows = {"squared, times 10": 10 * d**2, "absolute": np.abs(d)}
rows["Charbonnier, ε = 0.01"] = np.sqrt(d**2 + 0.01**2)
display.plot_curves(d, rows, "difference", "loss", diagonal=False)

# %% [markdown]
# A loss of single pixels does not mind blurred texture. With `ssim_weight` above zero the
# multi-scale structural similarity joins in, which compares contrast and pattern of small
# windows; it is off here because it takes time.


# %%
def restoration_loss(y_true, y_pred, ssim_weight=0.0, ssim_scales=3):
    """Return the Charbonnier loss plus the weighted multi-scale structural similarity."""
    loss = charbonnier_loss(y_true, y_pred)
    if ssim_weight:
        loss += ssim_weight * ms_ssim_loss(y_true, y_pred, ssim_scales)
    return loss


for name, image in {"low": low, "gamma": enhancers.gamma(low), "normal": normal}.items():
    pixels = float(charbonnier_loss(normal[None], image[None]))
    patterns = float(ms_ssim_loss(normal[None], image[None], 3))
    print(f"{name:8} Charbonnier {pixels:.4f}   1 - MS-SSIM {patterns:.4f}")

# %% [markdown]
# ## Training
#
# Four habits of image restoration, all in `lle_utils.training`:
#
# - the learning rate **warms up** and then falls along a cosine, and gradients are clipped;
# - **averaged weights**: a moving average of the weights over the last steps is smoother than
#   the weights themselves; it is what gets validated and saved;
# - random crops in one of eight flips and turns; in several **stages**, later ones with larger
#   crops, if you list several; and **MixUp**, blends of two pairs, if `mixup` is above zero;
# - **validation on whole photos**, blind, rounded to 8 bits, as in the final table. The best
#   state is kept beside the last. Crops of training photos would flatter.
#
# A `Run` holds the schedule and the folder of a training. One that is killed goes on from its
# checkpoint and ends with the same weights to the bit.

# %%
run = training.Run(
    core.run_folder("04_mirnet", output_dir),
    stages,
    steps,
    learning_rate,
    warmup,
    ema,
    validate_every,
    seed,
)
loss = partial(restoration_loss, ssim_weight=ssim_weight, ssim_scales=ssim_scales)

# %% [markdown]
# A network in training is looked at as an *enhancer*, the form in which it is used later: with
# its output clipped, and a card of facts. `multiple` is 4, because two halvings must come out
# even; any photo is padded and the result cropped. Its channel weights depend on the whole
# photo, so it cannot be cut into tiles: no `halo`.

# %%
CARD = {"name": "mirnet", "method": "MIRNet", "inputs": ["low"], "multiple": 4, "halo": None}


def viewer(network):
    """Return the network in training as an enhancer, to see its results on whole photos."""
    return Enhancer(training.clipped(network), CARD)


def prepare(network, run, loss):
    """Compile a network for training with the schedule of the run and the loss."""
    network.compile(run.optimizer(), loss, **core.compile_options())


def train(network, run, train_pairs, val_pairs, path, mixup=0.0):
    """Train in stages with validation; return loss and PSNR per epoch."""
    validate = training.ValidationPsnr(viewer(network).enhance, val_pairs, run.validate_every)
    _, dark, bright = zip(*train_pairs, strict=True)
    return training.fit_pairs(
        network, dark, bright, run.stages, run.steps, path, run.seed, mixup or None, [validate]
    )


# %% [markdown]
# Before a long run we measure a step. `estimate` says how long all of them will take and how
# much memory they need, and refuses what cannot fit. It leaves the weights alone.

# %%
prepare(network, run, loss)
plan = run.estimate(network)

# %%
checkpoint = run.folder / "mirnet_checkpoint.npz"
started = time.time()
history = train(network, run, train_pairs, val_pairs, checkpoint, mixup)
print(f"{run.total_steps} steps in {time.time() - started:.0f} s; ", end="")
print(f"best PSNR {max(history['val_psnr']):.2f} dB")

# %% [markdown]
# The loss is measured on crops of training photos, the PSNR on whole photos of other scenes.

# %%
display.loss_curves(history)

# %% [markdown]
# We go on with the best state, not the last, and show what it does to the example.

# %%
training.load_checkpoint(training.best_path(checkpoint), network)
enhanced = viewer(network).enhance(low)
display.show_images({"low": low, "enhanced": enhanced, "normal": normal})

# %% [markdown]
# ## What came of it
#
# The example by two curves that know nothing of networks, by what was just trained, and by what the
# project ships. The sentence below is computed from the scores. Where a training
# is behind, look for the reason: is it the brightness, the colour or the noise? How long the
# shipped network was trained, and on what, stands in its card.

# %%
learnt = {"trained here": enhanced, "shipped": load_enhancer("mirnet").enhance(low)}
plain = {name: enhancers.BASELINES[name](low) for name in ("gamma", "auto_gamma")}
pictures, sentence = evaluation.outcome(low, normal, plain, learnt)
display.show_images(pictures, columns=3)

# %%
print(f"After {run.total_steps} steps here: {sentence}")

# %% [markdown]
# ## What the network looks at
#
# The weights of the pixels can be read out of the network: they come from its only 5×5
# convolutions, one for each stream. Each is used twice per block, in both columns; here is
# the second time. Each map has a scale of its own: read its colour bar before you compare.


# %%
def calls(layer):
    """Return what a layer puts out in the network, for each of its calls in turn."""
    return [node.outputs[0] for node in layer._inbound_nodes]


looks = [layer for layer in network.layers if getattr(layer, "kernel_size", 0) == (5, 5)][-3:]
attention = keras.Model(network.input, [calls(layer)[-1] for layer in looks])
maps = [ops.convert_to_numpy(m)[0, ..., 0] for m in attention(low[None])]
maps = sorted(maps, key=lambda m: -m.size)
display.show_images(dict(zip(("full", "half", "quarter"), maps, strict=True)))

# %% [markdown]
# **What does each scale contribute?** The last fusion adds up three weighted branches, one per
# stream. We take them out, and give the rest of the network, its *tail*, only one of them.

# %%
fusion = [layer for layer in network.layers if isinstance(layer, layers.Add)][-1]
branches = fusion._inbound_nodes[0].input_tensors
head = keras.Model(network.input, branches)
tail = keras.Model([network.input, *branches], ops.clip(network.output, 0, 1))
parts = head(low[None])


def with_scales(full, half, quarter):
    """Enhance the example with the contribution of each stream multiplied by a factor."""
    scaled = [f * part for f, part in zip((full, half, quarter), parts, strict=True)]
    return ops.convert_to_numpy(tail([ops.convert_to_tensor(low[None]), *scaled]))[0]


alone = {"full alone": (1.0, 0, 0), "half alone": (0, 1.0, 0), "quarter alone": (0, 0, 1.0)}
display.show_images({name: with_scales(*factors) for name, factors in alone.items()})

# %% [markdown]
# ## Try it: turn each scale up and down
#
# At 1 everywhere the picture is the enhanced photo. The picture below the sliders is their
# starting point, for readers without a running kernel.

# %%
sliders = {name: (0.0, 2.0, 0.05, 1.0) for name in ("full", "half", "quarter")}
display.image_slider(with_scales, **sliders)

# %%
display.static(with_scales, **sliders)

# %% [markdown]
# ## From network to enhancer
#
# The enhancer gets the best weights, in 32 bits, with the output clipped. Its card also says how
# it was trained.

# %%
final = mirnet(*numbers)
final.set_weights(network.get_weights())
facts = dict(zip(("features", "groups", "blocks"), numbers, strict=True))
facts |= {"data": source, "pairs": len(train_pairs), "mixup": mixup, "precision": precision}
facts |= {"loss": f"Charbonnier + {ssim_weight} (1 - MS-SSIM of {ssim_scales} scales)"}
card = run.card(CARD, train_pairs.licence, history, **facts)
trained = load_enhancer(save_enhancer(training.clipped(final), run.folder / "mirnet", card))

# %% [markdown]
# ## Evaluation
#
# The trained network meets methods that need no training and the shipped Zero-DCE++, on scenes
# that were not trained on, at full size, blind. Each number is the mean over images, from eight
# scenes on with a 95 % interval. The epoch was chosen on these very photos, so the score is a
# little flattered; a last check on photos that decided nothing is what `test` is for.
#
# PSNR asks for the right brightness and for clean detail at once, SSIM forgives more of a wrong
# brightness: compare the two columns.

# %%
methods = {name: enhancers.BASELINES[name] for name in ("input", "gamma", "auto_gamma")}
methods |= {"zero_dce_pp": load_enhancer("zero_dce_pp").enhance, "mirnet": trained.enhance}
scenes = val_pairs.scenes
records = [
    evaluation.evaluate(name, method, val_pairs, data=f"{source}, val", scenes=scenes)
    for name, method in methods.items()
]
evaluation.save_records("04_mirnet", records, run.folder)
Markdown(evaluation.table(records))

# %% [markdown]
# At 100 %, where noise and lost detail show:

# %%
window = np.s_[40:110, 90:195]
crops = {"gamma": enhancers.gamma(low), "mirnet": trained.enhance(low), "normal": normal}
display.show_images({name: image[window] for name, image in crops.items()})

# %% [markdown]
# ## What the best-known copy changed
#
# Most people met MIRNet in an example of the Keras site. It is a fine tour of the idea, but
# not this network. We build it anew from its description, to measure what each change costs:
#
# - the softmax of the fusion runs over the **channels** and not over the branches;
# - spatial attention is 1×1: each pixel sees itself alone;
# - maximum pooling and nearest neighbours replace blur-pool and bilinear upsampling;
# - lower streams start from the raw input, nothing is shared, and there are biases and ReLU;
# - until it was found, a slip of names gave the last fusion one stream twice, another never.


# %%
def biased(filters, size=3, activation=None):
    """Return the convolution of the copy, with a bias."""
    return layers.Conv2D(filters, size, padding="same", activation=activation)


def copied_fusion(channels):
    """Return the fusion of the copy: a softmax over channels in every branch."""
    pool, squeeze = layers.GlobalAveragePooling2D(keepdims=True), biased(channels // 8, 1, "relu")
    excite = [biased(channels, 1, "softmax") for _ in range(3)]

    def fuse(branches):
        summary = squeeze(pool(layers.add(branches)))
        return layers.add([b * e(summary) for b, e in zip(branches, excite, strict=True)])

    return fuse


# %% [markdown]
# A softmax over C channels gives each about 1/C, and three branches together 3/C. The fusion
# no longer chooses, it **fades**: the more channels, the more.

# %%
for channels in (64, 128, 256):
    ones = ops.ones((1, 8, 8, channels))
    ours, copy = (float(ops.mean(f(channels)([ones] * 3))) for f in (skff, copied_fusion))
    print(
        f"{channels:4} channels: three branches of ones become {ours:.3f}, in the copy {copy:.3f}"
    )

# %% [markdown]
# The attention unit and the resizing of the copy:


# %%
def copied_attention(channels):
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


def copied_resize(x, features, start, stop):
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


# %%
def copied_block(x, features):
    """Apply the multi-scale block of the copy."""
    streams = [x, copied_resize(x, features, 0, 1)]
    streams.append(copied_resize(streams[1], features, 1, 2))
    streams = [copied_attention(features * 2**j)(s) for j, s in enumerate(streams)]
    second = []
    for j in range(3):
        moved = [copied_resize(s, features, i, j) for i, s in enumerate(streams)]
        fused = copied_fusion(features * 2**j)(moved)
        second.append(copied_resize(copied_attention(features * 2**j)(fused), features, j, 0))
    return x + biased(features)(copied_fusion(features)(second))


def keras_io(features=64, groups=3, blocks=2):
    """Build the copy: ``low`` (N, H, W, 3), sides multiples of 4, to the same."""
    low = keras.Input((None, None, 3), name="low")
    x = biased(features)(low)
    for _ in range(groups):
        y = biased(features)(x)
        for _ in range(blocks):
            y = copied_block(y, features)
        x = x + biased(features)(y)
    return keras.Model(low, low + biased(3)(x), name="keras_io")


# %% [markdown]
# At the size that we trained, what do copy and network weigh?

# %%
for model in (keras_io(*numbers), final):
    training.describe(model, multiple=4)

# %% [markdown]
# ## What each change costs
#
# What a part is worth shows in an *ablation*: train without it, or with another in its place. We
# take the network and change one thing at a time, as the copy did. The parts of a block are its
# arguments, so a change is the block with one argument given.


# %%
def changed_blocks():
    """Return multi-scale blocks that each have one change of the copy, by name."""
    one_pixel = partial(dual_attention, spatial=partial(spatial_attention, size=1))
    coarse = {
        "down": partial(residual_down, pool=layers.MaxPooling2D),
        "up": partial(residual_up, interpolation=layers.UpSampling2D),
    }
    changes = {
        "channel_softmax": {"fusion": partial(skff, softmax_axis=-1)},
        "pixel_attention": {"attention": one_pixel},
        "max_and_nearest": {"resizing": partial(resize, **coarse)},
        "lost_stream": {"merge": (0, 2, 2)},
    }
    return {name: partial(multi_scale_block, **parts) for name, parts in changes.items()}


# %% [markdown]
# A fair yardstick belongs beside them: is all this better than a plain U-Net of residual blocks
# with channel attention? Its width is chosen so that a training step takes about as long.


# %%
def residual_unet(width=36):
    """Build the yardstick: ``low`` (N, H, W, 3), sides multiples of 4, to the same."""

    def block(x, filters):
        y = convolution(filters)(convolution(filters, activation="relu")(x))
        return x + y * channel_attention(filters)(y)

    low = keras.Input((None, None, 3), name="low")
    x, skips = block(convolution(width)(low), width), []
    for filters in (2 * width, 4 * width):
        skips.append(x)
        x = block(convolution(filters, strides=2)(x), filters)
    for skip in reversed(skips):
        filters = skip.shape[-1]
        x = block(skip + UpsampleBilinear(2)(convolution(filters, 1)(x)), filters)
    return keras.Model(low, low + convolution(3)(x), name="unet")


# %% [markdown]
# All get the same seed, steps, crops and loss; of each the best weights are measured. How much of
# a difference is chance? Two more runs of the network, with other seeds, tell. By default only the
# copy is trained, to see that it runs; the profile `cpu` trains them all.

# %%
own = partial(mirnet, *numbers)
builders = {"mirnet": own, "base": partial(mirnet, *SIZES["base"])}
builders |= {name: partial(own, block=block) for name, block in changed_blocks().items()}
builders |= {"keras_io": partial(keras_io, *numbers), "unet": residual_unet}
other_seeds = {"mirnet_seed_1": 1, "mirnet_seed_2": 2}
builders |= dict.fromkeys(other_seeds, own)


# %%
def train_alike(build, run, loss, pairs, path, precision="float32", mixup=0.0):
    """Build and train a network; return its best state as an enhancer."""
    core.set_seed(run.seed)
    with core.dtype_policy(precision):
        network = build()
    prepare(network, run, loss)
    train(network, run, *pairs, path, mixup)
    training.load_checkpoint(training.best_path(path), network)
    return viewer(network)


compared = {}
for name in ablations:
    own_run = replace(run, stages=ablation_stages, seed=seed + other_seeds.get(name, 0))
    path = run.folder / "rivals" / f"{name}.npz"  # runs of version 0.1 have them there
    compared[name] = train_alike(
        builders[name], own_run, loss, (train_pairs, val_pairs), path, precision, mixup
    )

# %% [markdown]
# Zero-DCE as shipped joins in, and what each costs is measured in the same run: the mean time
# for a photo, and the parameters.

# %%
compared["zero_dce"] = load_enhancer("zero_dce")
records = []
for name, enhancer in compared.items():
    enhancer.enhance(low)  # the first call of a network is slow
    record = evaluation.evaluate(
        name, enhancer.enhance, val_pairs, data=f"{source}, val", scenes=scenes
    )
    record["parameters"] = enhancer.model.count_params()
    if name in ablations:
        record["training"] = {"stages": ablation_stages, "steps": steps}
    records.append(record)
evaluation.save_records("04_ablations", records, run.folder)
Markdown(evaluation.table(records))

# %% [markdown]
# A few seconds of training would say nothing about quality. The same cells with the profile `cpu`,
# on LOL's pairs, gave this record:

# %%
ablations_lol = evaluation.load_records("mirnet_rivals")
Markdown(evaluation.table(ablations_lol))

# %% [markdown]
# What lies within the spread of the three seeds means nothing. Computed from the record:

# %%
score_of = {name: record["summary"]["psnr"]["mean"] for name, record in ablations_lol.items()}
seeds = [score_of[name] for name in ("mirnet", "mirnet_seed_1", "mirnet_seed_2")]
print(f"three seeds: {max(seeds) - min(seeds):.2f} dB apart, mean {np.mean(seeds):.2f} dB")
for name in ("channel_softmax", "pixel_attention", "max_and_nearest", "lost_stream", "keras_io"):
    gap = np.mean(seeds) - score_of[name]
    beyond = "more than" if gap > max(seeds) - min(seeds) else "no more than"
    print(f"{name:16} {gap:+.2f} dB behind, {beyond} seeds differ")

# %% [markdown]
# Changes were made one at a time, and `keras_io` has them all and more: raw streams, nothing
# shared, ReLU. These three were not taken out one by one, so no row says what each of them costs.
#
# ## What quality costs
#
# From the same record: PSNR on whole validation photos, blind, against the seconds that a photo of
# 600×400 takes on two processor cores, and against the parameters.

# %%
networks = ("mirnet", "base", "keras_io", "unet", "zero_dce")
reached = {name: ablations_lol[name]["summary"]["psnr"]["mean"] for name in networks}
points = {name: (ablations_lol[name]["seconds"], dB) for name, dB in reached.items()}
display.cost_chart(points, "seconds for a photo of 600×400", "PSNR on LOL's val pairs (dB)")

# %%
points = {name: (ablations_lol[name]["parameters"], dB) for name, dB in reached.items()}
display.cost_chart(points, "parameters", "PSNR on LOL's val pairs (dB)")

# %% [markdown]
# Three times the blocks (`base`) take nearly three times as long and bring less than seeds differ
# after equally many steps; whether they pay with longer training, this record does not tell. What
# the project ships as `mirnet` is the first of these, trained for sixteen times as many steps, on
# larger crops:

# %%
Markdown(evaluation.table(evaluation.load_records("lol_val"), ["psnr", "ssim"]))

# %% [markdown]
# Longer is not better by itself. The same network after the 6,000 steps of the profile `cpu`;
# after 17,400 steps of a longer run, which we stopped there; and after 2,400 more, on crops of
# 400 pixels, the full height of the photos:

# %%
Markdown(evaluation.table(evaluation.load_records("mirnet_crops")))

# %% [markdown]
# From the first row to the second, noise and detail get better: SSIM rises, and so does the PSNR
# that makes the mean brightness right. The blind PSNR falls, because the network misjudges how
# bright a *whole* photo should be. It had never seen one: the means in its attention were always
# those of a crop. 2,400 steps on crops as large as the photos put that right.
#
# A score has a share of chance, too: the training of the first row with other seeds. (The first 41
# epochs of seed 0 followed a longer schedule.)

# %%
Markdown(evaluation.table(evaluation.load_records("mirnet_seeds"), ["psnr", "ssim"]))

# %% [markdown]
# ## Where it fails
#
# **Noise and detail.** A network that removes noise may take fine texture for noise: compare the
# crops. **Another kind of dark.** It has learnt how much light its training photos lacked; a
# photo that is well exposed, or dark in another way, may get the same treatment. A pair teaches
# what is right for *its* scene, and a network trained on few scenes has seen few.

# %%
good = core.to_float(data.sample_scenes()["coffee"])[::2, ::2]
slightly = data.darken(good, 0, data.Camera(exposure=0.5))
pictures = {"well exposed": good, "and enhanced": trained.enhance(good)}
pictures |= {"half the light": slightly, "enhanced": trained.enhance(slightly)}
display.show_images(pictures, columns=2)

# %% [markdown]
# ## Exercises
#
# **1.** Repair the softmax of the copy: `branch_weights` takes the axis. What do the weights of
# the branches add up to for each channel, with either axis?
#
# <details><summary>Solution</summary>Over the branches they add up to one for each channel, over
# the channels to about three divided by their number. The next cell shows both.</details>

# %% tags=["solution"]
wide = features_of(low, 64)
for name, axis in {"branches": 0, "channels": -1}.items():
    total_weight = ops.convert_to_numpy(ops.sum(branch_weights(64, axis)([wide] * 3), axis=0))
    print(f"softmax over {name}: {total_weight.min():.3f} to {total_weight.max():.3f}")

# %% [markdown]
# **2.** Swap blur-pool for maximum pooling in `residual_down`, and measure how much the block's
# output changes when the photo moves by one pixel. (*Hint:* seed before each, so that both have
# the same weights.)
#
# <details><summary>Solution</summary>The next cell. The pool is an argument.</details>

# %% tags=["solution"]
for name, pool in {"maximum": layers.MaxPooling2D, "blur": BlurPool}.items():
    keras.utils.set_random_seed(1)
    print(f"{name:8} {shift_variance(residual_down(3, pool), normal):.4f}")

# %% [markdown]
# **3.** The copy reports a PSNR above 65 dB. Its images lie in [0, 1], but it calls PSNR with a
# peak of 255. What does it report for our result, and how much of that is the peak?
#
# <details><summary>Solution</summary>A peak of 255 adds 20 log₁₀ 255 to any image, good or bad:
# take that off and the well-known 67 dB are an ordinary score.</details>

# %% tags=["solution"]
error = np.mean((enhanced - normal) ** 2)
reported = 10 * np.log10(255**2 / error)
bonus = 20 * np.log10(255)
print(
    f"reported {reported:.2f} dB, of which {bonus:.2f} dB are the peak: {reported - bonus:.2f} dB"
)
print(f"with the right peak {psnr(enhanced, normal):.2f} dB; 67.15 dB were {67.15 - bonus:.2f} dB")

# %% [markdown]
# ## What was learnt
#
# - Three streams that exchange features see area and detail at once.
# - Attention is multiplication with learnt weights. Over which axis they are normalised decides
#   whether a fusion chooses or fades; a test with equal branches tells.
# - Blur before you subsample.
# - Pairs teach brightness, colour and noise removal; the price is that they must exist.
# - A validation on whole photos in the right scale costs little and prevents fairy tales.

# %%
print(core.versions())
