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
# # Retinex: a photo is what things are, times the light on them
#
# You will split a photo into reflectance and illumination, first by solving a linear system, then
# with a network that has seen two exposures of each scene, and turn up the light alone.

# %% [markdown] tags=["badges"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/low-light-notebooks/blob/main/notebooks/13_retinex.ipynb)

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
# - why one photo never tells light from paint, and what has to be assumed to part them;
# - LIME step by step: a smooth illumination with edges, as one sparse linear system;
# - the losses by which a network learns the same from pairs, and what each of them alone forgets;
# - why dividing by little light multiplies noise, and who has to remove it;
# - a slider that changes the light and nothing else.
#
# You should have read `02_metrics`. With the synthetic sample the notebook takes about a minute
# on two processor cores.
#
# **References.** Land and McCann, *Lightness and Retinex Theory*, JOSA 1971; Guo, Li and Ling,
# *LIME: Low-Light Image Enhancement via Illumination Map Estimation*, TIP 2017; Wei et al., *Deep
# Retinex Decomposition for Low-Light Enhancement* (RetinexNet), BMVC 2018, arXiv 1808.04560; Zhang,
# Zhang and Guo, *Kindling the Darkness* (KinD), ACM MM 2019, arXiv 1905.04161. Where the papers
# and their released code differ, we follow the code.

# %%
import time
from dataclasses import replace
from functools import partial

import keras
import numpy as np
from IPython.display import Markdown
from keras import layers, ops
from scipy import sparse
from scipy.ndimage import gaussian_filter
from scipy.sparse.linalg import spsolve

from lle_utils import core, data, display, enhancers, evaluation, training
from lle_utils.core import expose, exposure_gain
from lle_utils.enhancers import Enhancer, load_enhancer, save_enhancer
from lle_utils.metrics import psnr
from lle_utils.nn import Expose, charbonnier_loss, ssim_loss

# %% [markdown]
# The next cell holds everything there is to set. Two networks are trained in turn, so there are
# two lists of stages.

# %% tags=["parameters"]
profile = ""  # "colab", or another of notebooks/profiles; what you change below wins
source = "synthetic"  # or pairs: a folder, a pack, "lol", see `data.load`
with_sequences = False  # whether the exposure sequences of LLE_DATA_DIR join them
width = 8  # channels of the network that splits; RetinexNet has 64
depth = 3  # its 3x3 convolutions with ReLU; RetinexNet has 5
widths = [12, 20, 28]  # of the network that restores: at 1/2, 1/4 and 1/8 of the resolution
shared_weight = 0.1  # of the loss that wants one reflectance; RetinexNet's code has 0.01
smooth_weight = 0.5  # of the smoothness of the illumination; RetinexNet has 0.1
near_weight = 0.2  # of the distance of the illumination from the brightest channel, as in LIME
split_stages = [[6, 48, 8]]  # epochs, crop and batch size of the first training
stages = [[14, 64, 8]]  # and of the second
steps = 20  # training steps per epoch
warmup = 20  # steps in which the learning rate rises
learning_rate = 2e-3
ema = 0.9  # momentum of the averaged weights; 0 for none
ssim_weight = 0.25  # weight of the structural similarity in the second training
validate_every = 2  # epochs between two measurements on validation photos
seed = 0
deterministic = False  # bit-identical repeats, at some cost in speed
output_dir = ""  # where results go; empty: runs/13_retinex in the project

# %% tags=["profile"]
from lle_utils.notebook_tools import start

start("13_retinex", globals())

# %%
core.set_seed(seed, deterministic)  # determinism has to be asked for before anything is computed

# %% [markdown]
# ## One equation, two unknowns
#
# A sheet of paper in the shade sends less light to the eye than a coal in the sun, and we still
# see white and black. Land and McCann called what the eye computes *lightness*, and their theory
# *Retinex*, of retina and cortex. Its model of a photo $I$ is a product, pixel by pixel:
#
# $$ I = R \cdot L $$
#
# $R$, the **reflectance**, is what things are: the share of red, green and blue that they send
# back. $L$, the **illumination**, is the light that reaches them. If we had both, enhancing would
# be easy: leave $R$ as it is, and turn up $L$. Here is a scene of which both are known.


# %%
def made_scene(size=(120, 180), seed=0):
    """Return reflectance (H, W, 3) and illumination (H, W) of a scene of which all is known."""
    colors = np.random.default_rng(seed).uniform(0.2, 1, (4, 6, 3))
    colors *= 0.9 / colors.max(-1, keepdims=True)  # vivid: one channel of each is high
    patches = np.kron(colors, np.ones((size[0] // 4, size[1] // 6, 1)))
    rows, columns = np.indices(size)
    threads = 1 - 0.25 * ((rows // 2 + columns // 2) % 2)  # woven cloth
    lamp = 0.06 + 0.4 * np.exp(-((rows - 30) ** 2 + (columns - 50) ** 2) / 5000)
    return patches * threads[..., None], np.where(columns - rows / 3 > 100, 0.3 * lamp, lamp)


def as_photo(light, white=0.5):
    """Return an illumination (H, W) as a grey photo in which ``white`` is white."""
    return np.clip(light / white, 0, 1)[..., None].repeat(3, -1).astype("float32")


# %%
reflectance, light = made_scene(seed=seed)
scene = reflectance * light[..., None]
pictures = {"reflectance": reflectance, "illumination": as_photo(light), "photo": scene}
display.show_images({name: picture.astype("float32") for name, picture in pictures.items()})

# %% [markdown]
# One number is known for each pixel and channel, and four are wanted for three of them. Half the
# paint and twice the light make the same photo. So does no light at all, $L = 1$, in a world that
# is painted dark. No photo can tell these apart; what tells them apart is an **assumption**.

# %%
for name, (paint, lamp) in {"half": (reflectance / 2, 2 * light), "painted": (scene, 1.0)}.items():
    same = paint * np.broadcast_to(lamp, light.shape)[..., None]
    print(f"{name:8} differs from the photo by {np.abs(same - scene).max():.0e}")

# %% [markdown]
# A product of *light* is meant. Photo files hold values that a curve has lifted, close to a power
# of about 1/2.2. A power of a product is the product of the powers, so the model holds for values
# of files as well, with another $R$ and another $L$, but for the short straight piece that
# the curve of sRGB begins with. The papers compute with file values, and so do we.

# %%
file, parts = (core.linear_to_srgb(x) for x in (scene, reflectance)), core.linear_to_srgb(light)
encoded, paint = file
off = np.abs(encoded - paint * parts[..., None])
print(
    f"curve of the product, product of the curves: {off.mean():.4f} apart, at most {off.max():.3f}"
)

# %% [markdown]
# ## LIME, step by step
#
# **A first guess.** No reflectance is above 1, so the light is at least the brightest of the three
# channels. Take just that: $\hat T = \max_c I_c$, and divide.

# %%
guess = scene.max(-1)
display.show_images({"guess of the light": as_photo(guess), "the light": as_photo(light)})

# %% [markdown]
# Cloth and patches are in the guess, and what is in $L$ is missing in $R$: dividing by the guess
# paints everything as bright as possible. To count how wrong an illumination is, whatever its
# factor, take the standard deviation of the logarithm of the ratio to the true one.


# %%
def log_error(estimate, truth):
    """Return how far an illumination is from the true one, up to a factor: 0 is right."""
    return float(np.log(np.maximum(estimate, 1e-3) / truth).std())


blurred = gaussian_filter(guess, 8)
print(f"guess {log_error(guess, light):.3f}, blurred {log_error(blurred, light):.3f}")

# %% [markdown]
# Light changes slowly, said Land: what changes suddenly is paint. Blurring the guess uses that,
# but blurs across the edges of things too, and around every bright thing in the dark it puts a
# glow. **The assumption of LIME**: the illumination is smooth *except where the guess has an edge
# that lasts*. Over a window, the changes of texture cancel each other, those of an edge add up:
#
# $$ W_d(x) = \frac{1}{\left|\,\sum_y G_\sigma(x, y)\, \nabla_d \hat T(y)\,\right| + \epsilon} $$
#
# for $d$ down and across.
#
# $G_\sigma$ is a Gaussian window. Where the weight is high, a slope shall cost much.


# %%
def slopes(plane):
    """Return differences to the next pixel, down and across: (2, H, W), 0 at the far border."""
    down = np.diff(plane, axis=0, append=plane[-1:])
    return np.stack([down, np.diff(plane, axis=1, append=plane[:, -1:])])


def lime_weights(guess, sigma=2.0):
    """Return what a slope costs, down and across (LIME, strategy III): (2, H, W)."""
    return np.stack([1 / (np.abs(gaussian_filter(s, sigma)) + 1e-3) for s in slopes(guess)])


across = lime_weights(guess)[1]
display.show_images({"guess": as_photo(guess), "cost of a slope across (log)": np.log10(across)})

# %% [markdown]
# **The system.** Wanted is the $T$ that stays near the guess and has few expensive slopes. With
# the absolute value of a slope replaced by its square over its present size, as the paper's fast
# solver does, the sum to be minimised is a parabola in each value of $T$:
#
# $$ \sum_x (T - \hat T)^2 + \alpha \sum_x \sum_d
#    \frac{W_d}{|\nabla_d \hat T| + \epsilon}\, (\nabla_d T)^2 $$
#
# Its gradient is zero where a linear system holds. $D_d$ is the matrix that takes slopes,
# $\tilde W_d$ the diagonal matrix of the fractions, and $t$ has all values of $T$ in a row:
#
# $$ \left(1 + \alpha \sum_d D_d^\top \tilde W_d D_d\right) t = \hat t $$
#
# One equation for each pixel, and five numbers in each. A sparse solver does that in no time.


# %%
def slope_matrices(height, width):
    """Return the sparse matrices that take slopes down and across of a plane in a row."""

    def difference(n):
        matrix = sparse.diags([-np.ones(n), np.ones(n - 1)], [0, 1]).tolil()
        matrix[-1] = 0  # nothing lies beyond the border
        return matrix

    return [
        sparse.kron(difference(height), sparse.eye(width)),
        sparse.kron(sparse.eye(height), difference(width)),
    ]


def smooth_light(guess, alpha=0.15, sigma=2.0):
    """Return the illumination (H, W) that LIME's fast solver finds."""
    costs = lime_weights(guess, sigma) / (np.abs(slopes(guess)) + 1e-3)
    system = sparse.eye(guess.size)
    for matrix, cost in zip(slope_matrices(*guess.shape), costs, strict=True):
        system = system + alpha * matrix.T @ sparse.diags(cost.ravel()) @ matrix
    return spsolve(system.tocsc(), guess.ravel()).reshape(guess.shape)


# %%
estimates = {f"alpha {alpha:g}": smooth_light(guess, alpha) for alpha in (0.001, 0.01, 0.15)}
for name, estimate in {"guess": guess, "blurred": blurred, **estimates}.items():
    print(f"{name:11} {log_error(estimate, light):.3f}")
lights = {"guess": guess, "the light": light, "blurred": blurred, **estimates}
display.show_images({name: as_photo(plane) for name, plane in lights.items()})

# %% [markdown]
# The weight $\alpha$ decides what counts as paint. A small one takes away the threads and keeps
# the lamp; the paper's 0.15 takes away the lamp as well, which hardly has a slope from pixel to
# pixel, and keeps what has edges: the shadow. An assumption is no law, and this one has no word
# about lamps.
#
# **The division.** With all light divided out nothing would be left in shade. LIME leaves some,
# by an exponent below 1: $R = I / T^\gamma$. On the dark photo that we keep for the rest of the
# notebook, beside the exact solver that the package has as `lime`:

# %%
sample = data.synthetic_pairs(1, (160, 240), seed + 1, data.VAL_SCENES)
low, normal = (core.to_float(side[0]) for side in (sample.low, sample.normal))
found = np.clip(smooth_light(low.max(-1)), 1e-3, 1)


def divided(exponent, photo, light):
    """Divide a photo by a power of its illumination."""
    return np.clip(photo / light[..., None] ** exponent, 0, 1).astype("float32")


# %%
results = {
    "low": low,
    "fast solver": divided(0.8, low, found),
    "exact solver": enhancers.BASELINES["lime"](low),
}
display.show_images({**results, "normal": normal}, columns=2)

# %%
for name, result in results.items():
    print(f"{name:13} mean {result.mean():.3f}, PSNR {psnr(result, normal):.2f} dB")

# %%
slider = {"exponent": (0.0, 1.0, 0.1, 0.8)}
at_exponent = partial(divided, photo=low, light=found)
display.image_slider(at_exponent, **slider)

# %%
display.static(at_exponent, **slider)

# %% [markdown]
# ## What division does to noise
#
# A camera adds noise to $I$, and dividing by $L$ divides the noise too: where there is a tenth of
# the light, there is ten times the noise. An even grey wall, lit from one side, shows it: the
# deviation of each column of $R$ against what the division foretells.

# %%
wall, deviation = np.linspace(0.05, 0.8, 90), 0.01
noisy = 0.5 * wall + deviation * np.random.default_rng(seed).standard_normal((400, 90))
columns = {"measured": (noisy / wall).std(0), "noise / light": deviation / wall}
display.plot_curves(wall, columns, "illumination", "deviation of R", diagonal=False)

# %% [markdown]
# So the model is wrong in the dark: $I = R \cdot L + N$, and the noise $N$ ends up in $R$, because
# $L$ is smooth. Whoever splits has to restore $R$ as well. That is the part which a formula
# cannot do and a network can.
#
# ## Two exposures of one scene
#
# LIME assumes that light is smooth. A **pair** of photos knows more: the paint is the same in
# both, and only the light differs. RetinexNet turns that into a loss. Four terms, each for photos
# and splits with values in [0, 1], all means over pixels:


# %%
def reconstruction_loss(photo, reflectance, light):
    """Return how far the product (N, H, W, 3) is from the photo."""
    return ops.mean(ops.abs(reflectance * light - photo))


def shared_loss(one, other):
    """Return how far two reflectances (N, H, W, 3) of a scene are from each other."""
    return ops.mean(ops.abs(one - other))


def steps_of(x):
    """Return the sizes of the differences of (N, H, W, C) to the next pixel, down and across."""
    return ops.abs(x[:, 1:] - x[:, :-1]), ops.abs(x[:, :, 1:] - x[:, :, :-1])


# %% [markdown]
# The illumination shall be smooth, but may have an edge where the paint has one too, because edges
# of things are edges of light. RetinexNet forgives a slope of $L$ by an exponential of the slope of
# $R$; KinD divides it by the slope of the photo:
#
# $$ \left|\nabla L\right| e^{-10 |\nabla R|} \qquad\qquad
#    \frac{|\nabla L|}{\max(|\nabla I|,\, 0.01)} $$


# %%
def gray(x):
    """Return the mean of the channels (N, H, W, 1)."""
    return ops.mean(x, axis=-1, keepdims=True)


def aware_smoothness(light, reflectance):
    """Return RetinexNet's smoothness of an illumination (N, H, W, 1), beside its reflectance."""
    pairs = zip(steps_of(light), steps_of(gray(reflectance)), strict=True)
    return sum(ops.mean(slope * ops.exp(-10 * paint)) for slope, paint in pairs)


def relative_smoothness(light, photo):
    """Return KinD's smoothness of an illumination (N, H, W, 1), beside its photo."""
    pairs = zip(steps_of(light), steps_of(gray(photo)), strict=True)
    return sum(ops.mean(slope / ops.maximum(change, 0.01)) for slope, change in pairs)


# %% [markdown]
# KinD also wants the two illuminations to have their edges in the same places. With $M$ the sum of
# their slopes, $M e^{-10 M}$ costs little for no slope, and little for two strong ones at once:


# %%
def mutual_consistency(one, other):
    """Return KinD's loss for edges that only one of two illuminations (N, H, W, 1) has."""
    sums = [a + b for a, b in zip(steps_of(one), steps_of(other), strict=True)]
    return sum(ops.mean(m * ops.exp(-10 * m)) for m in sums)


m = np.linspace(0, 1, 101)
display.plot_curves(
    m, {"M exp(-10 M)": m * np.exp(-10 * m)}, "M, sum of two slopes", "cost", diagonal=False
)

# %% [markdown]
# What do they say of splits that we know? The made scene, in its light and in another one, split
# rightly; as if all were paint; and as if the brightest channel were the light.


# %%
def candidates(reflectance, lights):
    """Return splits of two photos of a scene: name -> [(reflectance, light), ...], batches."""
    lights = [light[None, ..., None].astype("float32") for light in lights]
    paint = reflectance[None].astype("float32")
    photos = [paint * light for light in lights]
    brightest = [photo.max(-1, keepdims=True) for photo in photos]
    return photos, {
        "truth": [(paint, light) for light in lights],
        "all paint": [(photo, np.ones_like(photo[..., :1])) for photo in photos],
        "brightest channel": [(p / b, b) for p, b in zip(photos, brightest, strict=True)],
    }


def terms(photos, split):
    """Return the value of every loss for a split of two photos."""
    (one, first), (other, second) = split
    return {
        "reconstruction": sum(
            reconstruction_loss(p, *s) for p, s in zip(photos, split, strict=True)
        ),
        "shared": shared_loss(one, other),
        "aware": aware_smoothness(first, one) + aware_smoothness(second, other),
        "relative": sum(relative_smoothness(s[1], p) for p, s in zip(photos, split, strict=True)),
        "mutual": mutual_consistency(first, second),
    }


# %%
def table_of(rows):
    """Print name -> loss -> value as a table."""
    head = ["split", *next(iter(rows.values()))]
    cells = [[name, *(f"{float(v):.4f}" for v in row.values())] for name, row in rows.items()]
    return core.markdown_table(head, cells)


photos, splits = candidates(reflectance, [light, np.minimum(2.1 * light[::-1], 1)])
Markdown(table_of({name: terms(photos, split) for name, split in splits.items()}))

# %% [markdown]
# No loss suffices alone. All three splits give back the photos exactly. Smoothness likes the second
# best of all: in a painted world the light is the same everywhere. Only the shared reflectance
# objects, and it likes the third as well as the truth, which only smoothness tells from it. So
# the sum is what is minimised, and its weights decide what a split is.
#
# ## A network that splits
#
# RetinexNet's sees the photo and its brightest channel, through a convolution of 9×9 for some
# surroundings and a few of 3×3. At its end are four channels of sigmoids, three for $R$ and one
# for $L$. Ours has that one only. What the light does not explain is paint, so $R$ is what
# division leaves, cut at 1. That keeps every detail of the photo, and needs no long training.


# %%
def splitter(width, depth):
    """Build the network that splits: photos (N, H, W, 3) to R and L, joined (N, H, W, 4)."""
    photo = keras.Input((None, None, 3), name="photo")
    x = layers.concatenate([ops.max(photo, axis=-1, keepdims=True), photo])
    x = layers.Conv2D(width, 9, padding="same")(x)
    for _ in range(depth):
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
    light = 0.01 + 0.99 * layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)
    return keras.Model(
        photo, layers.concatenate([ops.minimum(photo / light, 1), light]), name="split"
    )


# %% [markdown]
# Both photos of a pair go through the same network. We lay them into one batch: the first half of
# it dark, the second half well lit. What is wanted are the photos themselves, so they are input
# and target. (`data.ExposureStream` draws pairs of *any* two exposures, with a camera's noise.)


# %%
class BothStream(data.ExposureStream):
    """Batches of dark photos, then their well-lit twins: (2N, H, W, 3), as input and target."""

    def batch(self, epoch, index):
        """Return one batch, a function of seed, epoch and index alone."""
        inputs, normal = super().batch(epoch, index)
        both = np.concatenate([inputs["low"], normal])
        return both, both


def nearness_loss(light, photo):
    """Return how far an illumination (N, H, W, 1) is from the brightest channel, as in LIME."""
    return ops.mean(ops.abs(light - ops.max(photo, axis=-1, keepdims=True)))


def splitting_loss(photos, splits, shared_weight, smooth_weight, near_weight):
    """Return the loss of photos (2N, H, W, 3) and their splits (2N, H, W, 4)."""
    reflectance, light = splits[..., :3], splits[..., 3:]
    dark, lit = ops.split(reflectance, 2)
    return (
        reconstruction_loss(photos, reflectance, light)
        + shared_weight * shared_loss(dark, lit)
        + smooth_weight * aware_smoothness(light, reflectance)
        + near_weight * nearness_loss(light, photos)
    )


# %% [markdown]
# A network that minimised the first three terms alone would paint the world dark, as in the
# second row of the table: with $L = 1$ and small $R$ all three are small. (Ours did, with weights
# near those of the papers.) LIME's own first term keeps it from that: the illumination shall be
# *near the brightest channel*. The released code of RetinexNet has, instead, two more terms of
# the first kind, the light of each photo on the paint of the other.

# %%
largest = max(crop for _, crop, _ in [*split_stages, *stages])
train_pairs = data.load(source, "train", seed, crop=largest)
val_pairs = data.load(source, "val", seed)
sequences = data.load_sequences("train") if with_sequences else []
run = training.Run(
    core.run_folder("13_retinex", output_dir),
    stages,
    steps,
    learning_rate,
    warmup,
    ema,
    validate_every,
    seed,
)
split_run = replace(run, stages=split_stages)


def streams(kind, run, pairs, sequences):
    """Return a stream for each stage of a run."""
    return [
        kind(pairs, sequences, crop, batch, run.steps, run.seed) for _, crop, batch in run.stages
    ]


def train(network, run, streams, path, callbacks=(), best=None):
    """Train in stages, one stream each; return the history."""
    history, reached = {}, 0
    for (epochs, *_), stream in zip(run.stages, streams, strict=True):
        reached += epochs
        history = training.fit(network, stream, reached, path, callbacks, best=best)
    return history


# %%
split = splitter(width, depth)
training.describe(split)
loss = partial(
    splitting_loss,
    shared_weight=shared_weight,
    smooth_weight=smooth_weight,
    near_weight=near_weight,
)
split.compile(split_run.optimizer(), loss, **core.compile_options())
drawn = streams(BothStream, split_run, train_pairs, sequences)
split_history = train(split, split_run, drawn, run.folder / "split_checkpoint.npz")
display.loss_curves(split_history)

# %% [markdown]
# ## What it found
#
# The dark example and its twin, each split by the network. Light is drawn as a grey photo, with
# one white for both.


# %%
def parts_of(photo, split):
    """Return reflectance (H, W, 3) and illumination (H, W) of a photo of any size."""
    both = ops.convert_to_numpy(split(photo[None]))[0]
    return both[..., :3], both[..., 3]


dark_paint, dark_light = parts_of(low, split)
lit_paint, lit_light = parts_of(normal, split)
halves = {"low": low, "R of low": dark_paint, "L of low": as_photo(dark_light, 1)}
halves |= {"normal": normal, "R of normal": lit_paint, "L of normal": as_photo(lit_light, 1)}
display.show_images(halves, columns=3)

# %% [markdown]
# In numbers: how much nearer are the two reflectances than the two photos? How much of what changes
# between the photos is told by the light alone, and how smooth is the light beside its photo?


# %%
def roughness(plane):
    """Return the mean size of the slopes of a plane, as a share of its mean."""
    return float(np.abs(slopes(plane)).mean() / plane.mean())


product = np.abs(dark_paint * dark_light[..., None] - low).mean()
photos_apart, paints_apart = np.abs(low - normal).mean(), np.abs(dark_paint - lit_paint).mean()
print(f"the product is {product:.4f} from the dark photo")
print(f"photos {photos_apart:.3f} apart, reflectances {paints_apart:.3f}, ", end="")
print(f"illuminations {np.abs(dark_light - lit_light).mean():.3f}")
print(f"slopes as a share of the mean: L {roughness(dark_light):.3f}, ", end="")
print(f"photo {roughness(low.max(-1)):.3f}")

# %% [markdown]
# And the noise is where it has to be, in the reflectance of the dark photo. At 100 %:

# %%
window = np.s_[40:110, 90:195]
crops = {"low": low, "R of low": dark_paint, "R of normal": lit_paint}
display.show_images({name: picture[window] for name, picture in crops.items()})

# %% [markdown]
# ## Restore the paint, turn up the light
#
# So a second network restores $R$. It is told $L$ too, because that says where the noise is. KinD
# does the same, with a larger U-Net. Ours computes at half the resolution and below, and
# begins with no change at all.


# %%
def two_convolutions(x):
    """Apply two 3x3 convolutions to (N, H, W, C)."""
    filters = x.shape[-1]
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same")(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    return x


def restorer(widths):
    """Build the network that restores: R and L, joined (N, H, W, 4), to R (N, H, W, 3)."""
    both = keras.Input((None, None, 4), name="both")
    x, skips = both, []
    for filters in widths:
        x = layers.Conv2D(filters, 2 if skips else 4, strides=2, padding="same")(x)
        x = x + two_convolutions(x)
        skips.append(x)
    for skip in skips[-2::-1]:
        x = layers.Conv2DTranspose(skip.shape[-1], 2, strides=2)(x) + skip
        x = x + two_convolutions(x)
    change = layers.Conv2DTranspose(3, 2, strides=2, kernel_initializer="zeros")(x)
    return keras.Model(both, both[..., :3] + change, name="restore")


# %% [markdown]
# The light is turned up by a curve with one number, the gain: `core.expose`, which keeps white
# white. KinD trains a third network for that, which is told the *ratio* of the mean lights; a
# known curve does not need training. The result is $R' \cdot \mathrm{expose}(L, k)$.


# %%
def retinex(split, restore):
    """Join both networks: ``low`` (N, H, W, 3) and ``gain`` (N, 1) to (N, H, W, 3)."""
    low, gain = keras.Input((None, None, 3), name="low"), keras.Input((1,), name="gain")
    both = split(low)
    lit = Expose(name="lit")([both[..., 3:], gain])
    return keras.Model([low, gain], restore(both) * lit, name="retinex")


# %%
split.trainable = False  # what was found stays
restore = restorer(widths)
network = retinex(split, restore)
divisor = 2 ** len(widths)
training.describe(network, divisor)
display.network_diagram(network, inside=True)

# %% [markdown]
# How bright the result is, is the slider's affair: exposed by the same gain, the product of $R'$
# and $L$ has another mean than the photo would have, and no network should have to make up for
# that alone. So half of the loss compares photos of like mean, and half of it the photos as they
# are, since the first by itself lets the brightness of $R'$ drift. (Liao et al., *GT-mean Loss*,
# ICCV 2025, weigh the two anew for each photo. The *scores* below are never helped in this way.)


# %%
def restoration_loss(y_true, y_pred, ssim_weight):
    """Return Charbonnier loss plus weighted structural similarity, as it is and at like mean."""
    means = [ops.mean(y, axis=(1, 2, 3), keepdims=True) for y in (y_true, y_pred)]
    matched = y_pred * means[0] / ops.maximum(means[1], 1e-3)
    losses = [
        charbonnier_loss(y_true, y) + ssim_weight * ssim_loss(y_true, y) for y in (y_pred, matched)
    ]
    return sum(losses) / 2


def about(divisor):
    """Return the part of the card that does not depend on the training."""
    card = {"name": "retinex", "method": "Retinex", "inputs": ["low", "gain"]}
    return {**card, "multiple": divisor, "halo": 12 * divisor, "padding": 2 * divisor}


# %%
seen = Enhancer(training.clipped(network), about(divisor))
validate = training.ValidationPsnr(seen.enhance, val_pairs, validate_every, told=True)
network.compile(
    run.optimizer(), partial(restoration_loss, ssim_weight=ssim_weight), **core.compile_options()
)
drawn = streams(data.ExposureStream, run, train_pairs, sequences)
checkpoint = run.folder / "retinex_checkpoint.npz"
started = time.time()
history = train(network, run, drawn, checkpoint, [validate], best="val_psnr")
print(f"{run.total_steps} steps in {time.time() - started:.0f} s; ", end="")
print(f"best PSNR {max(history['val_psnr']):.2f} dB, the level being told")

# %%
display.loss_curves(history)

# %% [markdown]
# What each part does to the example. The reflectance before and after, and the photo that comes of
# both with the light of the twin:

# %%
training.load_checkpoint(training.best_path(checkpoint), network)
both = np.concatenate([dark_paint, dark_light[..., None]], -1)
clean = np.clip(ops.convert_to_numpy(restore(both[None]))[0], 0, 1)
display.show_images({"R": dark_paint, "R restored": clean, "R of normal": lit_paint})

# %%
enhanced = seen.enhance(low, reference=normal)
display.show_images({"low": low, "enhanced": enhanced, "normal": normal})

# %% [markdown]
# ## Try it: a slider on the light
#
# The paint was restored once. To change the brightness, no network has to run: the product is
# computed anew, with more light or less.


# %%
def lit_at(level):
    """Return the example with its light exposed so that the photo has about this mean."""
    gain = exposure_gain(low, level)
    return np.clip(clean * expose(dark_light, gain)[..., None], 0, 1).astype("float32")


slider = {"level": (0.05, 0.8, 0.05, 0.45)}
display.image_slider(lit_at, **slider)

# %%
display.static(lit_at, **slider)

# %% [markdown]
# ## Evaluation
#
# Two tables, as brightness and restoration are two questions. *Blind*: the enhancer takes
# `enhancers.default_level`. *Level told*: all get the mean of the well-lit photo, so that only
# restoration counts. `split alone` leaves the second network out, and `exposed` both.

# %%
final = retinex(splitter(width, depth), restorer(widths))  # without what belongs to training
final.set_weights(network.get_weights())
facts = {"width": width, "depth": depth, "widths": widths, "data": source}
facts |= {"pairs": len(train_pairs), "sequences": len(sequences), "split_stages": split_stages}
facts |= {"loss": f"Charbonnier + {ssim_weight} (1 - SSIM)", "shared_weight": shared_weight}
facts |= {"smooth_weight": smooth_weight, "near_weight": near_weight}
card = run.card(about(divisor), train_pairs.licence, history, **facts)
kept = load_enhancer(save_enhancer(training.clipped(final), run.folder / "retinex", card))


# %%
def exposed_alone(low, level=None):
    """Expose a photo to a level, or to the default one."""
    gain = exposure_gain(low, level or enhancers.default_level(low))
    return expose(low, gain).astype("float32")


same = keras.Input((None, None, 4))
alone = retinex(split, keras.Model(same, same[..., :3]))
alone = Enhancer(training.clipped(alone), about(divisor))
score = partial(
    evaluation.evaluate, pairs=val_pairs, data=f"{source}, val", scenes=val_pairs.scenes
)

# %%
methods = {name: enhancers.BASELINES[name] for name in ("input", "auto_gamma", "lime")}
methods |= {"exposed": exposed_alone, "split alone": alone.enhance, "retinex": kept.enhance}
blind = [score(name, method) for name, method in methods.items()]
evaluation.save_records("13_retinex", blind, run.folder)
Markdown(evaluation.table(blind))

# %%
told = [score(n, methods[n], level_told=True) for n in ("exposed", "split alone", "retinex")]
evaluation.save_records("13_retinex_told", told, run.folder)
Markdown(evaluation.table(told))

# %% [markdown]
# ## What a long training gives
#
# The project ships `retinex`, trained with the profile `cpu` on LOL's pairs and on exposure
# sequences. LOL's validation photos, at their full size; first blind, then with the level told.

# %%
shipped = {name: evaluation.load_records(name) for name in ("lol_val", "lol_val_told")}
rows = ["retinex", "lumen", "mirnet", "lime", "auto_gamma"]
columns = ["psnr", "ssim", "psnr_gtmean", "mean_error"]
Markdown(evaluation.table([shipped["lol_val"][name] for name in rows], columns))

# %%
told_rows = [n for n in rows if n in shipped["lol_val_told"]]
Markdown(evaluation.table([shipped["lol_val_told"][n] for n in told_rows], ["psnr", "ssim"]))

# %%
restored = load_enhancer("retinex")
pictures = {"low": low, "trained here": kept.enhance(low, reference=normal)}
pictures |= {"shipped": restored.enhance(low, reference=normal), "normal": normal}
display.show_images(pictures, columns=2)

# %% [markdown]
# Its halves can still be looked at: the layer that joins them is in the saved network.

# %%
kept_split = restored.model.get_layer("split")
paint, its_light = parts_of(low, kept_split)
display.show_images({"low": low, "R of low": paint, "L of low": as_photo(its_light, 1)})

# %% [markdown]
# ## Where it fails
#
# **Black paint.** Whatever is dark over an area is taken for shade, and lit. **Coloured light.**
# The illumination has one channel, so a warm lamp ends up in the paint: a photo by lamplight is
# as orange as before. **Lamps.** A lamp sends light and reflects none; the model has no word for
# it. Below, how much of a black sheet is taken for light, and how warm the paint is before and
# after.

# %%
good = core.to_float(data.sample_scenes()["coffee"])[::2, ::2]
sheet, warm = good.copy(), core.srgb_to_linear(good) * [0.5, 0.25, 0.08]
sheet[60:140, 90:210] *= 0.1
warm = core.linear_to_srgb(warm).astype("float32")
pictures = {"black sheet": sheet, "L of it": as_photo(parts_of(sheet, kept_split)[1], 1)}
pictures |= {"by lamplight": warm, "R of it": parts_of(warm, kept_split)[0]}
display.show_images(pictures, columns=2)

# %%
plain, covered = (parts_of(photo, kept_split)[1][60:140, 90:210].mean() for photo in (good, sheet))
print(f"a sheet with a tenth of the values has {covered / plain:.0%} of the light, says L")
for name, picture in {"photo": warm, "paint": parts_of(warm, kept_split)[0]}.items():
    red, _, blue = picture.mean((0, 1))
    print(f"{name}: red over blue is {red / blue:.2f}")

# %% [markdown]
# ## Exercises
#
# **1.** What does LIME's system give when $\alpha$ is very large? Try it on the made scene.
#
# <details><summary>Solution</summary>With a high price for every slope there is none: the light is
# one number, the mean of the guess. (Add up all equations: the slopes cancel.)</details>

# %% tags=["solution"]
flat = smooth_light(guess, 1e6)
print(f"from {flat.min():.4f} to {flat.max():.4f}; mean of the guess {guess.mean():.4f}")

# %% [markdown]
# **2.** Give the light three channels: divide each channel of the photo by lamplight by its own
# map, with the smooth solver. What becomes of the orange?
#
# <details><summary>Solution</summary>It goes into the light, and with it the colour of everything
# large: each channel is brought to the same height, as if the mean of a photo were always
# grey.</details>

# %% tags=["solution"]
maps = np.stack([smooth_light(warm[..., channel]) for channel in range(3)], -1)
three = np.clip(0.7 * warm / np.maximum(maps, 1e-3), 0, 1).astype("float32")
one = divided(1.0, warm, np.clip(smooth_light(warm.max(-1)), 1e-3, 1))
display.show_images({"one map": one, "three maps": three})

# %% [markdown]
# **3.** Which of the two smoothnesses minds noise in the photo more? Take the made scene, add noise
# to it, and compare what each loss says of the *true* light.
#
# <details><summary>Solution</summary>KinD's looks for slopes in the photo, so every grain of noise
# excuses the light. RetinexNet's looks for them in the paint, which has the same grain, larger.
# The next cell tells by how much each falls.</details>

# %% tags=["solution"]
grain = 0.02 * np.random.default_rng(seed).standard_normal(scene.shape)
flat_scene = 0.5 * light[..., None].repeat(3, -1)
true = light[None, ..., None].astype("float32")
for name, noise in {"no noise": 0 * grain, "noise": grain}.items():
    photo = (flat_scene + noise)[None].astype("float32")
    aware, relative = aware_smoothness(true, photo / true), relative_smoothness(true, photo)
    print(f"{name:9} RetinexNet's {float(aware):.4f}, KinD's {float(relative):.4f}")

# %% [markdown]
# ## What was learnt
#
# - A photo is a product, and no photo tells its factors; an assumption does.
# - "Light is smooth but for edges that last" is one sparse linear system.
# - Two exposures of a scene share their paint. Each loss alone has a split that cheats it.
# - Division by little light multiplies noise, so the paint must be restored.
# - Light that is known apart can be turned up without a network, and without touching the rest.
#
# Next, `03_zero_dce` looks for curves instead of light, and needs no pairs; `12_lumen` goes on from
# the idea that brightness is given and only restoration learnt.

# %%
print(core.versions())
