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
# White paper in the shade sends less light to the eye than a coal in the sun, and we still see
# white and black. Land and McCann called what the eye computes *lightness*, and their theory
# *Retinex*, of retina and cortex. Its model of a photo $I$ is a product, pixel by pixel:
#
# $$ I = R \cdot L $$
#
# $R$, the **reflectance**, is what things are: the share of red, green and blue that they send
# back. $L$, the **illumination**, is the light that reaches them. If we had both, enhancing would
# be easy: leave $R$ as it is, and turn up $L$.
#
# To see whether a method finds them we need a scene of which both are known, so we make one: a
# cloth of coloured patches under a lamp, with a shadow on its right side.


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


# %% [markdown]
# An illumination is one number for each pixel. To look at it we draw it as a grey photo, in which
# some value has to be white. No light of this scene reaches half, so half is white here, for the
# photo as well.


# %%
def as_photo(light, white=0.5):
    """Return an illumination (H, W) as a grey photo in which ``white`` is white."""
    return np.clip(light / white, 0, 1)[..., None].repeat(3, -1).astype("float32")


# %%
reflectance, light = made_scene(seed=seed)
scene = reflectance * light[..., None]
pictures = {"reflectance": reflectance, "illumination": as_photo(light), "photo": scene / 0.5}
display.show_images({name: picture.astype("float32") for name, picture in pictures.items()})

# %% [markdown]
# For each pixel three numbers are known, its channels, and four are wanted: three of the paint and
# one of the light. Half the paint and twice the light make the same photo. So does the same light
# everywhere, $L = 1$, in a world that is painted dark. No photo can tell these apart; what tells
# them apart is an **assumption**, something that is held to be true of light or of paint.

# %%
for name, (paint, lamp) in {"half": (reflectance / 2, 2 * light), "painted": (scene, 1.0)}.items():
    same = paint * np.broadcast_to(lamp, light.shape)[..., None]
    print(f"{name:8} differs from the photo by {np.abs(same - scene).max():.0e}")

# %% [markdown]
# A product of *light* is meant. The values in photo files are not light: the curve of sRGB has
# lifted them, about as a power of 1/2.2 would. Were it a power, the model would hold for the values
# of files too, with another $R$ and another $L$, because a power of a product is the product of the
# powers. It is nearly one: there is an offset in it, and a straight piece where it is darkest. How
# much do these matter? We send photo, paint and light through the curve, each by itself:

# %%
encoded, paint, lamp = (core.linear_to_srgb(x) for x in (scene, reflectance, light))
off = np.abs(encoded - paint * lamp[..., None])
print(f"product and photo are {off.mean():.4f} apart, at most {off.max():.3f}")

# %% [markdown]
# The papers compute with the values of files, and so do we.

# %% [markdown]
# ## LIME, step by step
#
# **A first guess.** LIME calls the illumination $T$, and in this section so do we. No reflectance
# is above 1, so the light is at least the brightest of the three channels $c$. Take just that:
#
# $$ \hat T = \max_c I_c $$

# %%
guess = scene.max(-1)
display.show_images({"guess of the light": as_photo(guess), "the light": as_photo(light)})

# %% [markdown]
# The threads of the cloth are in the guess, though they are paint. (The patches are not, because
# each was made with one channel that is high; few things are so obliging.) And what is in $T$ is
# missing in $R = I / T$: with this guess the brightest channel of all paint is 1.
#
# How wrong is an illumination? One that is half the true light everywhere is no worse than the true
# one, for twice the paint makes up for it. So a factor must not count: we take the standard
# deviation of the logarithm of the ratio to the truth, which is 0 where that ratio is the same
# everywhere.


# %%
def log_error(estimate, truth):
    """Return how far an illumination is from the true one, up to a factor: 0 is right."""
    return float(np.log(np.maximum(estimate, 1e-3) / truth).std())


# %% [markdown]
# Light changes slowly, said Land: what changes suddenly is paint. Blurring the guess uses that.

# %%
blurred = gaussian_filter(guess, 8)
print(f"guess {log_error(guess, light):.3f}, blurred {log_error(blurred, light):.3f}")

# %% [markdown]
# The threads are gone, but so is the edge of the shadow, and that was light. On a photo the same
# blur puts a glow around what is bright.
#
# **The assumption of LIME**: the illumination is smooth *except where the guess has an edge that
# lasts*. Over a window, the changes of texture cancel each other, those of an edge add up. So each
# slope is given a weight, what it shall cost:
#
# $$ W_d(x) = \frac{1}{\left|\,\sum_y G_\sigma(x, y)\, \nabla_d \hat T(y)\,\right| + \epsilon} $$
#
# $d$ is a direction, down or across, and $\nabla_d$ the difference to the next pixel there.
# $G_\sigma$ is a Gaussian window around $x$, and the small number $\epsilon$ keeps the fraction
# finite.


# %%
def slopes(plane):
    """Return differences to the next pixel, down and across: (2, H, W), 0 at the far border."""
    down = np.diff(plane, axis=0, append=plane[-1:])
    return np.stack([down, np.diff(plane, axis=1, append=plane[:, -1:])])


def lime_weights(guess, sigma=2.0):
    """Return what a slope costs, down and across (LIME, strategy III): (2, H, W)."""
    return np.stack([1 / (np.abs(gaussian_filter(s, sigma)) + 1e-3) for s in slopes(guess)])


# %%
across = lime_weights(guess)[1]
display.show_images({"guess": as_photo(guess), "cost of a slope across (log)": np.log10(across)})

# %% [markdown]
# A slope is cheap in the dark stripe, at the edge of the shadow. The threads cost what an even
# surface would. (The bright stripe is the middle of the lamp, where its own slope is zero.)
#
# **The system.** Wanted is the $T$ that stays near the guess and has few expensive slopes. What a
# slope costs is its absolute value, and sums of those are hard to minimise. The paper's fast solver
# puts in its place the square of the slope over the size that it has in the guess. Then the sum is
# a parabola in each value of $T$:
#
# $$ \sum_x (T - \hat T)^2 + \alpha \sum_x \sum_d
#    \frac{W_d}{|\nabla_d \hat T| + \epsilon}\, (\nabla_d T)^2 $$
#
# The number $\alpha$ says how much slopes count beside nearness. A parabola is lowest where its
# gradient is zero, and that is where a linear system holds. Write all values of $T$ in a row, one
# line of pixels behind the other, and call that $t$. $D_d$ is the matrix that takes slopes,
# $\tilde W_d$ the diagonal matrix of the fractions, and $E$ the identity:
#
# $$ \left(E + \alpha \sum_d D_d^\top \tilde W_d D_d\right) t = \hat t $$
#
# Each row of $D_d$ has two numbers that are not zero: −1 at a pixel, and 1 at the next one. A
# matrix of that kind for a single line is easily written, and `kron` repeats it for all of them.


# %%
def difference(n):
    """Return the sparse matrix (n, n) that takes the slopes of n values."""
    matrix = sparse.diags([-np.ones(n), np.ones(n - 1)], [0, 1]).tolil()
    matrix[-1] = 0  # nothing lies beyond the border
    return matrix


def slope_matrices(height, width):
    """Return the sparse matrices that take slopes down and across of a plane in a row."""
    down = sparse.kron(difference(height), sparse.eye(width))
    return [down, sparse.kron(sparse.eye(height), difference(width))]


# %% [markdown]
# That makes one equation for each pixel, and at most five numbers in each: those of the pixel and
# of its four neighbours. A solver for sparse matrices never writes down the zeros.


# %%
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

# %%
lights = {"guess": guess, "the light": light, "blurred": blurred, **estimates}
display.show_images({name: as_photo(plane) for name, plane in lights.items()})

# %% [markdown]
# The weight $\alpha$ decides what counts as paint. A small one takes away the threads and keeps
# the lamp; the paper's 0.15 takes away the lamp as well, which hardly has a slope from pixel to
# pixel, and keeps what has edges: the shadow. An assumption is no law, and this one has no word
# about lamps.
#
# On the whole they are darker than the light, for the threads are; the error forgives such a
# factor.
#
# **The division.** With all light divided out nothing would be left in shade, and photos look flat.
# LIME leaves some, by an exponent below 1, in the paper 0.8: $R = I / T^\gamma$. Here is a dark
# photo of the synthetic camera, which we keep for the rest of the notebook:

# %%
sample = data.synthetic_pairs(1, (160, 240), seed + 1, data.VAL_SCENES)
low, normal = (core.to_float(side[0]) for side in (sample.low, sample.normal))
found = np.clip(smooth_light(low.max(-1)), 1e-3, 1)


# %%
def divided(exponent, photo, light):
    """Divide a photo by a power of its illumination."""
    return np.clip(photo / light[..., None] ** exponent, 0, 1).astype("float32")


# %% [markdown]
# Beside it stands `lime` of the package, the paper's exact solver: it keeps the absolute values,
# and comes near the lowest sum in steps.

# %%
results = {"low": low, "fast solver": divided(0.8, low, found)}
results["exact solver"] = enhancers.BASELINES["lime"](low)
display.show_images({**results, "normal": normal}, columns=2)

# %%
for name, result in results.items():
    print(f"{name:13} mean {result.mean():.3f}, PSNR {psnr(result, normal):.2f} dB")

# %% [markdown]
# How bright a result ought to be, nobody has told LIME: compare the means with what a photographer
# chose, on the lower right. And look at what should be even: the grain was in the dark photo
# already.
#
# With the slider, 0 leaves the photo as it is, and 1 divides by all the light that was found.

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
# the light, there is ten times the noise. An even grey wall, lit from one side, shows it. Noise of
# one strength is added to its photo; we take the standard deviation of $R$ in each column, and
# compare it with what the division foretells.

# %%
wall, deviation = np.linspace(0.05, 0.8, 90), 0.01
noisy = 0.5 * wall + deviation * np.random.default_rng(seed).standard_normal((400, 90))
columns = {"measured": (noisy / wall).std(0), "noise / light": deviation / wall}
display.plot_curves(wall, columns, "illumination", "deviation of R", diagonal=False)

# %% [markdown]
# So in the dark the model lacks a term, the noise $N$: $I = R \cdot L + N$. It ends up in $R$,
# because $L$ is smooth. Whoever splits has to restore $R$ as well. LIME's paper hands it to a
# denoiser made by hand; further below a network learns it.
#
# ## Two exposures of one scene
#
# LIME assumes that light is smooth. A **pair** of photos knows more: the paint is the same in
# both, and only the light differs. RetinexNet turns that into losses, by which a network learns to
# split. Photos and splits have values in [0, 1], and all losses are means over pixels.
#
# The first two say what a split of two photos is: the product is the photo, and both have the same
# reflectance.


# %%
def reconstruction_loss(photo, reflectance, light):
    """Return how far the product (N, H, W, 3) is from the photo."""
    return ops.mean(ops.abs(reflectance * light - photo))


def shared_loss(one, other):
    """Return how far two reflectances (N, H, W, 3) of a scene are from each other."""
    return ops.mean(ops.abs(one - other))


# %% [markdown]
# The third says that the illumination shall be smooth. It may have an edge where the paint has one
# too, because light often changes where a thing ends. RetinexNet forgives a slope of $L$ by an
# exponential of the slope of $R$; KinD divides it by the slope of the photo:
#
# $$ \left|\nabla L\right| e^{-10 |\nabla R|} \qquad\qquad
#    \frac{|\nabla L|}{\max(|\nabla I|,\, 0.01)} $$


# %%
def gray(x):
    """Return the mean of the channels (N, H, W, 1)."""
    return ops.mean(x, axis=-1, keepdims=True)


def steps_of(x):
    """Return the sizes of the differences of (N, H, W, C) to the next pixel, down and across."""
    return ops.abs(x[:, 1:] - x[:, :-1]), ops.abs(x[:, :, 1:] - x[:, :, :-1])


# %%
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
# their slopes, $M e^{-10 M}$ costs little for no slope, and little for two strong ones at once. It
# costs most in between, and that is where one strong edge without its twin may lie:


# %%
def mutual_consistency(one, other):
    """Return KinD's loss for edges that only one of two illuminations (N, H, W, 1) has."""
    sums = [a + b for a, b in zip(steps_of(one), steps_of(other), strict=True)]
    return sum(ops.mean(m * ops.exp(-10 * m)) for m in sums)


# %%
m = np.linspace(0, 1, 101)
cost = {"M exp(-10 M)": m * np.exp(-10 * m)}
display.plot_curves(m, cost, "M, sum of two slopes", "cost", diagonal=False)

# %% [markdown]
# What do they say of splits that we know? The made scene, in its light and in another one (the
# same, upside down and twice as bright), split rightly (`truth`); as if all were paint and the
# light 1 everywhere; and as if the brightest channel were the light, as in LIME's guess.


# %%
def candidates(reflectance, lights):
    """Return two photos of a scene, and splits: name -> [(reflectance, light), ...], batches."""
    lights = [light[None, ..., None].astype("float32") for light in lights]
    paint = reflectance[None].astype("float32")
    photos = [paint * light for light in lights]
    brightest = [photo.max(-1, keepdims=True) for photo in photos]
    return photos, {
        "truth": [(paint, light) for light in lights],
        "all paint": [(photo, np.ones_like(photo[..., :1])) for photo in photos],
        "brightest channel": [(p / b, b) for p, b in zip(photos, brightest, strict=True)],
    }


# %% [markdown]
# Losses that look at one photo are added up over both.


# %%
def terms(photos, split):
    """Return the value of every loss for a split of two photos."""
    (one, first), (other, second) = split
    both = list(zip(photos, split, strict=True))
    return {
        "reconstruction": sum(reconstruction_loss(photo, *parts) for photo, parts in both),
        "shared": shared_loss(one, other),
        "aware": aware_smoothness(first, one) + aware_smoothness(second, other),
        "relative": sum(relative_smoothness(parts[1], photo) for photo, parts in both),
        "mutual": mutual_consistency(first, second),
    }


# %%
def table_of(rows):
    """Return name -> loss -> value as a table."""
    head = ["split", *next(iter(rows.values()))]
    cells = [[name, *(f"{float(v):.4f}" for v in row.values())] for name, row in rows.items()]
    return core.markdown_table(head, cells)


# %%
photos, splits = candidates(reflectance, [light, np.minimum(2.1 * light[::-1], 1)])
Markdown(table_of({name: terms(photos, split) for name, split in splits.items()}))

# %% [markdown]
# No loss suffices alone. All three splits give back the photos exactly. Smoothness likes the second
# best of all: in a painted world the light is the same everywhere. Only the shared reflectance
# objects, and it likes the third as well as the truth, which only the terms of smoothness tell from
# it. So the sum is what is minimised, and its weights decide what a split is.
#
# ## A network that splits
#
# RetinexNet's sees the photo and its brightest channel, through a convolution of 9×9 for some
# surroundings and a few of 3×3. It ends on four channels of sigmoids, three for $R$ and one for
# $L$.
#
# Ours ends on the one for $L$ alone. What the light does not explain is paint, so $R$ is what
# division leaves, cut at 1. Every detail of the photo is in it from the first step on, and there is
# less to learn. The light is kept above 0.01, because we divide by it.


# %%
def splitter(width, depth):
    """Build the network that splits: photos (N, H, W, 3) to R and L, joined (N, H, W, 4)."""
    photo = keras.Input((None, None, 3), name="photo")
    x = layers.concatenate([ops.max(photo, axis=-1, keepdims=True), photo])
    x = layers.Conv2D(width, 9, padding="same")(x)
    for _ in range(depth):
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
    light = 0.01 + 0.99 * layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)
    both = layers.concatenate([ops.minimum(photo / light, 1), light])
    return keras.Model(photo, both, name="split")


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


# %% [markdown]
# One term is still missing. With $L = 1$ the first and the third loss are zero, and the second
# alone does not keep a network from painting the world dark, as in the second row of the table
# (exercise 4 tries it). We add what LIME begins with: the illumination shall be *near the brightest
# channel*. (The released code of RetinexNet has, instead, two more terms of the first kind, the
# light of each photo on the paint of the other.)


# %%
def nearness_loss(light, photo):
    """Return how far an illumination (N, H, W, 1) is from the brightest channel, as in LIME."""
    return ops.mean(ops.abs(light - ops.max(photo, axis=-1, keepdims=True)))


# %% [markdown]
# The sum has RetinexNet's smoothness; KinD's two terms were for comparison. Its three weights are
# parameters, at the top. `ops.split` parts the batch again into dark and well lit.


# %%
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
# Two trainings follow each other, of the network that splits and later of one that restores. Both
# have the same photos, and schedules that differ in their stages only.

# %%
largest = max(crop for _, crop, _ in [*split_stages, *stages])
train_pairs = data.load(source, "train", seed, crop=largest)
val_pairs = data.load(source, "val", seed)
sequences = data.load_sequences("train") if with_sequences else []

# %%
schedule = (steps, learning_rate, warmup, ema, validate_every, seed)
run = training.Run(core.run_folder("13_retinex", output_dir), stages, *schedule)
split_run = replace(run, stages=split_stages)

# %% [markdown]
# A *stage* is a number of epochs with crops and batches of one size, and each has a stream of its
# own. Large crops are slow, so a long training begins with small ones.


# %%
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
weights = {"shared_weight": shared_weight, "smooth_weight": smooth_weight}
loss = partial(splitting_loss, **weights, near_weight=near_weight)
split.compile(split_run.optimizer(), loss, **core.compile_options())

# %%
drawn = streams(BothStream, split_run, train_pairs, sequences)
split_history = train(split, split_run, drawn, run.folder / "split_checkpoint.npz")
display.loss_curves(split_history)

# %% [markdown]
# ## What it found
#
# The dark example and its twin, each split by the network. Light is drawn as a grey photo once
# more, now with 1 as white, for both.


# %%
def parts_of(photo, split):
    """Return reflectance (H, W, 3) and illumination (H, W) of a photo of any size."""
    both = ops.convert_to_numpy(split(photo[None]))[0]
    return both[..., :3], both[..., 3]


# %%
dark_paint, dark_light = parts_of(low, split)
lit_paint, lit_light = parts_of(normal, split)
halves = {"low": low, "R of low": dark_paint, "L of low": as_photo(dark_light, 1)}
halves |= {"normal": normal, "R of normal": lit_paint, "L of normal": as_photo(lit_light, 1)}
display.show_images(halves, columns=3)

# %% [markdown]
# Two things ought to be seen. The reflectances should be more alike than the photos are, for it was
# one scene; and the lights should be smooth. After so few steps neither is certain: of a very dark
# photo the network may find no light at all, only one grey, and the dark stays in its reflectance.
#
# In numbers: does the product give back the photo? How far apart are the photos, and how far the
# halves of their splits? And how rough is the light beside its photo?


# %%
def roughness(plane):
    """Return the mean size of the slopes of a plane, as a share of its mean."""
    return float(np.abs(slopes(plane)).mean() / plane.mean())


# %%
product = np.abs(dark_paint * dark_light[..., None] - low).mean()
photos_apart, paints_apart = np.abs(low - normal).mean(), np.abs(dark_paint - lit_paint).mean()
lights_apart = np.abs(dark_light - lit_light).mean()
print(f"the product is {product:.4f} from the dark photo")

# %%
print(f"photos {photos_apart:.3f} apart, reflectances {paints_apart:.3f}, ", end="")
print(f"illuminations {lights_apart:.3f}")
nearer = "more" if paints_apart < photos_apart else "no more"
print(f"so the reflectances are {nearer} alike than the photos")

# %%
print(f"slopes as a share of the mean: L {roughness(dark_light):.3f}, ", end="")
print(f"photo {roughness(low.max(-1)):.3f}")

# %% [markdown]
# And the noise is where it has to be, in the reflectance of the dark photo. A piece of each,
# enlarged:

# %%
window = np.s_[40:110, 90:195]
crops = {"low": low, "R of low": dark_paint, "R of normal": lit_paint}
display.show_images({name: picture[window] for name, picture in crops.items()})

# %% [markdown]
# ## Restore the paint, turn up the light
#
# So a second network restores $R$. It is told $L$ too, because that says where the noise is: where
# the light was little. KinD does the same, with a larger U-Net, a network that goes down to small
# copies of its features and up again, with a shortcut at each size. Ours computes at half the
# resolution and below.


# %%
def two_convolutions(x):
    """Apply two 3x3 convolutions to (N, H, W, C)."""
    filters = x.shape[-1]
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same")(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    return x


# %% [markdown]
# What it puts out is a *change* of $R$. The last kernel is zero at first, so the untrained network
# changes nothing, and training begins from a photo and not from noise.


# %%
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
# The light is turned up by a curve with one number, the gain $k$: `core.expose`, which keeps white
# white. KinD trains a third network for that, which is told the *ratio* of the mean lights; a
# known curve does not need training. With $R'$ for the restored reflectance the result is
#
# $$ R' \cdot \mathrm{expose}(L, k) $$


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

# %% [markdown]
# The row on top begins with the network that splits, down to $L$ and $R$, joined to four channels.
# Below is the one that restores, and `gain` meets the light before the last product.

# %%
display.network_diagram(network, inside=True)

# %% [markdown]
# How far is the result from the well-lit photo? We take the Charbonnier loss, a mean of absolute
# differences that is rounded off at zero, and a share of structural similarity (`02_metrics`).
#
# How bright the result is, is the gain's affair: exposed by the same gain, the product of $R'$
# and $L$ has another mean than the photo would have, and no network should have to make up for
# that alone. So half of the loss compares photos of like mean, and half of it the photos as they
# are, since the first by itself would not mind if $R'$ became brighter or darker. (Liao et al.,
# *GT-mean Loss*, ICCV 2025, weigh the two anew for each photo. The *scores* below are never helped
# in this way.)


# %%
def restoration_loss(y_true, y_pred, ssim_weight):
    """Return Charbonnier loss plus weighted structural similarity, as it is and at like mean."""
    means = [ops.mean(y, axis=(1, 2, 3), keepdims=True) for y in (y_true, y_pred)]
    matched = y_pred * means[0] / ops.maximum(means[1], 1e-3)
    losses = [
        charbonnier_loss(y_true, y) + ssim_weight * ssim_loss(y_true, y) for y in (y_pred, matched)
    ]
    return sum(losses) / 2


# %% [markdown]
# An *enhancer* is a network with a card. The card says what goes in; by what number (`multiple`)
# the sides of a photo must divide; how far a pixel sees (`halo`), so that large photos can be cut
# into tiles; and by how much a photo is mirrored beyond its border (`padding`), since convolutions
# take what lies there for black.


# %%
def about(divisor):
    """Return the part of the card that does not depend on the training."""
    card = {"name": "retinex", "method": "Retinex", "inputs": ["low", "gain"]}
    return {**card, "multiple": divisor, "halo": 12 * divisor, "padding": 2 * divisor}


# %% [markdown]
# Every `validate_every` epochs the enhancer is measured on validation photos, and the weights that
# scored best are kept: the loss is of crops of training photos and may fall on while the score does
# not rise. The *level is told*: each photo is exposed to the mean of its twin, so the score is of
# the restoration and not of a guess at the brightness.

# %%
seen = Enhancer(training.clipped(network), about(divisor))
validate = training.ValidationPsnr(seen.enhance, val_pairs, validate_every, told=True)
loss = partial(restoration_loss, ssim_weight=ssim_weight)
network.compile(run.optimizer(), loss, **core.compile_options())
drawn = streams(data.ExposureStream, run, train_pairs, sequences)
checkpoint = run.folder / "retinex_checkpoint.npz"

# %%
started = time.time()
history = train(network, run, drawn, checkpoint, [validate], best="val_psnr")
print(f"{run.total_steps} steps in {time.time() - started:.0f} s; ", end="")
print(f"best PSNR {max(history['val_psnr']):.2f} dB, the level being told")

# %%
display.loss_curves(history)

# %% [markdown]
# What each part does to the example. First the reflectance, before and after; the one of the twin
# shows what may be hoped for. (A rim around the second comes of the black that a convolution sees
# beyond the border; the enhancer mirrors the photo there.)

# %%
training.load_checkpoint(training.best_path(checkpoint), network)
both = np.concatenate([dark_paint, dark_light[..., None]], -1)
clean = np.clip(ops.convert_to_numpy(restore(both[None]))[0], 0, 1)
display.show_images({"R": dark_paint, "R restored": clean, "R of normal": lit_paint})

# %% [markdown]
# Then the photo: the restored paint in its own light, exposed until the mean is that of the twin.

# %%
enhanced = seen.enhance(low, reference=normal)
display.show_images({"low": low, "enhanced": enhanced, "normal": normal})

# %% [markdown]
# ## Try it: a slider on the light
#
# The paint was restored once. To change the brightness, no network has to run: the product is
# computed anew, with more light or less. That is what a split is good for.


# %%
def lit_at(level):
    """Return the example with its light exposed so that the photo has about this mean."""
    gain = exposure_gain(low, level)
    return np.clip(clean * expose(dark_light, gain)[..., None], 0, 1).astype("float32")


# %%
slider = {"level": (0.05, 0.8, 0.05, 0.45)}
display.image_slider(lit_at, **slider)

# %%
display.static(lit_at, **slider)

# %% [markdown]
# ## Evaluation
#
# First the enhancer is saved, with its card and what was chosen for the training. The network is
# built anew for that, so that nothing which only training needs is kept.

# %%
final = retinex(splitter(width, depth), restorer(widths))  # without what belongs to training
final.set_weights(network.get_weights())
facts = {"width": width, "depth": depth, "widths": widths, "data": source}
facts |= {"pairs": len(train_pairs), "sequences": len(sequences), "split_stages": split_stages}
facts |= {"loss": f"Charbonnier + {ssim_weight} (1 - SSIM)", "shared_weight": shared_weight}
facts |= {"smooth_weight": smooth_weight, "near_weight": near_weight}

# %%
card = run.card(about(divisor), train_pairs.licence, history, **facts)
kept = load_enhancer(save_enhancer(training.clipped(final), run.folder / "retinex", card))

# %% [markdown]
# Two tables, as brightness and restoration are two questions. *Blind*: the enhancer is told nothing
# and takes `enhancers.default_level`, a guess from the dark photo. *Level told*: all get the mean
# of the well-lit photo, so that only restoration counts.
#
# What is each network worth? `exposed` leaves out both and exposes the photo. `split alone` leaves
# out the one that restores, whose place is taken by one that hands on the first three channels.


# %%
def exposed_alone(low, level=None):
    """Expose a photo to a level, or to the default one."""
    gain = exposure_gain(low, level or enhancers.default_level(low))
    return expose(low, gain).astype("float32")


# %%
same = keras.Input((None, None, 4))
alone = retinex(split, keras.Model(same, same[..., :3]))
alone = Enhancer(training.clipped(alone), about(divisor))

# %%
measured = {"pairs": val_pairs, "data": f"{source}, val", "scenes": val_pairs.scenes}
score = partial(evaluation.evaluate, **measured)
methods = {name: enhancers.BASELINES[name] for name in ("input", "auto_gamma", "lime")}
methods |= {"exposed": exposed_alone, "split alone": alone.enhance, "retinex": kept.enhance}

# %%
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
# sequences. Below are its scores on LOL's validation photos, at their full size, beside networks of
# other notebooks and two methods that need no training; first blind, then with the level told.

# %%
shipped = {name: evaluation.load_records(name) for name in ("lol_val", "lol_val_told")}
rows = ["retinex", "lumen", "mirnet", "lime", "auto_gamma"]
columns = ["psnr", "ssim", "psnr_gtmean", "mean_error"]
Markdown(evaluation.table([shipped["lol_val"][name] for name in rows], columns))

# %%
told_rows = [n for n in rows if n in shipped["lol_val_told"]]
Markdown(evaluation.table([shipped["lol_val_told"][n] for n in told_rows], ["psnr", "ssim"]))

# %% [markdown]
# And the example, which is a synthetic photo, by the network trained here and by the shipped one:

# %%
restored = load_enhancer("retinex")
pictures = {"low": low, "trained here": kept.enhance(low, reference=normal)}
pictures |= {"shipped": restored.enhance(low, reference=normal), "normal": normal}
display.show_images(pictures, columns=2)

# %% [markdown]
# Its halves can still be looked at: the network that splits is a layer of the saved one.

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
# it.
#
# We try the first two, with the shipped network, on a photo in good light. A part of it gets a
# tenth of its values, as under black gauze; and all of it is lit by a lamp that has little blue.

# %%
good = core.to_float(data.sample_scenes()["coffee"])[::2, ::2]
sheet = good.copy()
sheet[60:140, 90:210] *= 0.1
warm = core.srgb_to_linear(good) * [0.5, 0.25, 0.08]
warm = core.linear_to_srgb(warm).astype("float32")

# %%
pictures = {"black sheet": sheet, "L of it": as_photo(parts_of(sheet, kept_split)[1], 1)}
pictures |= {"by lamplight": warm, "R of it": parts_of(warm, kept_split)[0]}
display.show_images(pictures, columns=2)

# %% [markdown]
# How much of the black is taken for a lack of light? And how warm is the paint, beside the photo?

# %%
plain, covered = (parts_of(photo, kept_split)[1][60:140, 90:210].mean() for photo in (good, sheet))
print(f"a sheet with a tenth of the values has {covered / plain:.0%} of the light, says L")

# %%
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
# **3.** By which of the two smoothnesses does noise excuse more? Take the light of the made scene
# on an even grey wall, add noise to the photo, and compare what each loss says of the *true* light.
#
# <details><summary>Solution</summary>KinD's looks for slopes in the photo, so every grain of noise
# excuses the light. RetinexNet's looks for them in the paint, which has the same grain, larger.
# The next cell tells by how much each falls.</details>

# %% tags=["solution"]
grain = 0.02 * np.random.default_rng(seed).standard_normal(scene.shape)
wall_photo = 0.5 * light[..., None].repeat(3, -1)
true = light[None, ..., None].astype("float32")
for name, noise in {"no noise": 0 * grain, "noise": grain}.items():
    photo = (wall_photo + noise)[None].astype("float32")
    aware, relative = aware_smoothness(true, photo / true), relative_smoothness(true, photo)
    print(f"{name:9} RetinexNet's {float(aware):.4f}, KinD's {float(relative):.4f}")

# %% [markdown]
# **4.** Train the network that splits once more, briefly, without the term of nearness. What light
# does it find?
#
# <details><summary>Solution</summary>None: $L$ comes close to 1, in the dark photo and in its
# twin, so that nearly everything is paint.</details>

# %% tags=["solution"]
painter, short = splitter(width, depth), replace(split_run, stages=[[6, 48, 8]])
loss = partial(splitting_loss, **weights, near_weight=0.0)
painter.compile(short.optimizer(), loss, **core.compile_options())
drawn = streams(BothStream, short, train_pairs, sequences)
train(painter, short, drawn, run.folder / "painter_checkpoint.npz")
for name, photo in {"low": low, "normal": normal}.items():
    print(f"{name:7} mean of L {parts_of(photo, painter)[1].mean():.3f}")

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
