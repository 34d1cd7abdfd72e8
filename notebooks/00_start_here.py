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
# # Start here: brighten a dark photo
#
# In two minutes you will have enhanced a photo of your own with a small neural network,
# compared the result with the classical methods, and seen where it fails.

# %% [markdown] tags=["badges"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/low-light-notebooks/blob/main/notebooks/00_start_here.ipynb)

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
# - to enhance one photo, or a folder of them, with one call;
# - to read a result: picture, split view, histogram;
# - to choose between the shipped enhancers and methods that need no training;
# - when to leave a photo as it is.
#
# You need no knowledge of machine learning and no graphics card; everything below runs on two
# processor cores. The methods are explained in the notebooks that follow. The network used
# here is our own, lumen, built step by step in `12_lumen`.

# %%
from pathlib import Path

import numpy as np

from lle_utils import core, data, display
from lle_utils.enhancers import list_enhancers, load_onnx

# %% [markdown]
# The next cell holds everything there is to set. To use a photo from the disk, put its path
# between the quotes of `photo`; while that is empty, the notebook takes a dark picture itself.

# %% tags=["parameters"]
profile = ""  # "colab", or another of notebooks/profiles; what you change below wins
photo = ""  # path of a photo; empty: the synthetic sample
enhancer = "lumen"
seed = 0
output_dir = ""  # where results go; empty: runs/00_start_here in the project

# %% tags=["profile"]
from lle_utils.notebook_tools import start

start("00_start_here", globals())

# %% [markdown]
# ## A dark photo
#
# The sample starts as a well-lit picture. A simulated camera takes it again with a small part
# of the light and adds the noise that few photons bring. Because the well-lit original is
# known, we can later see what the enhancer got right. `01_data` builds this camera step by step.

# %%
normal = core.to_float(data.sample_scenes()["astronaut"])
camera = data.Camera(exposure=0.06, illumination=0.5, photons=2000, read_noise=0.002)
sample = data.darken(normal, seed, camera)

# %% [markdown]
# Throughout these notebooks an image is an array of height × width × 3 (red, green, blue) with
# values between 0, black, and 1, white. Files store whole numbers from 0 to 255;
# `load_image` and `save_image` convert.

# %%
low = core.load_image(photo) if photo else sample
print(f"shape {low.shape}, values {low.min():.3f} to {low.max():.3f}, mean {low.mean():.3f}")

# %% [markdown]
# ## One call
#
# `load_onnx` reads a trained network from `data/pretrained`, in a form that starts at once and
# needs no TensorFlow, together with its *card*: a record of what it is and how it was trained.
# `enhance` takes a photo of any size and returns one of the same size.

# %%
network = load_onnx(enhancer)
enhanced = network.enhance(low)
print(f"{enhancer}: {network.card['parameters']:,} parameters, mean now {enhanced.mean():.3f}")

# %%
display.before_after(low, enhanced)

# %% [markdown]
# How bright shall it be? Nobody can know that from the dark photo, so this network is told. A
# rule of thumb chose for you; `level`, the mean brightness of the result, lets you choose. The
# network does the rest: it removes noise and mends colour.

# %%
levels = {f"level {level}": network.enhance(low, level) for level in (0.2, 0.35, 0.5)}
display.show_images(levels)

# %% [markdown]
# ## What happened to the values
#
# A histogram shows which share of the pixels has which value. In a dark photo most of them
# crowd at the left; enhancing spreads them to the right. The grey area is the brightness, the
# lines are the three colours. Heights grow with the square root of the share, so that low ones
# stay visible beside a tall one.

# %%
display.histograms({"low": low, "enhanced": enhanced})

# %% [markdown]
# ## Compare
#
# Brightening is older than neural networks. Four methods without any training are good to
# know:
#
# - **gamma**: raise every value to the same power;
# - **auto_gamma**: choose that power for each photo, from its own brightness;
# - **clahe**: spread the histogram of small tiles, so that each gets its own contrast;
# - **lime**: estimate the light that fell on the scene, smooth it, divide by it.
#
# Some of them are slow on a large photo. A preview of every second, third, ... pixel is enough to
# choose by, and keeps the slider below quick.

# %%
step = -(-max(low.shape) // 900)  # rounded up: at most 900 pixels a side
preview = low[::step, ::step]

# %% [markdown]
# The chosen enhancer comes first, then the other shipped ones, which the notebooks from
# `03_zero_dce` to `12_lumen` explain, then the methods without training.

# %%
from lle_utils.enhancers import BASELINES

learnt = [enhancer, *(name for name in list_enhancers() if name != enhancer)]
results = {name: load_onnx(name).enhance(preview) for name in learnt}
for name in ("gamma", "auto_gamma", "clahe", "lime"):
    results[name] = BASELINES[name](preview)

# %%
display.show_images({"low": preview, **results})

# %% [markdown]
# Look at three places: the darkest corner (is there detail, or coloured noise?), the
# brightest (is it still drawn, or a white patch?) and the skin (is its colour believable?).
# No method wins everywhere. `02_metrics` turns such impressions into numbers, and shows how
# easily the numbers mislead.
#
# ## How much of it?
#
# The full effect is often too much. A blend moves each pixel part of the way from the dark
# value to the enhanced one.


# %%
def blend(strength, method):
    return preview + strength * (results[method] - preview)


# %% [markdown]
# Move the slider and change the method. The picture follows while you drag.

# %%
controls = {"strength": (0.0, 1.0, 0.05, 0.8), "method": list(results)}
display.image_slider(blend, **controls)

# %% [markdown]
# A slider needs a running kernel. Whoever reads this page without one sees its starting
# position here:

# %%
display.static(blend, **controls)

# %% [markdown]
# A second slider wipes from the dark photo to the enhanced one: at the right edge you see
# only the dark photo, at the left edge only the result.

# %%
display.wipe(preview, results[enhancer])

# %% [markdown]
# ## Your own photo
#
# Press the button and choose a file. The photo stays on the machine that runs this notebook;
# it appears below with its left half as it was and its right half enhanced.


# %%
def half_enhanced(image):
    return display.wipe_image(image, network.enhance(image))


display.upload_button(half_enhanced)

# %% [markdown]
# ## Keep the result
#
# `save_image` rounds to whole numbers and writes the file in one go: an interruption leaves
# no half-written picture behind. The suffix decides the format.

# %%
from lle_utils.core import project_root

folder = Path(output_dir or project_root() / "runs" / "00_start_here")
print(core.save_image(folder / "enhanced.png", enhanced))

# %% [markdown]
# The same from a terminal, without a notebook:
#
# ```
# lle enhance photo.jpg
# ```
#
# It writes `photo_enhanced.jpg` beside the photo.
#
# ## A whole folder
#
# To have a folder to try it on, we first take three more dark pictures.

# %%
for index, (name, picture) in enumerate(data.sample_scenes().items()):
    if name in ("chelsea", "coffee", "rocket"):
        dark = data.darken(core.to_float(picture), seed + index, camera)
        core.save_image(folder / "dark" / f"{name}.png", dark)

# %% [markdown]
# Then comes the loop that you would use for your own: read, enhance, save under the same name
# in another folder.

# %%
from lle_utils.data import list_photos

for path in list_photos(folder / "dark"):
    result = network.enhance(core.load_image(path))
    core.save_image(folder / "bright" / path.name, result)

# %%
display.show_images({p.stem: core.load_image(p) for p in list_photos(folder / "bright")})

# %% [markdown]
# ## What it cannot do
#
# **It cannot tell noise from fine detail.** Brightening multiplies the noise together with the
# picture; what removes it takes some of the picture along. A part of the sample, magnified, beside
# the original with good light:

# %%
bright_sample = network.enhance(sample)
window = (slice(60, 180), slice(170, 320))
crops = {"low": sample, "enhanced": bright_sample, "original": normal}
display.show_images({name: image[window] for name, image in crops.items()})

# %% [markdown]
# **What was not counted is not there.** A value that is stored as 0 holds nothing
# to stretch; a network fills such places from their surroundings, smoothly and by guessing. We
# take the sample again with much less light and mark which share of the three values of each
# pixel is lost.

# %%
darker = data.Camera(exposure=0.006, photons=2000, read_noise=0.002)
night = data.darken(normal, seed, darker)
bright_night = network.enhance(night)
lost = night == 0
gone = core.to_uint8(normal[lost])
print(f"{lost.mean():.0%} of the values are 0; in good light they had ", end="")
print(f"{np.unique(gone).size} different levels, from {gone.min()} to {gone.max()}")

# %%
display.show_images(
    {"low": night, "enhanced": bright_night, "share of colours lost": lost.mean(axis=-1)}
)

# %% [markdown]
# **It does not know when it is not needed.** A well-exposed photo keeps its brightness, as the
# rule never makes a photo darker than it is and rarely brighter than the middle. But the network
# still looks for noise, and takes some texture for it: neighbouring pixels differ less than
# before. Zero-DCE, which is not told a brightness, moves that as well.


# %%
def texture(image):
    """Return how much neighbouring pixels differ, on average."""
    return np.abs(np.diff(image, axis=1)).mean()


good = {name: load_onnx(name).enhance(normal) for name in (enhancer, "zero_dce")}
for name, result in good.items():
    print(f"{name:10} mean {normal.mean():.3f} before, {result.mean():.3f} after; ", end="")
    print(f"neighbours differ {texture(result) / texture(normal):.2f} times as much")
display.show_images({"well exposed": normal, **good})

# %% [markdown]
# Two things often beat enhancing a finished photo. A camera's *raw* file holds more than the 256
# levels of a JPEG, so brightening it in a raw converter loses less. And a longer exposure
# collects more light, which is the only cure for noise that invents nothing.
#
# ## Exercises
#
# **1.** Enhance the result once more. What changes, if the brightness does not?
#
# The solution is in the collapsed cell; open it with a click.

# %% tags=["solution"] jupyter={"source_hidden": true}
once = results[enhancer]
twice = network.enhance(once)
change = np.abs(twice - once)
print(f"mean {once.mean():.3f} once, {twice.mean():.3f} twice; mean change {change.mean():.4f}")
pictures = {"once": once, "twice": twice, "ten times the change": np.clip(10 * change, 0, 1)}
display.show_images(pictures)

# %% [markdown]
# **2.** Spare the bright parts: let the strength of the blend fall from 1 where the photo is
# black to 0 where its largest colour is 1, and compare on the well-lit picture, enhanced by
# Zero-DCE.

# %% tags=["solution"] jupyter={"source_hidden": true}
weight = 1 - normal.max(axis=-1, keepdims=True)
overdone = good["zero_dce"]
spared = normal + weight * (overdone - normal)
display.show_images({"original": normal, "enhanced": overdone, "bright parts spared": spared})

# %% [markdown]
# **3.** From which exposure on is the sample too dark to be saved? Try the shares 0.2, 0.05
# and 0.01 of the light, and measure the mean error.

# %% tags=["solution"] jupyter={"source_hidden": true}
shots = {}
for exposure in (0.2, 0.05, 0.01):
    shot = data.Camera(exposure, photons=2000, read_noise=0.002)
    result = network.enhance(data.darken(normal, seed, shot))
    shots[f"exposure {exposure}, error {np.abs(result - normal).mean():.3f}"] = result
display.show_images(shots)

# %% [markdown]
# ## What you have learnt
#
# One call brightens a photo of any size, to the level that you ask for; a blend keeps the effect in
# bounds; a histogram shows what moved. Detail that drowned in noise, what was never counted, and
# photos that were fine are where it fails. Next comes `01_data`: which photos such networks learn
# from, and how to be sure of them.

# %%
from importlib.metadata import version

for package in ("lle-utils", "keras", "numpy", "matplotlib", "ipywidgets"):
    print(f"{package} {version(package)}")
