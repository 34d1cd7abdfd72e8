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
# # Zero-DCE: learn to brighten from dark photos alone
#
# You will build a network that draws a brightening curve for every pixel, train it without
# ever showing it a well-lit photo, measure it honestly, and make a fast variant of it.

# %% [markdown] tags=["badges"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/low-light-notebooks/blob/main/notebooks/03_zero_dce.ipynb)

# %% tags=["setup"]
import os
import subprocess
import sys

if "google.colab" in sys.modules:  # elsewhere the package is installed already
    project = "/content/low-light-notebooks"
    address = "https://github.com/OWNER/low-light-notebooks"
    if not os.path.isdir(project):
        subprocess.run(["git", "clone", "--quiet", "--depth=1", address, project], check=True)
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", project], check=True)
    os.chdir(f"{project}/notebooks")

# %% [markdown]
# ## What you will learn
#
# - how one quadratic curve, applied eight times, brightens without clipping;
# - how a small network chooses that curve for each pixel and colour;
# - how four losses replace the well-lit photo that we do not have;
# - what two widely copied mistakes in these losses do;
# - how to train so that a run can be killed and resumed, and how to judge the result;
# - how Zero-DCE++ does nearly the same at a fraction of the cost.
#
# You should know what a convolution is and have read `02_metrics`. With the synthetic sample
# the notebook takes about a minute on two processor cores; the settings of the shipped
# enhancers are in `profiles/colab.yml`.
#
# **References.** Guo et al., *Zero-Reference Deep Curve Estimation for Low-Light Image
# Enhancement*, CVPR 2020, arXiv 2001.06826 (equations 1 to 7); Li, Guo and Loy, *Learning to
# Enhance Low-Light Image via Zero-Reference Deep Curve Estimation*, TPAMI 2021,
# arXiv 2103.00860.

# %%
import os
import time
from pathlib import Path

import keras
import numpy as np
from IPython.display import Markdown
from keras import layers, ops

from lle_utils import (
    baselines,
    data,
    files,
    images,
    plotting,
    results,
    supervised,
    synthetic,
    training,
    widgets,
)
from lle_utils.inference import load_enhancer, save_enhancer
from lle_utils.layers import UpsampleBilinear
from lle_utils.losses import (
    WEIGHTS,
    color_constancy_loss,
    exposure_control_loss,
    illumination_smoothness_loss,
    spatial_consistency_loss,
)
from lle_utils.metrics import psnr
from lle_utils.streams import PhotoStream

# %% [markdown]
# The next cell holds everything there is to set. `weights` are those of spatial consistency,
# exposure, colour and smoothness, in this order; the second enhancer has its own because its
# maps are smaller.

# %% tags=["parameters"]
source = "synthetic"  # or "lol": the dark photos of LOL and, if there, photos of mixed exposure
mixed_share = 0.2  # share of photos of mixed exposure in training
variant = "official"  # of the losses: "paper" or "official"
exposure_target = 0.4  # the brightness to aim for, E; the paper has 0.6
exposure_target_pp = 0.4  # the same for Zero-DCE++
weights = [1.0, 10.0, 5.0, 200.0]
weights_pp = [1.0, 10.0, 5.0, 1600.0]
scale = 12  # Zero-DCE++ sees the photo reduced by this factor
shrink = 4  # training photos are reduced by this factor beforehand
shrink_pp = 4  # the same for Zero-DCE++, a part of its scale
crop = 32
crop_pp = 48
batch_size = 4
steps = 16  # training steps per epoch
epochs = 8
epochs_pp = 12
learning_rate = 5e-3
seed = 0
deterministic = False  # bit-identical repeats, at some cost in speed
output_dir = ""  # where results go; empty: runs/03_zero_dce in the project

# %% [markdown]
# ## Data: dark photos, and a few that are not
#
# Training uses single photos, no pairs. A network that only ever sees dark photos learns that
# brightening is always right, so the authors train on exposures of all kinds. Our sample does
# the same: dark shots of the synthetic camera, and shots with normal and with too much light.


# %%
def synthetic_photos(count: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return dark photos and photos of mixed exposure, uint8, from the training scenes."""
    pairs = synthetic.synthetic_pairs(count, (192, 192), seed, synthetic.TRAIN_SCENES)
    exposures = np.geomspace(0.3, 3.0, count)
    mixed = [
        synthetic.darken(images.to_float(normal), i, synthetic.Camera(exposure=float(k)))
        for i, (normal, k) in enumerate(zip(pairs.normal, exposures, strict=True))
    ]
    return list(pairs.low), [images.to_uint8(photo) for photo in mixed]


# %% [markdown]
# With `source = "lol"` the dark photos are those of the training scenes of LOL. A folder
# `sice_mix_256` beside them, with single photos of mixed exposure, is used when it exists;
# without it the network sees dark photos only.


# %%
def lol_photos() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the dark photos of LOL's training scenes and the mixed-exposure set, if any."""
    low = [images.read_uint8(pair.low) for pair in data.lol_pairs("train")]
    folder = (files.photo_dir() or files.data_dir() / "downloads") / "sice_mix_256"
    if not folder.is_dir():
        return low, []
    return low, [images.read_uint8(path) for path in data.list_photos(folder)]


dark, mixed = lol_photos() if source == "lol" else synthetic_photos(24, seed)
print(f"{len(dark)} dark photos {dark[0].shape}, {len(mixed)} of mixed exposure")

# %% [markdown]
# Three dark photos and three of mixed exposure, as the network will get them:

# %%
samples = [images.to_float(photo) for photo in (dark[:3] + mixed[-3:])]
plotting.show_images(samples, columns=3)

# %% [markdown]
# For judging the result, and only for that, we keep pairs of scenes that are not trained on.


# %%
def validation_pairs(source: str, seed: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return (name, low, reference) of scenes that training never sees, float in [0, 1]."""
    if source == "lol":
        return data.lol_pairs("val")
    pairs = synthetic.synthetic_pairs(4, (240, 360), seed + 1, synthetic.VAL_SCENES)
    rows = zip(pairs.names, pairs.low, pairs.normal, strict=True)
    return [(name, images.to_float(low), images.to_float(normal)) for name, low, normal in rows]


sample = synthetic.synthetic_pairs(1, (240, 360), seed + 1, synthetic.VAL_SCENES)
low = images.to_float(sample.low[0])
normal = images.to_float(sample.normal[0])

# %% [markdown]
# ## The idea: a curve that cannot clip
#
# A brightening curve should keep black black and white white, rise everywhere, and be simple
# to differentiate. The paper takes the smallest polynomial that does (equation 1):
#
# $$ LE(x) = x + \alpha\, x\, (1 - x), \qquad \alpha \in [-1, 1] $$


# %%
def light_curve(x, alpha):
    """Apply the quadratic curve of equation 1 to values in [0, 1]; alpha > 0 brightens."""
    return x + alpha * x * (1 - x)


x = np.linspace(0, 1, 101)
plotting.plot_curves(x, {f"α = {alpha}": light_curve(x, alpha) for alpha in (-1, -0.5, 0.5, 1)})

# %% [markdown]
# One such curve is gentle: it at most doubles a dark value. Applied again and again it gets
# steep where it has to be, at the dark end (equation 2). The paper applies it eight times.


# %%
def iterate(x, alpha, times):
    """Apply the same curve several times."""
    for _ in range(times):
        x = light_curve(x, alpha)
    return x


plotting.plot_curves(x, {f"{n} times": iterate(x, 0.6, n) for n in (1, 2, 4, 8)})

# %%
plotting.show_images({f"{n} times": iterate(low, 0.4, n) for n in (0, 2, 4, 8)}, columns=2)

# %% [markdown]
# One α for the whole photo is a blunt tool: what is right for the shadows is too much for the
# lamp. So α becomes a picture of its own, one value for each pixel, colour and iteration
# (equation 3): eight *curve parameter maps* of three channels. A network will draw them.
#
# The released code writes the curve with the opposite sign, $x + r\,(x^2 - x)$ with
# $r = -\alpha$. We keep that convention for the maps, so that negative values brighten.

# %%
ITERATIONS = 8


def apply_curves(low, maps):
    """Apply eight curves by maps (N, H, W, 24), or the same one eight times by (N, H, W, 3)."""
    shared = maps.shape[-1] == 3
    for r in [maps] * ITERATIONS if shared else ops.split(maps, ITERATIONS, axis=-1):
        low = low + r * (low * low - low)
    return low


# %% [markdown]
# ## The network: seven convolutions
#
# DCE-Net has no pooling, no normalisation and no depth to speak of: seven 3×3 convolutions with
# 32 filters, the second half joined to the first by concatenation, and a tanh at the end that
# keeps the maps in [-1, 1]. Weights start as Gaussian noise of standard deviation 0.02; each
# layer gets an initializer of its own, because one shared instance would repeat its numbers.

# %%
FILTERS = 32


def convolution(filters, activation="relu"):
    """Return the 3x3 convolution of DCE-Net."""
    start = keras.initializers.RandomNormal(stddev=0.02)
    return layers.Conv2D(
        filters, 3, padding="same", activation=activation, kernel_initializer=start
    )


def estimate_maps(x, conv, channels):
    """Connect the seven layers of DCE-Net; ``conv`` makes one layer."""
    first = conv(FILTERS)(x)
    second = conv(FILTERS)(first)
    third = conv(FILTERS)(second)
    fourth = conv(FILTERS)(third)
    fifth = conv(FILTERS)(layers.Concatenate()([third, fourth]))
    sixth = conv(FILTERS)(layers.Concatenate()([second, fifth]))
    return conv(channels, "tanh")(layers.Concatenate()([first, sixth]))


def dce_net():
    """Build Zero-DCE: ``low`` (N, H, W, 3) in [0, 1] to the enhanced photo and its maps."""
    low = keras.Input((None, None, 3), name="low")
    maps = estimate_maps(low, convolution, 3 * ITERATIONS)
    return keras.Model(low, [apply_curves(low, maps), maps], name="zero_dce")


# %% [markdown]
# An untrained network draws maps of nearly nothing, so its photo is nearly the input. The
# paper counts its parameters as 79,416; so do we.

# %%
training.set_seed(seed, deterministic)
network = dce_net()
enhanced, maps = (ops.convert_to_numpy(part)[0] for part in network(low[None]))
print(f"{network.count_params():,} parameters; largest |r| {np.abs(maps).max():.4f}")
assert network.count_params() == 79_416

# %% [markdown]
# ## Four losses instead of a well-lit photo
#
# What do we want of a photo that we have never seen? Four things, each a number that is small
# when we have it. Let us look at what each of them prefers, on versions of one photo.

# %%
versions = {
    "low": low,
    "gamma": baselines.gamma(low),
    "histogram equalisation": baselines.equalize(low),
    "normal": normal,
}
plotting.show_images(versions, columns=2)

# %% [markdown]
# ### 1. Spatial consistency: keep the contrast between neighbours
#
# The photo is averaged over 4×4 regions. Two neighbouring regions should differ after
# enhancement as much as they did before (equation 3 of the losses): brightening evenly costs
# nothing, while stretching the contrast costs much.


# %%
def on_image(loss, image, *others, **options):
    """Evaluate a loss for single images."""
    return float(loss(*(ops.convert_to_tensor(a[None]) for a in (image, *others)), **options))


for name, image in versions.items():
    print(f"{name:24}{on_image(spatial_consistency_loss, image, low):.4f}")

# %% [markdown]
# ### 2. Exposure control: a middling brightness in every patch
#
# The mean of each 16×16 patch should be near a well-exposed level E, 0.6 in the paper. The
# picture shows how far each patch of the dark photo is from it.


# %%
def patch_means(image, patch=16):
    """Average the brightness over square patches."""
    grey = image.mean(axis=-1)
    height, width = (side // patch * patch for side in grey.shape)
    return grey[:height, :width].reshape(height // patch, patch, -1, patch).mean(axis=(1, 3))


plotting.show_images({name: np.abs(patch_means(v) - 0.6) for name, v in versions.items()}, 4)

# %% [markdown]
# ### 3. Colour constancy: no cast
#
# Over a whole photo red, green and blue should average to about the same: the *grey-world*
# assumption. It is false for a sunset, and right often enough to hold a network in check.

# %%
cast = np.clip(normal * np.array([1.25, 1.0, 0.8], "float32"), 0, 1)
for name, image in {"normal": normal, "with a warm cast": cast}.items():
    print(f"{name:24}{on_image(color_constancy_loss, image):.4f}")

# %% [markdown]
# ### 4. Illumination smoothness: no new edges
#
# Neighbouring pixels should get nearly the same curve. Otherwise the maps copy the noise of
# the photo and amplify it. This loss looks at the maps, not at the photo.

# %%
rng = np.random.default_rng(seed)
ramp = np.tile(np.linspace(-0.5, 0.5, 96, dtype="float32")[:, None, None], (1, 96, 24))
rough = ramp + rng.normal(0, 0.05, ramp.shape).astype("float32")
for name, image in {"ramp": ramp, "ramp with noise": rough}.items():
    print(f"{name:24}{on_image(illumination_smoothness_loss, image):.6f}")

# %% [markdown]
# ## Paper, code and copies
#
# The released code differs from the paper: it squares the exposure error, takes signed
# contrasts, takes the root of fourth powers in the colour loss, and weighs the terms
# differently. The best-known Keras example goes further astray. Two tests show how.
#
# **Brightening evenly** keeps all contrasts, so the spatial loss should be zero (the official
# code pads with zeros and pays a little at the border). In the copies the kernels have the
# wrong layout, and brightening itself is punished.
#
# **Turning the photo by 90°** must not change any loss. The copies see horizontal contrast only.

# %%
dim, bright = np.full((1, 256, 256, 3), 0.2, "float32"), np.full((1, 256, 256, 3), 0.6, "float32")
stripes = np.zeros_like(dim)
stripes[:, np.arange(256) % 16 < 8] = 0.2
rows = {
    v: [
        spatial_consistency_loss(bright, dim, v),
        spatial_consistency_loss(stripes, dim * 0, v),
        spatial_consistency_loss(stripes.transpose(0, 2, 1, 3), dim * 0, v),
    ]
    for v in WEIGHTS
}
cells = [f"| {v} | " + " | ".join(f"{float(c):.4f}" for c in row) + " |" for v, row in rows.items()]
head = "| variant | +0.4 everywhere | horizontal stripes | vertical stripes |\n|---|---|---|---|"
Markdown("\n".join([head, *cells]))

# %% [markdown]
# **Making the maps larger** by adding more of the same ramp must not change the smoothness.
# The copies divide by the wrong axes of the tensor: the term is an order of magnitude too
# strong, and the more so the taller the photo.

# %%
for side in (128, 256, 512):
    slope = np.tile(np.arange(side, dtype="float32")[:, None, None] / 512, (1, side, 24))
    values = {v: on_image(illumination_smoothness_loss, slope, variant=v) for v in WEIGHTS}
    print(f"{side:4} pixels:", ", ".join(f"{v} {value:.2e}" for v, value in values.items()))

# %% [markdown]
# ## Training
#
# Keras trains any model whose loss it knows. Ours needs no target, so `compute_loss` is all
# that we override; `fit` then works under TensorFlow and JAX alike. A tracker for each term
# lets us plot them separately.

# %%
TERMS = ("spatial", "exposure", "color", "smoothness")


class ZeroReference(keras.Model):
    """Train a network that returns the enhanced photo and its maps, with the four losses."""

    def __init__(self, network, weights, target, variant):
        super().__init__()
        self.network = network
        self.term_weights = dict(zip(TERMS, weights, strict=True))
        self.target, self.variant = target, variant
        self.trackers = [keras.metrics.Mean(name=name) for name in TERMS]

    def call(self, low):
        """Return the enhanced photos and their maps."""
        return self.network(low)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Add up the four terms; there is no ``y``."""
        enhanced, maps = y_pred
        terms = [
            spatial_consistency_loss(enhanced, x, self.variant),
            exposure_control_loss(enhanced, self.target, self.variant),
            color_constancy_loss(enhanced, self.variant),
            illumination_smoothness_loss(maps, self.variant),
        ]
        for tracker, term in zip(self.trackers, terms, strict=True):
            tracker.update_state(term)
        return sum(w * term for w, term in zip(self.term_weights.values(), terms, strict=True))


# %% [markdown]
# The learning rate falls along a cosine, and the gradient's norm is clipped at 0.1 as in the
# released code. After every epoch all that an exact resume needs is written to a checkpoint:
# if you interrupt this cell and run it again with the same `output_dir`, it goes on where it
# was. Batches depend on seed, epoch and step only, so the result is the same.


# %%
def train(network, photos, folder, weights, target, crop, epochs):
    """Train a network on single photos; return the value of every loss term per epoch."""
    trainer = ZeroReference(network, weights, target, variant)
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * steps, alpha=0.01)
    adam = keras.optimizers.Adam(rate, global_clipnorm=0.1)
    trainer.compile(optimizer=adam, **training.compile_options())
    trainer.build((None, crop, crop, 3))
    stream = PhotoStream(photos, crop, batch_size, seed, steps=steps)
    path = folder / f"{network.name}_checkpoint.npz"
    return training.fit(trainer, stream, epochs, path, verbose=0)


def mix(dark, mixed, share, seed):
    """Return the dark photos and as many mixed ones as make up ``share`` of all."""
    count = min(len(mixed), round(share / (1 - share) * len(dark)))
    chosen = np.random.default_rng(seed).permutation(len(mixed))[:count]
    return [*dark, *(mixed[i] for i in chosen)]


# %% [markdown]
# The exposure loss asks for the same brightness in every patch of 16×16 pixels. In a large
# photo that is a small spot, and a network that obeys paints everything the same grey. In a
# photo reduced by `shrink` a patch covers `shrink` times as much of the scene, so the loss
# asks for less, and a step costs a fraction. The network may still be used at full size.


# %%
def reduce(photo, factor):
    """Average a uint8 photo over blocks; return float32 in [0, 1]."""
    height, width = (side // factor for side in photo.shape[:2])
    blocks = photo[: height * factor, : width * factor]
    blocks = blocks.reshape(height, factor, width, factor, 3)
    return (blocks.mean(axis=(1, 3)) / 255).astype("float32")


def reduce_all(photos, factor, crop):
    """Reduce photos by a factor, small ones by less so that a crop still fits."""
    return [reduce(p, max(1, min(factor, min(p.shape[:2]) // crop))) for p in photos]


# %%
folder = Path(output_dir) if output_dir else files.project_root() / "runs" / "03_zero_dce"
photos = mix(dark, mixed, mixed_share, seed)
reduced = photos if shrink == 1 else reduce_all(photos, shrink, crop)
started = time.time()
history = train(network, reduced, folder, weights, exposure_target, crop, epochs)
print(f"{epochs} epochs of {steps} steps on {len(photos)} photos in {time.time() - started:.0f} s")

# %% [markdown]
# Each term has its own panel. Exposure falls because the photos get brighter, and that is
# bought with some spatial consistency: the two pull in opposite directions. The
# smoothness of the maps rises from zero, since constant maps were perfectly smooth.

# %%
plotting.loss_curves(history)

# %%
enhanced, maps = (ops.convert_to_numpy(part)[0] for part in network(low[None]))
plotting.before_after(low, np.clip(enhanced, 0, 1))

# %% [markdown]
# The maps tell what was learnt: negative (blue) is brightening. Dark regions get strong
# curves, bright ones weak, and each iteration has its own share of the work.

# %%
plotting.curve_maps(maps)

# %% [markdown]
# ## Zero-DCE++: nearly the same for much less
#
# Three changes make the network fast. Every convolution is split into one per channel
# (*depthwise*) and a 1×1 mixture. All eight iterations share one map of three channels. And
# since the maps are smooth anyway, they are drawn from a reduced photo and enlarged.
#
# The released code picks pixels bilinearly when it reduces; we average whole blocks, which
# also removes noise. It enlarges with corners aligned, we with pixel centres.


# %%
def separable(filters, activation="relu"):
    """Return a depthwise 3x3 and a pointwise 1x1 convolution."""
    depthwise = layers.DepthwiseConv2D(3, padding="same")
    pointwise = layers.Conv2D(filters, 1, activation=activation)
    return lambda x: pointwise(depthwise(x))


def dce_net_pp(scale):
    """Build Zero-DCE++ for photos whose sides are multiples of ``scale``."""
    low = keras.Input((None, None, 3), name="low")
    reduced = layers.AveragePooling2D(scale)(low)
    maps = estimate_maps(reduced, separable, 3)
    curved = apply_curves(low, UpsampleBilinear(scale)(maps))
    return keras.Model(low, [curved, maps], name="zero_dce_pp")


# %% [markdown]
# Its training photos are reduced further: what the network sees at a total reduction of `scale`
# is the same, and a training step costs next to nothing.

# %%
fast = dce_net_pp(scale // shrink_pp)
assert fast.count_params() == 10_561
reduced = reduce_all(photos, shrink_pp, crop_pp)
history_pp = train(fast, reduced, folder, weights_pp, exposure_target_pp, crop_pp, epochs_pp)
plotting.loss_curves(history_pp)

# %% [markdown]
# ## From network to enhancer
#
# An *enhancer* is a network with one output and a card that says what it is. `multiple` is
# what the sides of a photo must divide by (the loader pads and crops), `halo` how far a pixel
# sees, so that large photos can be cut into tiles without a seam.


# %%
def save(network, name, method, multiple, halo, training_facts):
    """Save a trained network as an enhancer in the output folder and return it."""
    model = keras.Model(network.input, network.outputs[0], name=name)
    card = {"name": name, "method": method, "inputs": ["low"], "multiple": multiple, "halo": halo}
    card |= {"training": training_facts, "licence": LICENCES[source]}
    path = save_enhancer(model, folder / name, card)
    return load_enhancer(path)


LICENCES = {
    "synthetic": "photos of scikit-image's wheel, each free to use",
    "lol": "LOL v1: licence not stated; mixed-exposure photos: CC BY-NC 4.0",
}
facts = {
    "data": source,
    "split": "train",
    "photos": len(photos),
    "seed": seed,
    "variant": variant,
    "learning_rate": learning_rate,
    "steps": steps,
    "batch_size": batch_size,
    "hardware": f"{os.cpu_count()} CPU cores",
}

# %%
slow_facts = {
    **facts,
    "exposure_target": exposure_target,
    "weights": weights,
    "crop": crop,
    "epochs": epochs,
    "shrink": shrink,
}
zero_dce = save(network, "zero_dce", "Zero-DCE", 1, 8, slow_facts)
full_size = dce_net_pp(scale)
full_size.set_weights(fast.get_weights())
fast_facts = {
    **facts,
    "exposure_target": exposure_target_pp,
    "weights": weights_pp,
    "crop": crop_pp,
    "epochs": epochs_pp,
    "shrink": shrink_pp,
}
zero_dce_pp = save(full_size, "zero_dce_pp", "Zero-DCE++", scale, 8 * scale, fast_facts)

# %% [markdown]
# ## Evaluation
#
# Both enhancers meet the methods that need no training, on scenes that were not trained on, at
# full size, blind: nothing of the reference is used. Each number is the mean over images with
# a 95 % interval. *Auto-gamma*, one exponent per photo, is the bar: a network that does not
# pass it has learnt less than one number.

# %%
methods = {
    name: baselines.BASELINES[name] for name in ("input", "gamma", "gamma_clahe", "auto_gamma")
}
methods |= {"zero_dce": zero_dce.enhance, "zero_dce_pp": zero_dce_pp.enhance}
pairs = validation_pairs(source, seed)
scenes = supervised.scenes_of(source, [name for name, *_ in pairs])
records = [
    results.evaluate(
        name, method, pairs, ("psnr", "ssim", "psnr_gtmean"), data=f"{source}, val", scenes=scenes
    )
    for name, method in methods.items()
]
results.save_records("03_zero_dce", records, folder)
Markdown(results.table(records))

# %% [markdown]
# ## What the second network saves


# %%
def seconds(enhancer, image, repeats=5):
    """Return the median time of one call after a first one."""
    enhancer.enhance(image)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        enhancer.enhance(image)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


for enhancer in (zero_dce, zero_dce_pp):
    cost = enhancer.card["multiply_adds_256"] / 1e9
    print(f"{enhancer.name:12} {cost:6.3f} G multiply-adds, {1000 * seconds(enhancer, low):.0f} ms")

# %% [markdown]
# ## Try it: iterations and strength
#
# Fewer iterations brighten less. *Strength* scales the maps: 0 leaves the photo as it is,
# values above 1 go beyond what was trained, until the maps leave the range in which the curve
# cannot clip. The picture below the sliders is their starting point, for readers without a
# running kernel.


# %%
def render(iterations, strength):
    """Apply the first ``iterations`` curves, their maps scaled by ``strength``."""
    image = low
    for step in range(iterations):
        r = np.clip(strength * maps[..., 3 * step : 3 * step + 3], -1, 1)
        image = image + r * (image * image - image)
    return np.clip(image, 0, 1)


sliders = {"iterations": (0, ITERATIONS, 1, ITERATIONS), "strength": (0.0, 2.0, 0.05, 1.0)}
widgets.image_slider(render, **sliders)

# %%
widgets.static(render, **sliders)

# %% [markdown]
# ## Where it fails
#
# **Noise.** A curve cannot tell signal from noise, so both are amplified: compare a dark crop
# with the reference. **Black stays black**, since the curve fixes 0. **Well-exposed photos**
# are pulled towards the exposure target although nothing was wrong with them.

# %%
after = zero_dce.enhance(low)
noisiest = np.s_[60:140, 60:180]
good = images.to_float(synthetic.scenes()["coffee"])[::2, ::2]
pictures = {"enhanced crop": after[noisiest], "reference crop": normal[noisiest]}
pictures |= {"well exposed": good, "and enhanced": zero_dce.enhance(good)}
plotting.show_images(pictures, columns=2)

# %% [markdown]
# ## Exercises
#
# **1.** Show that eight iterations with α = 1 never leave [0, 1] and never reverse the order of
# two values. (*Hint:* a fine ramp is enough.)
#
# <details><summary>Solution</summary>The next cell: the ramp stays sorted and bounded.</details>

# %% tags=["solution"]
ramp_out = iterate(np.linspace(0, 1, 10_001), 1.0, ITERATIONS)
assert ramp_out.min() == 0
assert ramp_out.max() == 1
assert (np.diff(ramp_out) >= 0).all()

# %% [markdown]
# **2.** What does the official colour loss give for a small cast, compared with the paper's?
#
# <details><summary>Solution</summary>The root of fourth powers is still a square, but without
# the factor that three differences bring; a cast of one channel shows the ratio.</details>

# %% tags=["solution"]
for shift in (0.01, 0.1):
    tinted = np.full((32, 32, 3), 0.4, "float32") + np.array([shift, 0, 0], "float32")
    losses = [on_image(color_constancy_loss, tinted, variant=v) for v in ("paper", "official")]
    print(f"cast {shift}: paper {losses[0]:.6f}, official {losses[1]:.6f}")

# %% [markdown]
# **3.** How much do the maps matter? Replace them by their mean over the photo, one curve per
# colour and iteration, and score both.
#
# <details><summary>Solution</summary>The next cell. The closer the two scores, the less the
# network uses its freedom to treat regions differently.</details>

# %% tags=["solution"]
flat = np.broadcast_to(maps.mean(axis=(0, 1)), maps.shape)
for name, chosen in {"maps": maps, "their mean": flat}.items():
    image = np.clip(ops.convert_to_numpy(apply_curves(low[None], chosen[None]))[0], 0, 1)
    print(f"{name:12} {psnr(image, normal):.2f} dB")

# %% [markdown]
# ## What was learnt
#
# - A quadratic curve, iterated, brightens without clipping, and a small network can choose it.
# - Four losses on the result stand in for a reference; their weights and the exposure target
#   decide what "well lit" means, so they must be stated.
# - Copies of losses need tests with shifts, ramps and transposes; zeros and shapes show nothing.
# - A network must be compared with one good number per photo before it is praised.
#
# With references to learn from much more is possible, noise removal first of all.

# %%
print(training.versions())
