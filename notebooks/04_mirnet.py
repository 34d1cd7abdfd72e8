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
# train a small one on pairs, and see what its quality costs.

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
    package = f"{project}[notebooks,photos]"  # camera raw and HEIC too
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)
    os.chdir(f"{project}/notebooks")

# %% [markdown]
# ## What you will learn
#
# - how three streams of different resolution exchange what they know;
# - how *attention* decides where to look and which features to use;
# - why a picture must be blurred before it is made smaller;
# - how to train on pairs: loss, schedule, averaged weights, a run that can be killed;
# - what quality costs, in seconds and in parameters.
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
# No convolution has a bias. A photo is a batch of one for the network. Our own blocks start with
# weights of chance, which are nothing to look at. So we borrow *features* to try them on: what the
# first convolution of the network that the project ships makes of our photo.


# %%
def convolution(filters, size=3, **options):
    """Return a convolution without bias that keeps height and width."""
    return layers.Conv2D(filters, size, padding="same", use_bias=False, **options)


def features_of(image, network):
    """Return what the first convolution of a network makes of an image: (1, H, W, C)."""
    first = next(layer for layer in network.layers if isinstance(layer, layers.Conv2D))
    return first(image[None])


def shown(features, count=3):
    """Return the first channels of features (1, H, W, C) as maps."""
    return list(np.moveaxis(ops.convert_to_numpy(features)[0, ..., :count], -1, 0))


# %%
shipped = load_enhancer("mirnet")
x = features_of(low, shipped.model)
channels = x.shape[-1]
print(f"{channels} features of {x.shape[1]}×{x.shape[2]}")
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
# The softmax runs **over the branches**: it decides between them. (In a well-known copy it runs
# over the channels; `14_copies` shows what that does.)


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
# Two checks, which hold before anything is trained: the weights of the branches add up to one for
# each channel, and three equal branches come back as they were.

# %%
branches = [x, 2 * x, -x]
weights = ops.convert_to_numpy(branch_weights(channels)(branches))[:, 0, 0, 0]
total = weights.sum(axis=0)
print(f"the weights of a channel add up to {total.min():.3f} to {total.max():.3f}")
same = skff(channels)([x, x, x])
print("equal branches come back:", np.allclose(same, x, atol=1e-6))

# %% [markdown]
# What a *trained* fusion chooses, the shipped network shows. Its last one merges what comes from
# full, half and quarter resolution; one bar for each channel, for our photo:

# %%
last = [step for step in shipped.model.operations if type(step).__name__ == "Softmax"][-1]
chosen = keras.Model(shipped.model.input, last.output)(low[None])
chosen = ops.convert_to_numpy(chosen)[:, 0, 0, 0].T
rows = [dict(zip(("full", "half", "quarter"), map(float, row), strict=True)) for row in chosen]
display.stacked_bars({f"channel {n + 1}": row for n, row in enumerate(rows)}, "weight")

# %% [markdown]
# ## Attend: where, and what
#
# *Spatial attention* is a picture of weights between 0 and 1, one per pixel, computed from the
# maximum and the mean over the channels with a 5×5 convolution: it sees a neighbourhood.
# *Channel attention* is one weight per channel, from the channel's mean over the photo.
# Where a trained network looks is shown further below, when we have trained one.


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
where, which = spatial_attention()(x), channel_attention(channels)(x)
print(f"features {x.shape}: weights of the pixels {where.shape}, of the channels {which.shape}")
seen = {"maximum": ops.max(x, -1, keepdims=True), "mean": ops.mean(x, -1, keepdims=True)}
display.show_images({"low": low} | {name: shown(map_, 1)[0] for name, map_ in seen.items()})

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


print(x.shape, "->", dual_attention(channels, ScalarPReLU())(x).shape)

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
half = residual_down(channels)(x)
again = residual_up(2 * channels)(half)
print(x.shape, "->", half.shape, "->", again.shape)

# %% [markdown]
# ## The multi-scale block
#
# Level 0 is full resolution, 1 a half, 2 a quarter. Drawn at one size, the pixels grow from level
# to level, and a convolution of 3×3 of them sees ever more of the scene.

# %%
levels = [low]
for _ in range(2):
    levels.append(ops.convert_to_numpy(BlurPool()(levels[-1][None]))[0])
display.show_images({f"level {n}": level for n, level in enumerate(levels)})

# %% [markdown]
# `resize` chains the blocks above to bring features from one level to any other.


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
# Now the heart of MIRNet. Its code reads in four steps, and so does the network:
#
# | | full resolution | half | quarter |
# |---|---|---|---|
# | **streams** | the input; attends | *full*, halved; attends | *half*, halved; attends |
# | **exchange** | all three, fused | all three, fused | all three, fused |
# | **attention** | attends again | attends again | attends again |
# | **fusion** | all three, fused | | |
#
# The lower streams start from what the stream above them has attended to, not from the raw input.
#
# Weights are **shared** in three places, as in the released code: both rows of attention use the
# same units, the last fusion is that of full resolution, and the way down that starts a stream is
# also the one that feeds it in the exchange. The last way up has weights of its own.
#
# Its parts are arguments. `14_copies` hands in others, to see what each part is worth.


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
        full = attend[0](x)
        full_halved = move[0, 1](full)
        half = attend[1](full_halved)
        half_halved = move[1, 2](half)
        quarter = attend[2](half_halved)

        at_full = fuse[0]([full, move[1, 0](half), move[2, 0](quarter)])
        at_half = fuse[1]([full_halved, half, move[2, 1](quarter)])
        at_quarter = fuse[2]([move[0, 2](full), half_halved, quarter])

        streams = [attend[0](at_full), attend[1](at_half), attend[2](at_quarter)]
        merged = fuse[0]([last_up[level](streams[level]) for level in merge])
        return x + close(merged)

    return block


print(x.shape, "->", multi_scale_block(channels, ScalarPReLU())(x).shape)

# %% [markdown]
# The block drawn from itself, each of its parts as one box:

# %%
parts = {"attention": display.boxed("attend", dual_attention)}
parts |= {"fusion": display.boxed("fuse", skff), "resizing": display.boxed("resize", resize)}
drawn = partial(multi_scale_block, **parts)
features_in = keras.Input((None, None, 8), name="features")
display.network_diagram(keras.Model(features_in, drawn(8, ScalarPReLU())(features_in)))

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
learnt = {"trained here": enhanced, "shipped": shipped.enhance(low)}
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
# ## What quality costs
#
# `14_copies` trains our network and others alike: the size `base`, the best-known copy of MIRNet
# (`keras_io`) and a plain U-Net. From its record, on LOL: PSNR on whole validation photos, blind,
# against the seconds that a photo of 600×400 takes on two processor cores, and against the
# parameters.

# %%
ablations_lol = evaluation.load_records("mirnet_rivals")
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
# **1.** Swap blur-pool for maximum pooling in `residual_down`, and measure how much the block's
# output changes when the photo moves by one pixel. (*Hint:* seed before each, so that both have
# the same weights.)
#
# <details><summary>Solution</summary>The next cell. The pool is an argument.</details>

# %% tags=["solution"]
for name, pool in {"maximum": layers.MaxPooling2D, "blur": BlurPool}.items():
    keras.utils.set_random_seed(1)
    print(f"{name:8} {shift_variance(residual_down(3, pool), normal):.4f}")

# %% [markdown]
# **2.** What would the score of the example be without one of the three streams? Take each out in
# turn, by its factor in `with_scales`.
#
# <details><summary>Solution</summary>A factor of 0 takes a stream out of the last fusion; the rest
# of the network was never trained for that, so read the loss as what it relies on, not as what the
# stream knows.</details>

# %% tags=["solution"]
print(f"all streams      {psnr(with_scales(1, 1, 1), normal):.2f} dB")
for n, name in enumerate(("full", "half", "quarter")):
    factors = np.ones(3)
    factors[n] = 0
    print(f"without {name:8} {psnr(with_scales(*factors), normal):.2f} dB")

# %% [markdown]
# **3.** An untrained network whose last convolution holds zeros: what does it return, and why is
# that a good place to start from?
#
# <details><summary>Solution</summary>The photo itself, to the last bit, because its output is added
# to the input. Training then only ever has to learn what is missing.</details>

# %% tags=["solution"]
untrained = mirnet(8, 1, 1)
untrained.weights[-1].assign(np.zeros(untrained.weights[-1].shape))
print("the photo comes back:", np.array_equal(untrained(low[None])[0], low))

# %% [markdown]
# ## What was learnt
#
# - Three streams that exchange features see area and detail at once.
# - Attention is multiplication with learnt weights. A fusion chooses between branches, so its
#   softmax runs over them; a test with equal branches tells.
# - Blur before you subsample.
# - Pairs teach brightness, colour and noise removal; the price is that they must exist.
# - A validation on whole photos in the right scale costs little and prevents fairy tales.
#
# `14_copies` takes the well-known copies of this network, of Zero-DCE and of pix2pix apart.

# %%
print(core.versions())
