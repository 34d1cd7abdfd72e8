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
# # Data: which photos to learn from, and how to be sure of them
#
# You will build dark photos with a simulated camera, pair real ones without a mistake, and
# find the errors that make a score look better than it is.

# %% [markdown] tags=["badges"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/low-light-notebooks/blob/main/notebooks/01_data.ipynb)

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
# - how a dark photo comes about: light, exposure, white balance, noise, rounding;
# - where paired photos can be had, and on which terms;
# - why pairs are matched by file name, and how to audit them;
# - why a split must not divide a scene, and how many photos leak when it does;
# - to pack photos into one file and to draw training batches from it.
#
# You should know NumPy arrays; `00_start_here` shows the image type. Everything runs on two
# processor cores, without a network, unless you ask for real photos.
#
# References: Wei, Wang, Yang and Liu, *Deep Retinex Decomposition for Low-Light Enhancement*
# (BMVC 2018), for the LOL pairs; IEC 61966-2-1 for sRGB; Foi, Trimeche, Katkovnik and
# Egiazarian, *Practical Poissonian-Gaussian Noise Modeling* (IEEE TIP 2008), for the noise.

# %%
import json
from functools import partial
from pathlib import Path
from timeit import timeit

import numpy as np
from IPython.display import Markdown

from lle_utils import core, data, display, evaluation
from lle_utils.core import project_root

# %% [markdown]
# Leave `source` at `"synthetic"` for the offline sample, name a folder with photos of your own, or
# take real pairs: `"lol"` is downloaded when it is not on the disk. `data.load` explains what else
# there is.

# %% tags=["parameters"]
profile = ""  # "colab", or another of notebooks/profiles; what you change below wins
source = "synthetic"  # or pairs: a folder, "lol", another name of the table below
seed = 0
count = 24  # pairs to work with
output_dir = ""  # where files go; empty: runs/01_data in the project

# %% tags=["profile"]
from lle_utils.notebook_tools import start

start("01_data", globals())

# %%
folder = Path(output_dir or project_root() / "runs" / "01_data")

# %% [markdown]
# ## Where photos come from
#
# The project keeps a registry of the data sets that papers train and test on: a text file with
# mirrors, sizes and licences. None of the photos belongs to the project, so none is shipped.

# %%
from lle_utils.data import load_registry

rows = ["| name | title | images | licence as published |", "|---|---|---|---|"]
for item in load_registry().values():
    rows.append(f"| `{item.name}` | {item.title} | {item.images or '?'} | {item.licence} |")
Markdown("\n".join(rows))

# %% [markdown]
# *Not stated* does not mean free. It means that you may not pass the photos on, nor a figure
# that shows them, before you have asked.
#
# ## Pairs
#
# Supervised methods need each scene twice: dark, to start from, and well lit, to compare
# with. The offline sample is written as PNG files in two folders, `low` and `normal`, so that every
# step that follows works on files, as it would on your own photos.


# %%
def sample_pairs(root, count, seed):
    """Write pairs of the synthetic camera and find them again."""
    sample = data.synthetic_pairs(count, size=(160, 240), seed=seed)
    for name, low, normal in zip(sample.names, sample.low, sample.normal, strict=True):
        core.save_image(root / "low" / f"{name}.png", low)
        core.save_image(root / "normal" / f"{name}.png", normal)
    return data.find_pairs(root / "low", root / "normal")


# %%
if source == "synthetic":
    pairs = sample_pairs(folder / f"sample-{seed}-{count}", count, seed)
else:  # what a folder or a data set holds
    pairs = data.origin_of(source).collection().pairs[:count]
print(f"{len(pairs)} pairs, from {pairs[0].name} to {pairs[-1].name}")

# %% [markdown]
# Before anything else, look at what you have. Shape and range tell whether a file was read as
# intended; the means tell how dark the dark side is.


# %%
def look(side):
    """Read a photo of a pair, as a float image."""
    return core.to_float(data.read_side(side))


low, normal = look(pairs[0].low), look(pairs[0].normal)
for name, image in {"low": low, "normal": normal}.items():
    print(f"{name:6} {image.shape} {image.min():.3f} to {image.max():.3f}, mean {image.mean():.3f}")

# %%
shown = pairs[:: -(-len(pairs) // 3)]  # three, spread over the list
display.pair_grid(
    [look(pair.low) for pair in shown],
    [look(pair.normal) for pair in shown],
    titles=[pair.name for pair in shown],
)

# %% [markdown]
# ## A camera in five steps
#
# To understand a dark photo, make one. Each step of the simulated camera has a physical
# reason, and because we choose every number ourselves, we know the truth that a real photo
# keeps to itself.
#
# ### 1. From values to light
#
# The numbers in a file are not proportional to light. sRGB spends more of its levels on the
# shadows, where the eye is sensitive. With *x* the value in the file, the light is
#
# $$l = \left(\frac{x + 0.055}{1.055}\right)^{2.4}$$
#
# apart from a short straight piece near black. What the lens does, it does to *l*.

# %%
picture = core.to_float(data.sample_scenes()["coffee"])
light = core.srgb_to_linear(picture)
display.show_images({"values in the file": picture, "light, shown without encoding": light})

# %% [markdown]
# ### 2. Exposure, and light that falls off
#
# A short exposure collects a share *k* of the light. Lamps are also uneven: a smooth map *g*
# makes some places darker still.

# %%
camera = data.Camera(
    exposure=0.1, illumination=0.4, white_balance=(1.1, 1, 0.9), photons=1000, read_noise=0.004
)
exposed = camera.exposure * light
display.show_images({"before": picture, "exposed": core.linear_to_srgb(exposed)})

# %%
rng = np.random.default_rng(seed)
falloff = data.illumination_map(light.shape[:2], camera.illumination, rng)
dim = camera.exposure * falloff[..., None] * light
display.show_images({"map of light": falloff, "dim": core.linear_to_srgb(dim)})

# %% [markdown]
# ### 3. White balance
#
# Dim lamps are seldom white, and the camera's guess at their colour is off. One gain for each
# colour imitates that: here red is raised and blue lowered. In the dark the eye hardly sees it,
# so both pictures are shown as if they had been fully exposed.

# %%
cast = dim * camera.white_balance
bright = {"no cast": dim / camera.exposure, "with a cast": np.clip(cast / camera.exposure, 0, 1)}
display.show_images({name: core.linear_to_srgb(each) for name, each in bright.items()})

# %% [markdown]
# ### 4. Noise
#
# Light arrives in photons, and counting them is a lottery. Let *l* now be the light that the
# steps before have left, and *N* the photons that a white pixel counts at full exposure. A pixel
# then expects *N l* of them and gets a Poisson number with that mean. The electronics add noise
# of their own, of deviation σ, whatever the light:
#
# $$n = \frac{\mathrm{Poisson}(N\,l)}{N} + \mathcal{N}(0, \sigma^2)$$
#
# What falls below zero or above one is cut off, as in a finished photo.

# %%
noisy = np.clip(data.add_noise(cast, camera.photons, camera.read_noise, rng), 0, 1)
window = (slice(120, 240), slice(200, 380))
display.show_images(
    {
        "without noise": core.linear_to_srgb(cast[window]),
        "with noise": core.linear_to_srgb(noisy[window]),
    }
)

# %% [markdown]
# ### 5. Eight bits
#
# The file keeps whole numbers from 0 to 255, and a dark photo uses few of them. Round, never
# cut: a truncating cast takes half a level on average from a value that is not 0, and a score
# computed from such files is that of a darker photo.

# %%
stored = core.to_uint8(core.linear_to_srgb(noisy))
cut = (255 * core.linear_to_srgb(noisy)).astype(np.uint8)
print(f"levels in use: {np.unique(stored).size} of {np.unique(core.to_uint8(picture)).size}")
print(f"mean level rounded {stored.mean():.2f}, cut off {cut.mean():.2f}")

# %% [markdown]
# That was all. `darken` does the five steps in one call, from the same seed to the same photo,
# pixel by pixel.

# %%
dark = data.darken(picture, seed, camera)
print("equal to the steps above:", np.array_equal(core.to_uint8(dark), stored))
display.show_images({"well lit": picture, "dark": dark})

# %% [markdown]
# ## How much noise?
#
# The formula above predicts it. On an even grey of light *l*, taken at the exposure *k*, the
# noise has the variance *k l / N* + σ², so signal over noise is
#
# $$\frac{k\,l}{\sqrt{k\,l / N + \sigma^2}}$$
#
# A check like this, of a measurement against a closed form, is worth more than a look at the
# picture: a wrong factor in the camera would show at once.

# %%
exposures = np.geomspace(0.01, 1, 12)
grey = np.full((200, 200), 0.18)  # the light of middle grey
shots = [data.add_noise(k * grey, camera.photons, camera.read_noise, seed) for k in exposures]
measured = np.array([shot.mean() / shot.std() for shot in shots])

# %%
signal = 0.18 * exposures
predicted = signal / np.sqrt(signal / camera.photons + camera.read_noise**2)
curves = {"measured": measured, "predicted": predicted}
figure = display.plot_curves(exposures, curves, "exposure", "signal / noise", diagonal=False)
figure.axes[0].lines[0].set_marker("o")  # the two curves lie on each other
figure.axes[0].set(xscale="log", yscale="log")
figure

# %% [markdown]
# With much light the curve follows a square root, the law of counting: a quarter of the light
# halves the ratio. With very little light the electronics take over, and a quarter of the light
# leaves a quarter of it. Both axes are logarithmic: the first is a slope of one half, the second
# a slope of one.
#
# The same on a picture. Each shot is brought back to its former brightness by dividing the
# light by the exposure, which is the best that brightening alone can do.

# %%
restored = {}
for exposure in (0.3, 0.1, 0.02):
    even = data.Camera(exposure, photons=camera.photons, read_noise=camera.read_noise)
    shot = core.srgb_to_linear(data.darken(picture, seed, even))
    restored[f"exposure {exposure}"] = core.linear_to_srgb(np.clip(shot / exposure, 0, 1))
display.show_images({name: image[window] for name, image in restored.items()})

# %% [markdown]
# ## Move the exposure
#
# The whole camera behind one slider. Watch when the shadows drown, and when the noise starts
# to show.


# %%
def shoot(exposure, photons, seed):
    chosen = data.Camera(exposure, photons=photons, read_noise=camera.read_noise)
    return data.darken(picture, seed, chosen)


# %%
controls = {"exposure": (0.01, 1.0, 0.01, 0.1), "photons": (200, 4000, 100, 1000)}
photograph = partial(shoot, seed=seed)
display.image_slider(photograph, **controls)

# %% [markdown]
# For readers without a running kernel, its starting position:

# %%
display.static(photograph, **controls)

# %% [markdown]
# ## Pair by name
#
# Much published code lists the two folders separately and pairs the first file with the first.
# The operating system promises no order, and a single missing file shifts all that follow. A
# shuffle stands for the order of another machine.

# %%
listing = [pair.low.stem for pair in pairs]
other = np.random.default_rng(seed).permutation(listing)
wrong = sum(first != second for first, second in zip(listing, other, strict=True))
print(f"paired by position in an unsorted listing: {wrong} of {len(pairs)} wrong")

# %% [markdown]
# Nothing crashes then, and the loss even falls, because the average brightness can be learnt
# from wrong pairs too. `find_pairs` goes by the file's stem and refuses what it cannot match.
# Here one of two photos lacks its partner:

# %%
broken = folder / "broken"
for name in ("low/1.png", "low/2.png", "normal/1.png"):
    core.save_image(broken / name, low)
try:
    data.find_pairs(broken / "low", broken / "normal")
except data.PairError as error:
    print(str(error).replace(str(folder), "..."))

# %% [markdown]
# ## Audit the content
#
# Names can match while photos do not. Somebody renamed a file, or the tripod moved between the
# shots. We plant both mistakes: a pair of two different scenes, and a pair whose dark photo is
# moved by five rows and three columns.

# %%
moved = np.roll(data.read_side(pairs[2].low), (5, -3), axis=(0, 1))
planted = [
    data.Pair("swapped", pairs[0].low, pairs[-1].normal),
    data.Pair("moved", core.save_image(folder / "moved.png", moved), pairs[2].normal),
]
display.pair_grid(
    [look(pair.low) for pair in planted],
    [look(pair.normal) for pair in planted],
    titles=[pair.name for pair in planted],
)

# %% [markdown]
# `audit_pairs` measures two things. Phase correlation tells by how many pixels one photo is
# moved against the other. Structural similarity, once the dark photo has been given the
# histogram of the bright one, tells whether both show the same thing. Flagged are shifts of more
# than 2 pixels, if undoing them helps, and similarities below 0.5.

# %%
audit = data.audit_pairs([*pairs, *planted])
for row in audit[-4:]:
    print(f"{row['name']:24} {row['shift']:5.1f} px {row['ssim']:6.2f}  {row['flags']}")

# %%
flagged = [row["name"] for row in audit if row["flags"]]
print(f"flagged: {', '.join(flagged)}; {len(audit) - len(flagged)} pairs pass")

# %% [markdown]
# A flag is a reason to look, not a verdict. Where a photo is almost black, noise hides the
# structure, and a good pair may be flagged or its shift be unmeasurable. So look at the pair
# that agrees least, of those that we did not spoil:

# %%
doubtful = min(range(len(pairs)), key=lambda number: audit[number]["ssim"])
pair = pairs[doubtful]
print(f"{pair.name}: similarity {audit[doubtful]['ssim']:.2f}, flags {audit[doubtful]['flags']}")
display.pair_grid([look(pair.low)], [look(pair.normal)])

# %% [markdown]
# How much would a shift matter? Take a photo and the same photo moved. PSNR, the score that
# `02_metrics` explains, has no limit for equal photos and is lower the more they differ. Not one
# pixel of noise is added, and still it falls as if the picture had been spoilt.

# %%
from lle_utils.metrics import psnr

for pixels in (1, 2, 5):
    print(f"moved by {pixels} px: PSNR {psnr(np.roll(normal, pixels, axis=1), normal):.1f} dB")

# %% [markdown]
# ## Scenes that are in two splits
#
# LOL holds many photos of one scene: the camera stood still while the exposure was changed. If
# one of them is trained on and another is used to validate, the network is examined on what it
# has seen. `data/lol_scenes.json` lists the numbers of the photos that belong together, for those
# of our485, the training part of LOL, that this project uses, and for eval15, its test part.
# What follows needs these numbers only, no photos.

# %%
scenes = data.load_scenes()
scene_of_photo = data.scene_map(scenes)
official_test = [str(number) for number in scenes["eval15"]]
official_train = sorted(set(scene_of_photo) - set(official_test), key=data.natural_key)
print(f"{len(official_train)} + {len(official_test)} photos show {len(scenes['scenes'])} scenes")
print(scenes["method"])

# %% [markdown]
# We hold a tenth of the training photos out, in two ways: photo by photo, and scene by scene.
# Then we count the held-out photos whose scene is also trained on.


# %%
def by_photo(split_seed):
    order = np.random.default_rng(split_seed).permutation(official_train)
    return order[len(order) // 10 :], order[: len(order) // 10]


def by_scene(split_seed):
    parts = data.split_by_scene(
        official_train, scene_of_photo, {"train": 0.9, "val": 0.1}, split_seed
    )
    return parts["train"], parts["val"]


# %%
def leaked(train, held_out):
    trained = {scene_of_photo[name] for name in train}
    return np.mean([scene_of_photo[name] in trained for name in held_out])


# %% [markdown]
# One split could be chance, so we draw many. The lines reach from the fifth to the
# ninety-fifth percentile of the draws.

# %%
rows = []
for label, split in {"photo by photo": by_photo, "scene by scene": by_scene}.items():
    shares = [leaked(*split(seed + draw)) for draw in range(100)]
    rows.append((label, np.mean(shares), *np.percentile(shares, [5, 95])))
display.interval_plot(rows, "share of held-out photos whose scene is trained on")

# %% [markdown]
# The official test has the same weakness. Its scores are comparable between papers, because all
# use it, but they say less about a new scene than one would think:

# %%
overlap = leaked(official_train, official_test)
print(f"{overlap:.0%} of the {len(official_test)} photos of eval15 show a scene of our485")

# %% [markdown]
# The evaluation code of this project asks `check_no_leak` first, which refuses such a split
# unless the official overlap is accepted expressly, and then reports it.

# %%
try:
    data.check_no_leak(*by_photo(seed), scenes)
except data.LeakError as error:
    print(error)
print("scene by scene:", data.check_no_leak(*by_scene(seed), scenes))

# %% [markdown]
# ## Scenes of your own photos
#
# For photos of your own there is no such list; it has to be found in the photos. One measure is
# the rank order of the pixels of small copies, which brightness does not alter. As a test, let it
# find the bright partner of each dark photo.

# %%
found = data.similar_photos([pair.low for pair in pairs], [pair.normal for pair in pairs])
partners = {row["first"] for row in found if row["first"] == row["second"]}
print(f"found the partner of {len(partners)} of {len(pairs)}")

# %% [markdown]
# Where it misses one, uneven light or strong noise has changed the order. Well-lit photos have
# less of both. `find_scenes` takes these, and does not compare all with all: a *perceptual hash*,
# 64 bits that say which of the lowest frequencies of a small copy lie above their median, proposes
# which photos may show one view, and the rank order decides.

# %%
found_scenes = data.find_scenes(pairs)
print(f"{len(found_scenes)} photos, {len(set(found_scenes.values()))} scenes by content")

# %% [markdown]
# Of the sample it finds more scenes than the few pictures that the photos were cut from, because
# crops that hardly overlap are different views. How good is it on real photos? Of LOL the truth
# is known. *Precision* is the share of right ones among the pairs
# of photos that it puts together, *recall* the share that it finds of those that belong together.

# %%
record = json.loads((core.data_dir() / "results" / "scene_finder.json").read_text("utf-8"))
print(f"{record['photos']} photos of {record['data']}: {record['scenes']} scenes found, ", end="")
print(f"{record['known_scenes']} known; precision {record['precision']:.1%}, ", end="")
print(f"recall {record['recall']:.1%}")

# %% [markdown]
# A scene that was photographed from two places is two scenes to it, and two that look alike are
# one. So the list is written to a file, `<pack>.scenes.csv`, which you may correct.

# %% [markdown]
# ## One file instead of many
#
# A training run reads each photo many times, and decoding a PNG takes longer than cutting a crop
# from it. A *pack* is a single `.npz` file with the decoded values, not compressed, so that only
# the part in use is read from the disk. It stores 8-bit numbers, a quarter of the size of
# float32, and keys that say what they hold: `low`, `normal`, `name`, `scene`, `split`, `meta`.

# %%
from lle_utils.data import open_pack, pack_pairs

known = {p.name: p.name.split("-")[0] for p in pairs}  # the sample's names begin with the scene
scene = known if source == "synthetic" else found_scenes
parts = data.split_by_scene([p.name for p in pairs], scene, {"train": 0.8, "val": 0.2}, seed)
split_of = {name: part for part, names in parts.items() for name in names}
path = pack_pairs(pairs, folder / "pairs.npz", split=split_of, scenes=scene, source=source)

# %% [markdown]
# The pack carries its own history: where the photos come from, how they were cut, and a checksum
# for every file that went in. Photos were not resized, because that averages noise away and a
# network trained on it meets a different noise in real photos.

# %%
pack = open_pack(path)
print(pack.low[0].shape, pack.low[0].dtype, {part: len(names) for part, names in parts.items()})
print("meta:", ", ".join(pack.meta))

# %% [markdown]
# The time for one batch, from the files and from the pack:

# %%
from_files = timeit(lambda: [data.read_side(pair.low) for pair in pairs[:8]], number=10)
from_pack = timeit(lambda: [np.array(photo) for photo in pack.low[:8]], number=10)
print(f"files {100 * from_files:.1f} ms, pack {100 * from_pack:.2f} ms")

# %% [markdown]
# ## Batches
#
# `PairStream` draws what a network trains on: crops at the same place in both photos, turned and
# mirrored alike. Batch *i* of epoch *e* depends on the seed, *e* and *i* alone. A run that was
# interrupted goes on with the very batches it would have seen.

# %%
from lle_utils.data import PairStream

stream = PairStream(*pack.subset("train"), crop=96, batch_size=4, seed=seed)
low_batch, normal_batch = stream[0]
display.pair_grid(low_batch, normal_batch)

# %%
resumed = PairStream(*pack.subset("train"), crop=96, batch_size=4, seed=seed, epoch=3)
print("shape", low_batch.shape, low_batch.dtype, "batches per epoch", len(stream))
print("same batch after a resume:", np.array_equal(stream.batch(3, 0)[0], resumed[0][0]))

# %% [markdown]
# ## All of it in one line
#
# `data.load(source, split)` does what this notebook did: it finds or fetches the photos, pairs
# them, finds their scenes, splits and packs them once, and returns those of one split. Every
# notebook that trains begins with it. `lle data prepare SOURCE` does the same in a terminal.
#
# | source | what happens |
# |---|---|
# | `synthetic` | the bundled scenes and the simulated camera |
# | `lol`, or another name of the table above | downloaded if missing |
# | a folder with `low/` and `normal/` | paired by name |
# | a folder of pictures side by side | cut in two |
# | a folder of well-lit photos | darkened by the simulated camera: you need no dark ones |
# | a folder of dark photos | for `03_zero_dce`, which needs no others |
# | a folder of camera raw files | developed, not brightened; then as one of photos |
# | a pack, `.npz` | used as it is |
# | several of them, joined with `+` | one after the other |

# %%
for split in ("train", "val"):
    part = data.load(source, split, seed)
    print(f"{split}: {len(part)} pairs of {len(set(part.scenes.values()))} scenes; {part.licence}")

# %% [markdown]
# Is a folder of well-lit photos worth adding? `04_mirnet` was trained twice with its profile `cpu`,
# for the same 6,000 steps: on LOL alone, and on LOL with 195 well-lit photos of other scenes, which
# the simulated camera darkened. Both are judged by LOL's validation photos, whole and blind. The
# third column is PSNR once the mean is matched, the last how far the mean is off.

# %%
trained_on = evaluation.load_records("darkened")
Markdown(evaluation.table(trained_on))

# %% [markdown]
# Photo by photo, what the darkened photos added or took, with the interval of the difference. Where
# it holds 0 the answer is open.

# %%
alone, with_darkened = (trained_on[k] for k in ("lol alone", "lol and darkened photos"))
for metric in alone["values"]:
    print(f"{metric:12} {evaluation.difference_text(with_darkened, alone, metric)}")

# %% [markdown]
# The steps are the same, so each step on a darkened photo is one less on LOL, whose camera and
# light the validation photos share. The score says what that exchange was worth for *these* photos.
# Who has few pairs of the camera that matters, or none, has less to lose by it.

# %%
ends = evaluation.paired_difference(with_darkened, alone, "ssim")
side = "more" if ends["low"] > 0 else "less" if ends["high"] < 0 else "neither more nor less"
print(f"With the darkened photos LOL's validation photos have {side} SSIM for certain.")

# %% [markdown]
# A folder that fits two rows of the table, a photo without its partner, a source that nobody
# knows: errors say so, and nothing half done is left behind.

# %%
try:
    data.load("holidays", "train")
except data.SourceError as error:
    print(error)

# %% [markdown]
# ## Where the simulated camera fails
#
# **Its light ends where the file ends.** A window or lamp that is white in the well-lit file was
# brighter in reality. The dark shot of a real camera would show what is in there; ours shows an
# even grey patch.

# %%
rocket = core.to_float(data.sample_scenes()["rocket"])
dim_rocket = data.darken(rocket, seed, data.Camera(exposure=0.2))
clipped = (rocket.max(axis=-1) > 0.99).astype(np.float32)
views = {"well lit": rocket, "dark": dim_rocket, "cut off before": clipped}
lamp = (slice(372, 420), slice(328, 400))
display.show_images({name: view[lamp] for name, view in views.items()})

# %% [markdown]
# **Its noise is too clean.** We draw it for each pixel alone. A camera measures one colour at each
# pixel and computes the other two from the neighbours, so real noise comes in blotches. An average
# of four neighbours imitates that. The correlation of a pixel with the next one tells them apart.

# %%
from scipy.ndimage import uniform_filter

flat = np.full((120, 180, 3), 0.05)
grain = data.add_noise(flat, camera.photons, camera.read_noise, seed)
blotches = flat + 2 * (uniform_filter(grain, (2, 2, 1)) - flat)  # twice: as strong as before

# %%
for name, image in {"ours": grain, "blotches": blotches}.items():
    next_one = np.corrcoef(image[:, :-1].ravel(), image[:, 1:].ravel())[0, 1]
    print(f"{name:9} strength {image.std():.4f}, correlation of neighbours {next_one:+.2f}")
pictures = {"ours, 5 times as bright": grain, "blotches, 5 times as bright": blotches}
display.show_images({name: np.clip(image * 5, 0, 1) for name, image in pictures.items()})

# %% [markdown]
# A network that has met the left kind only has not learnt to remove the right kind. The sample also
# has a handful of scenes, too few to learn from what the world looks like. It is there to make
# every notebook run anywhere, and to test code against a known truth. For results, use real pairs.
#
# ## Exercises
#
# **1.** Even without noise a dark photo loses something: different colours become one. How many
# of the levels of the picture survive at the exposures 0.3, 0.1 and 0.02?

# %% tags=["solution"] jupyter={"source_hidden": true}
for exposure in (0.3, 0.1, 0.02):
    quiet = data.darken(picture, seed, data.Camera(exposure))
    print(f"exposure {exposure}: {np.unique(quiet).size} levels")

# %% [markdown]
# **2.** A single validation split is a gamble when scenes are few. Make five folds of the LOL
# numbers such that no scene is in two of them, and prove it.

# %% tags=["solution"] jupyter={"source_hidden": true}
folds = data.split_by_scene(official_train, scenes, {f"fold {i}": 0.2 for i in range(5)}, seed)
for name, held_out in folds.items():
    rest = [photo for photo in official_train if photo not in held_out]
    shared = data.check_no_leak(rest, held_out, scenes)
    print(f"{name}: {len(held_out)} photos, of which {len(shared)} share a scene with the rest")

# %% [markdown]
# **3.** Why does a pack not hold photos at half their size? Halve a noisy grey area by averaging
# two by two pixels, and compare the noise.

# %% tags=["solution"] jupyter={"source_hidden": true}
halved = grain.reshape(60, 2, 90, 2, 3).mean(axis=(1, 3))
print(f"noise {grain.std():.4f} at full size, {halved.std():.4f} at half")

# %% [markdown]
# ## What you have learnt
#
# A dark photo is less light, counted in photons and rounded; brightening cannot bring back what
# the counting lost. Pairs go by name and are audited by content. Splits go by scene, or a
# network is examined on what it has seen. Next comes `02_metrics`: which number to trust, and how
# two honest people get different ones from the same pictures.

# %%
from importlib.metadata import version

for package in ("lle-utils", "keras", "numpy", "scikit-image", "matplotlib", "ipywidgets"):
    print(f"{package} {version(package)}")
