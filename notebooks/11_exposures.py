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
# # Exposures: what each one lost, and what several know together
#
# You will take one scene at seven exposures, put the best of them together, and find out what a
# network learns that has only ever seen photos that were too dark.

# %% [markdown] tags=["badges"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/low-light-notebooks/blob/main/notebooks/11_exposures.ipynb)

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
# - what a photo loses that got too little light, and what one loses that got too much;
# - how a *fusion* takes from each exposure what it shows best, and why that needs a pyramid;
# - why a thing that moves between two shots becomes a ghost;
# - that Zero-DCE, which needs no reference, must meet bright photos to learn what to do with them.
#
# You should have read `01_data` and `03_zero_dce`. With the synthetic sample the notebook takes
# about a minute on two processor cores.
#
# **References.** Mertens, Kautz and Van Reeth, *Exposure Fusion*, Pacific Graphics 2007; Burt and
# Adelson, *The Laplacian Pyramid as a Compact Image Code*, IEEE Transactions on Communications
# 1983; Cai, Gu and Zhang, *Learning a Deep Single Image Contrast Enhancer from Multi-Exposure
# Images*, TIP 2018 (SICE); Guo et al., *Zero-Reference Deep Curve Estimation*, CVPR 2020.

# %%
import json
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
from IPython.display import Markdown
from scipy.ndimage import laplace
from skimage.transform import pyramid_expand, pyramid_reduce

from lle_utils import core, data, display, enhancers, training
from lle_utils.metrics import psnr
from lle_utils.notebook_tools import definitions

# %% [markdown]
# The next cell holds everything there is to set. Other sources bring real scenes at several
# exposures each: `"sice_part1_exposures"`, or `"sequences"` in the folder that `LLE_DATA_DIR`
# names. Both networks are then trained and judged on these; the first figures stay with the
# synthetic camera, whose truth is known.

# %% tags=["parameters"]
source = "synthetic"  # or scenes at several exposures, see above and `data.load`
scenes = 8  # synthetic scenes to train on, each at seven exposures
scale = 24  # the networks see the photo reduced by this factor, as in 03_zero_dce
downsampling = 4  # training photos are reduced by this factor beforehand, a part of the scale
weights = [1.0, 10.0, 5.0, 100.0]  # of the four losses of Zero-DCE++
exposure_target = 0.48
crop = 48  # of the reduced photos
batch_size = 4
steps = 24  # training steps per epoch
epochs = 20
learning_rate = 5e-3
seed = 0
deterministic = False  # bit-identical repeats, at some cost in speed
output_dir = ""  # where results go; empty: runs/11_exposures in the project

# %% tags=["profile"]
from lle_utils.notebook_tools import start

start("11_exposures", globals())

# %% [markdown]
# ## One scene, seven exposures
#
# A *stop* is a factor of two in light, and the unit of exposure values (EV). We take a scene of
# which one half lies in the sun and one in the shade, five stops apart, so that no exposure suits
# both. Because we made it, we know what it would look like in even light.
#
# Exposure acts on light, so the photo is turned to light first (`srgb_to_linear`). `shade` goes
# from 0 to 1 across the middle; the light is doubled where it is 0, and divided by 16 where it is
# 1: five stops.

# %%
core.set_seed(seed, deterministic)  # determinism has to be asked for before anything is computed
STOPS = (-3, -2, -1, 0, 1, 2, 3)
truth = core.to_float(data.sample_scenes()["coffee"])[:400, :600]
shade = 0.5 + 0.5 * np.tanh(np.linspace(-6, 6, truth.shape[1]))  # 0 on the left, 1 on the right
light = core.srgb_to_linear(truth) * 2.0 ** (1 - 5 * shade)[:, None]

# %% [markdown]
# A camera collects light, with noise, and cuts off what is above white; the file holds it with the
# curve of sRGB in 256 levels. One stop more doubles the light that is collected, and leaves the
# noise of reading as it is: so the signal gains on the noise until it is cut off.


# %%
def shoot(light, stop, seed, photons=8000.0, read_noise=0.002):
    """Photograph linear light at an exposure; return values in [0, 1], with noise, 8 bits deep."""
    collected = data.add_noise(light * 2.0**stop, photons, read_noise, seed)
    values = core.linear_to_srgb(np.clip(collected, 0, 1))
    return core.to_float(core.to_uint8(values))


# %%
shots = {stop: shoot(light, stop, seed) for stop in STOPS}
display.show_images({f"{stop:+d} EV": photo for stop, photo in shots.items()}, columns=4)

# %% [markdown]
# What did each one lose? At the light end, values that are cut off; we call a pixel lost as soon as
# one of its colours is, since its hue is wrong from there on. At the dark end, values that drown in
# noise and rounding; there we call a pixel lost if all its colours are below 4 of 255. Between the
# two lies what the photo shows.


# %%
def ends(photo):
    """Return where a photo has a colour that is cut off, and where none above the dark."""
    return photo.max(-1) >= 254 / 255, photo.max(-1) < 4 / 255


def lost(photo):
    """Return the shares of pixels with a colour that is cut off, and with none above the dark."""
    top, bottom = ends(photo)
    return {"too light": float(top.mean()), "too dark": float(bottom.mean())}


# %%
rows = {f"{stop:+d} EV": lost(photo) for stop, photo in shots.items()}
display.stacked_bars(rows, "share of the pixels that are lost")

# %% [markdown]
# Which exposure loses least? And how much is lost in *every* one, so that no choice among them can
# bring it back?

# %%
best = min(shots, key=lambda stop: sum(lost(shots[stop]).values()))
anywhere = np.all([np.any(ends(photo), 0) for photo in shots.values()], 0)
least = sum(lost(shots[best]).values())
print(f"the best single exposure, {best:+d} EV, loses {least:.1%}; ", end="")
print(f"what all of them lose: {anywhere.mean():.1%}")

# %% [markdown]
# ## Fusion: each pixel from where it looks best
#
# Mertens and colleagues ask three questions of every pixel of every exposure. Is there *contrast*,
# that is, does it differ from its neighbours? Is there *saturation*, that is, do its colours
# differ? And is it *well exposed*, near the middle of the scale? The product is its weight, once
# the weights of a pixel are divided by their sum over the exposures. $L$ is the luminance, and $c$
# is each of the colours $R$, $G$, $B$ in turn:
#
# $$w = |\nabla^2 L| \cdot \mathrm{std}(R, G, B) \cdot
#   \prod_c \exp\left(-\frac{(c - 0.5)^2}{2 \cdot 0.2^2}\right)$$
#
# $\nabla^2$, the Laplacian, compares a pixel with its neighbours. A product is near
# 0 as soon as one factor is: a pixel must answer all three questions well. The small number that
# the code adds keeps the sum from being 0 where all exposures answer badly.


# %%
def fusion_weights(photos):
    """Return how good each pixel of each photo is: (N, H, W), adding up to 1 over the photos."""
    photos = np.asarray(photos, np.float64)
    contrast = np.abs([laplace(core.luminance(photo)) for photo in photos])
    saturation = photos.std(-1)
    exposed = np.exp(-((photos - 0.5) ** 2) / (2 * 0.2**2)).prod(-1)
    weights = contrast * saturation * exposed + 1e-12
    return weights / weights.sum(0)


# %% [markdown]
# The maps share one scale. Where does the weight of the dark exposures lie, and where that of the
# light ones: in the sun, or in the shade?

# %%
photos = list(shots.values())
shares = fusion_weights(photos)
maps = {f"weight of {s:+d} EV": share for s, share in zip(STOPS, shares, strict=True)}
display.show_images(maps, columns=4, limits=(0, 1))

# %% [markdown]
# The weighted mean of the photos is full of specks: weights jump from pixel to pixel, and so does
# the brightness of what they pick.

# %%
naive = sum(share[..., None] * photo for share, photo in zip(shares, photos, strict=True))
window = np.s_[120:280, 220:420]
display.show_images({"weighted mean": naive, "a part of it": naive[window]})

# %% [markdown]
# ## A pyramid hides the seams
#
# A *Laplacian pyramid* takes a photo apart into details of all sizes: what is lost when it is
# halved, what is lost when the half is halved, and so on; and a small rest. Adding all up gives the
# photo back. In each level we mix with weights as smooth as that level: fine details may change
# hands within a pixel, broad light only over a broad stretch. So nothing jumps. Below, grey is a
# detail of 0.


# %%
def smaller(x):
    """Halve an image (H, W, C), blurred before."""
    return pyramid_reduce(x, channel_axis=-1)


def larger(x, like):
    """Double an image, to the size of another."""
    return pyramid_expand(x, channel_axis=-1)[: like.shape[0], : like.shape[1]]


# %% [markdown]
# An odd side is rounded up when it is halved, so that doubling may give one row or column too many;
# it is cut off. The blur before halving keeps fine patterns from turning into false coarse ones.


# %%
def gaussian_pyramid(x, levels):
    """Return an image (H, W, C) and its halves."""
    pyramid = [x]
    for _ in range(levels - 1):
        pyramid.append(smaller(pyramid[-1]))
    return pyramid


# %% [markdown]
# Each level of this *Gaussian* pyramid is a smaller, smoother copy. What one has beyond the next,
# doubled again, is the detail of that size.


# %%
def laplacian_pyramid(x, levels):
    """Take an image (H, W, C) apart into details of all sizes and a small rest."""
    pyramid = gaussian_pyramid(x, levels)
    details = [a - larger(b, a) for a, b in pairwise(pyramid)]
    return [*details, pyramid[-1]]


# %%
def collapse(pyramid):
    """Put an image together again."""
    image = pyramid[-1]
    for detail in pyramid[-2::-1]:
        image = detail + larger(image, detail)
    return image


# %%
levels = laplacian_pyramid(truth, 6)
print(f"taken apart and put together: {np.abs(collapse(levels) - truth).max():.1e}")
shown = {f"{level.shape[1]} pixels wide": np.clip(0.5 + level, 0, 1) for level in levels[:3]}
display.show_images(shown)

# %% [markdown]
# To fuse is to mix the Laplacian pyramids of the photos level by level, each with the Gaussian
# pyramid of its weights. These are as smooth as their level, and still add up to 1.


# %%
def fuse(photos, levels=6):
    """Fuse photos (H, W, 3) of several exposures, after Mertens et al."""
    mixed = [0.0] * levels
    for photo, share in zip(photos, fusion_weights(photos), strict=True):
        details = laplacian_pyramid(photo.astype(np.float64), levels)
        smooth = gaussian_pyramid(share[..., None], levels)
        mixed = [m + d * w for m, d, w in zip(mixed, details, smooth, strict=True)]
    return np.clip(collapse(mixed), 0, 1).astype(np.float32)


# %%
fused = fuse(photos)
display.show_images({"weighted mean": naive, f"{best:+d} EV": shots[best], "fused": fused})

# %% [markdown]
# How much nearer is it to the scene in even light? All are given its mean brightness first, so that
# brightness as a whole does not count. The last row is what a network makes of the best single
# exposure: `lumen`, the subject of `12_lumen`.


# %%
def psnr_at_mean(image, truth):
    """Return the PSNR (dB) of an image that is given the mean brightness of the truth first."""
    gain = core.exposure_gain(image, float(truth.mean()))
    return psnr(core.expose(image, gain).astype(np.float32), truth)


# %%
candidates = {f"{best:+d} EV": shots[best], "weighted mean": naive, "fused": fused}
lumen = enhancers.load_enhancer("lumen")
candidates[f"lumen on {best:+d} EV"] = lumen.enhance(shots[best], float(truth.mean()))

# %%
lines = ["| picture | lost pixels | PSNR at the mean of the scene (dB) |", "|---|---:|---:|"]
for name, image in candidates.items():
    score = psnr_at_mean(image, truth)
    lines.append(f"| {name} | {sum(lost(image).values()):.1%} | {score:.2f} |")
Markdown("\n".join(lines))

# %% [markdown]
# ## Move the exposures
#
# Two shots only, and you choose which. Far apart they share too little; close together they know
# no more than one.


# %%
def fuse_two(darker, lighter, light, seed):
    """Fuse a scene at two exposures."""
    return fuse([shoot(light, stop, seed) for stop in (darker, lighter)])


# %% [markdown]
# Each slider takes four numbers: the lowest stop, the highest, the step and the start.

# %%
fuse_scene = partial(fuse_two, light=light, seed=seed)
sliders = {"darker": (-4, 0, 1, -2), "lighter": (0, 4, 1, 2)}
display.image_slider(fuse_scene, **sliders)

# %%
display.static(fuse_scene, **sliders)

# %% [markdown]
# The same in numbers, with the two shots at equal distances from 0. At no distance both are the
# same photo, and the fusion is that photo.

# %%
by_distance = {}
for stop in range(5):
    by_distance[stop] = psnr_at_mean(fuse_scene(darker=-stop, lighter=stop), truth)
    print(f"{2 * stop} stops apart: {by_distance[stop]:.2f} dB at the mean of the scene")

# %% [markdown]
# ## What moves becomes a ghost
#
# The shots are taken one after another. A lamp that somebody carries through the picture is at
# another place in each of them, and the fusion shows it wherever it looked good.


# %%
def with_lamp(light, place, radius=10.0):
    """Add a small bright lamp to linear light, at a share of the width."""
    rows, columns = np.indices(light.shape[:2])
    distance = np.hypot(rows - light.shape[0] * 0.3, columns - light.shape[1] * place)
    return light + 3.0 * np.exp(-((distance / radius) ** 2))[..., None]


# %% [markdown]
# At its centre the lamp adds three times the light that is white at 0 EV. In the second picture it
# has moved on by a tenth of the width from each shot to the next.

# %%
moving = [shoot(with_lamp(light, 0.35 + 0.1 * i), stop, seed) for i, stop in enumerate(STOPS)]
still = [shoot(with_lamp(light, 0.65), stop, seed) for stop in STOPS]
display.show_images({"the lamp stands still": fuse(still), "it moves": fuse(moving)})

# %% [markdown]
# Programs for this look for pixels in which the exposures contradict each other and take those from
# one shot. Handheld series need an alignment as well. A single photo has neither problem, which is
# one reason to want a network that works on one.
#
# ## A network learns what it is shown
#
# Zero-DCE is trained without any reference: four losses judge what comes out. So it may be trained
# on dark photos alone, or on photos of all exposures, as its authors did. What is the difference?
# Both networks below are the Zero-DCE++ of `03_zero_dce`, taken from that notebook, with the same
# losses, steps and seed. Only the photos differ.
#
# A *sequence* is one scene at several exposures. The synthetic ones are made as above, with the
# noise of each photo from a seed of its own.


# %%
def synthetic_sequences(count, names, seed):
    """Return name -> photos of a scene from dark to bright, uint8, and its well-lit photo."""
    pairs = data.synthetic_pairs(count, (192, 288), seed, names)
    found = {}
    for i, (name, normal) in enumerate(zip(pairs.names, pairs.normal, strict=True)):
        scene = core.srgb_to_linear(core.to_float(normal))
        taken = [shoot(scene, stop, [seed, i, j]) for j, stop in enumerate(STOPS)]
        found[name] = [core.to_uint8(photo) for photo in taken], normal
    return found


# %% [markdown]
# Of real scenes nobody knows what the well-lit photo would be; we take the exposure nearest to a
# mean that well-lit photos usually have. Scenes with fewer than three exposures are left out.


# %%
def real_sequences(source, split):
    """Return the same of a source; the well-lit photo is the one whose mean is nearest to 0.45."""
    found, photos = {}, data.load(source, split, paired=False)
    for name, photo, _ in photos:
        found.setdefault(photos.scenes[name], []).append(photo)
    series = {scene: sorted(shots, key=np.mean) for scene, shots in found.items() if len(shots) > 2}
    if not series:
        raise ValueError(f"{source} has no scene with three exposures or more.")
    return {s: (p, min(p, key=lambda one: abs(one.mean() / 255 - 0.45))) for s, p in series.items()}


# %%
if source == "synthetic":
    train_scenes = synthetic_sequences(scenes, data.TRAIN_SCENES, seed)
    val_scenes = synthetic_sequences(4, data.VAL_SCENES, seed + 1)
else:
    train_scenes, val_scenes = (real_sequences(source, split) for split in ("train", "val"))

# %% [markdown]
# A photo counts as dark if its mean is below that of the well-lit photo of its scene. One network
# gets these, the other all.

# %%
everything = [photo for photos, _ in train_scenes.values() for photo in photos]
dark = [p for photos, normal in train_scenes.values() for p in photos if p.mean() < normal.mean()]
print(f"{len(train_scenes)} scenes, {len(everything)} photos, ", end="")
print(f"{len(dark)} of them darker than the well-lit photo of their scene")

# %%
zero_dce = definitions("03_zero_dce")
folder = core.run_folder("11_exposures", output_dir)
run = training.Run(folder, [[epochs, crop, batch_size]], steps, learning_rate, seed=seed)

# %% [markdown]
# Zero-DCE++ draws its maps from the photo reduced by `scale`. For training, photos are reduced by
# `downsampling` beforehand, and the network divides by the rest of the scale: it sees nearly the
# same, and a step costs less. The enhancer gets the whole scale back, for photos of any size.


# %%
def trained_on(photos, run, scale, downsampling, weights, target):
    """Train Zero-DCE++ on photos; return it as an enhancer for photos of any size."""
    core.set_seed(run.seed)
    network = zero_dce.dce_net_pp(scale // downsampling)
    [(_, crop, _)] = run.stages
    reduced = zero_dce.reduce_all(photos, downsampling, crop)
    zero_dce.train(network, reduced, run, weights, target, "official", verbose=0)
    return zero_dce.viewer(zero_dce.at_full_size(zero_dce.dce_net_pp, network, scale), scale)


# %% [markdown]
# Each training has a folder of its own, so that neither resumes from the checkpoint of the other.
# `shipped` is the Zero-DCE++ that comes with the project; its card says what it was trained on.

# %%
networks = {}
for name, photos_of in {"dark photos": dark, "all": everything}.items():
    own = replace(run, folder=run.folder / name.split()[0])
    networks[name] = trained_on(photos_of, own, scale, downsampling, weights, exposure_target)
networks["shipped"] = enhancers.load_enhancer("zero_dce_pp")

# %% [markdown]
# ## Three photos, three networks
#
# A scene that was not trained on: a photo near its dark end, the middle one, and one near its
# light end. Above each stands its mean: look at what becomes of the light one.

# %%
name, (series, normal) = next(iter(val_scenes.items()))
order = sorted(series, key=lambda photo: photo.mean())
outer = len(order) // 6  # of seven the second and the last but one; of three the outer two
picked = [core.to_float(order[i]) for i in (outer, len(order) // 2, -1 - outer)]

# %%
rows = {"photo": picked} | {n: [e.enhance(p) for p in picked] for n, e in networks.items()}
for label, images in rows.items():
    display.show_images(images, titles=[f"{label}, mean {i.mean():.2f}" for i in images], columns=3)

# %% [markdown]
# ## In numbers
#
# Every photo of every validation scene, sorted by how much light it got: the mean of its light over
# that of the well-lit photo, in stops. What was cut off is missing from that mean. A row that is
# named after 2 stops begins at 1.5, halfway from 1. How bright does a photo become, and how near
# does it come to the well-lit one?


# %%
def stops_of(photo, normal):
    """Return by how many stops a photo got more light than the well-lit one, uint8 both."""
    means = [core.srgb_to_linear(core.to_float(side)).mean() for side in (photo, normal)]
    return float(np.log2(means[0] / means[1]))


# %% [markdown]
# For real scenes one of the photos is the reference itself; compared with itself its PSNR is
# infinite, and it is left out. For the others 60 dB are the most that is counted, so that a photo
# that is all but equal does not decide the mean of its row.


# %%
def measure(enhance):
    """Return stops, mean before, mean after, PSNR before and after, for each photo."""
    rows = []
    for photos, normal in val_scenes.values():
        for photo in photos:
            before, reference = core.to_float(photo), core.to_float(normal)
            if photo is normal:
                continue
            after = enhance(before)
            scores = [min(psnr(x, reference), 60.0) for x in (before, after)]
            rows.append([stops_of(photo, normal), before.mean(), after.mean(), *scores])
    return np.array(rows)


# %%
measured = {name: measure(network.enhance) for name, network in networks.items()}

# %% [markdown]
# Photos are put into five bins by their stops, from the first number up to the second. *Right* is
# what lies within a quarter of a stop.

# %%
BINS = {
    "2 stops or more too dark": (-9, -1.5),
    "up to 2 too dark": (-1.5, -0.25),
    "right": (-0.25, 0.25),
    "up to 2 too light": (0.25, 1.5),
    "2 or more too light": (1.5, 9),
}
COLUMNS = ("mean_before", "mean_after", "psnr_before", "psnr_after")


# %%
def summary(rows):
    """Return for each bin the number of photos and the means of the columns."""
    found = {}
    for light, (low, high) in BINS.items():
        chosen = rows[(rows[:, 0] >= low) & (rows[:, 0] < high)]
        if len(chosen):
            means = dict(zip(COLUMNS, map(float, chosen.mean(0)[1:]), strict=True))
            found[light] = {"photos": len(chosen), **means}
    return found


# %% [markdown]
# In the table, each cell holds the mean brightness and the PSNR: first of the photos as they were,
# then of what each network makes of them. Bins without photos are left out.


# %%
def print_summary(records):
    """Print the mean brightness and the PSNR of each network, by how much light a photo got."""
    lines = [f"| light | photos | as it was | {' | '.join(records)} |"]
    lines.append("|---|---:|" + "---:|" * (1 + len(records)))
    for light in BINS:
        found = [record[light] for record in records.values() if light in record]
        if found:
            told = [(found[0]["mean_before"], found[0]["psnr_before"])]
            told += [(one["mean_after"], one["psnr_after"]) for one in found]
            cells = " | ".join(f"{mean:.2f}, {score:.1f} dB" for mean, score in told)
            lines.append(f"| {light} | {found[0]['photos']} | {cells} |")
    return "\n".join(lines)


# %%
records = {name: summary(rows) for name, rows in measured.items()}
told = {"data": source, "train_scenes": len(train_scenes), "val_scenes": len(val_scenes)}
told |= {"steps": run.total_steps, "seed": seed, "versions": core.versions()}
core.write_json(run.folder / "11_exposures.json", told | {"networks": records})
Markdown(print_summary(records))

# %% [markdown]
# What did the light photos among the second training change, row by row? *Brighter* and *darker*
# are said of what the networks make of the same photos.


# %%
def verdict(records):
    """Say what training on all exposures gave and took, compared with dark photos alone."""
    dark, everything = records["dark photos"], records["all"]
    said = ["trained on all exposures instead of dark ones, photos become"]
    for light in BINS:
        if light in dark:
            gain = everything[light]["psnr_after"] - dark[light]["psnr_after"]
            change = everything[light]["mean_after"] - dark[light]["mean_after"]
            word = "darker" if change < 0 else "brighter"
            said.append(f"{light:24} {word} by {abs(change):.2f}, PSNR {gain:+.1f} dB")
    return "\n".join(said)


# %%
print(verdict(records))

# %% [markdown]
# ## On real sequences
#
# The same cells with `source = "sequences"` and the profile `cpu`, on scenes that were not
# trained on. As reference serves the exposure whose mean is nearest to 0.45.

# %%
real = json.loads((core.data_dir() / "results" / "exposures.json").read_text("utf-8"))
Markdown(print_summary(real["networks"]))

# %%
print(verdict(real["networks"]))

# %% [markdown]
# ## Where it fails
#
# **A fusion needs a series**, and a series needs a scene that holds still. **Its result is no photo
# of light**: a shadow may come out as bright as the sun beside it, because both looked best near
# the middle. **A curve cannot find what is cut off**: it keeps white white, so an over-exposed sky
# stays white, and what a single colour has lost stays lost.

# %%
white = shots[3]
recovered = networks["all"].enhance(white)
display.show_images({"+3 EV": white, "enhanced": recovered, "the scene": truth})

# %% [markdown]
# ## Exercises
#
# **1.** Which of the three questions of the fusion matters most? Leave out each in turn.
#
# <details><summary>Solution</summary>The next cell multiplies the factors that are left. The lower
# the score without one, compared with the score of all three, the more it matters.</details>

# %% tags=["solution"] jupyter={"source_hidden": true}
for left_out in ("nothing", "contrast", "saturation", "exposedness"):
    stack = np.asarray(photos, np.float64)
    factors = {
        "contrast": np.abs([laplace(core.luminance(photo)) for photo in stack]),
        "saturation": stack.std(-1),
        "exposedness": np.exp(-((stack - 0.5) ** 2) / (2 * 0.2**2)).prod(-1),
    }
    kept = np.prod([value for name, value in factors.items() if name != left_out], 0) + 1e-12
    mean = (kept / kept.sum(0))[..., None] * stack
    score = psnr(mean.sum(0).astype("float32"), truth)
    print(f"left out: {left_out:11} PSNR of the weighted mean {score:.2f} dB")

# %% [markdown]
# **2.** How many levels does the pyramid need? Fuse with 1, 3 and 6.
#
# <details><summary>Solution</summary>With one level it is the weighted mean. With more, light is
# passed on over wider stretches, and the specks go.</details>

# %% tags=["solution"] jupyter={"source_hidden": true}
display.show_images({f"levels: {n}": fuse(photos, n)[window] for n in (1, 3, 6)})

# %% [markdown]
# ## What was learnt
#
# - Too little light drowns, too much is cut off; between the two a photo shows what there is.
# - A fusion takes each pixel from where it looks best, at every size of detail by itself.
# - What moves becomes a ghost.
# - A loss without a reference does not know what is right; the photos it meets decide what a
#   network does with a bright one.
#
# `12_lumen` goes on from here: any exposure of a sequence as input, any other as target.

# %%
print(core.versions())
