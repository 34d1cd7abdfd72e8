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
# # Compare: every method, live and in numbers
#
# You will put all shipped enhancers and baselines side by side, on your own photos too, and
# find out which to use when, what each does to noise, colour and highlights, and when to
# leave a photo alone.

# %% [markdown] tags=["badges"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/low-light-notebooks/blob/main/notebooks/08_compare.ipynb)

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
# - to look where methods differ: dark corners, highlights, amplified differences;
# - to tell a clear lead from a lucky one, with paired differences;
# - what quality costs in time, memory and bytes;
# - how often two metrics prefer different results;
# - what a method does to noise, colour and highlights, and where the unprocessed photo is better.
#
# You should have read `02_metrics`. The networks are built in the notebooks that bear their
# names. With the offline sample this one takes about a minute on two processor cores; with
# LOL and all of its validation photos, about ten minutes. Nothing is trained here.
#
# **References.** Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13
# (intervals); Sharma, Wu and Dalal, *The CIEDE2000 color-difference formula*, 2005; Wang et al.,
# *Image quality assessment: from error visibility to structural similarity*, 2004.

# %%
import itertools
import json
import tomllib
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from IPython.display import Markdown
from IPython.display import display as show
from skimage.feature import ORB, match_descriptors

from lle_utils import core, data, display, evaluation
from lle_utils.core import luminance
from lle_utils.display import write_page
from lle_utils.enhancers import BASELINES, list_enhancers, load_enhancer, load_onnx
from lle_utils.metrics import METRICS, psnr
from lle_utils.nn import UpsampleBilinear

# %% [markdown]
# The next cell holds everything there is to set. `photo` takes the path of one photo or of a
# folder of them; they appear in the menu below, and the first is shown first.

# %% tags=["parameters"]
profile = ""  # "colab", or another of notebooks/profiles; what you change below wins
source = "synthetic"  # or pairs: a folder, a pack, "lol", see `data.load`
photo = ""  # path of a photo of your own, or of a folder; empty: the synthetic sample
count = 4  # pairs that noise, colour and highlights are measured on; 0: all there are
seed = 0
output_dir = ""  # where results go; empty: runs/08_compare in the project

# %% tags=["profile"]
from lle_utils.notebook_tools import start

start("08_compare", globals())

# %% [markdown]
# ## The methods
#
# A method is a function from a photo to a photo. Eight need no training; *input* leaves the photo
# as it is, the one to beat. The others are whatever `data/pretrained` holds: networks, each with a
# *card* that says what it was trained on and how much it computes. `load_onnx` takes the form that
# is the quickest to start; its results are those of Keras (`15_runtimes`).

# %%
enhancers = {name: load_onnx(name) for name in list_enhancers()}
methods = {**BASELINES, **{name: network.enhance for name, network in enhancers.items()}}
print(", ".join(methods))

# %% [markdown]
# ## The photos
#
# A dark sample of the synthetic camera, then photos of your own, then some dark photos of the
# pairs that we measure on further below. No shipped network was trained on those scenes.
#
# The sample gets six hundredths of the light of the well-lit photo, falling off smoothly to 40 % of
# that at its darkest place. `photons` is what white collects at full light; the fewer arrive, the
# larger a share of them is chance. `read_noise` is added everywhere, as a share of white.

# %%
normal = data.synthetic_pairs(1, (400, 600), seed, ("stereo_motorcycle",)).normal[0]
camera = data.Camera(exposure=0.06, illumination=0.4, photons=4000, read_noise=0.002)
sample = data.darken(core.to_float(normal), seed, camera)

# %% [markdown]
# To measure on all pairs takes long, and neighbours in a data set often show the same scene. So
# we take a few at equal distances.


# %%
def spread(pairs, count):
    """Return some of the pairs, at equal distances; all of them if ``count`` is 0."""
    count = min(count or len(pairs), len(pairs))
    return [pairs[i * len(pairs) // count] for i in range(count)]


# %% [markdown]
# Your own photos stay paths until they are chosen: a folder may hold more than fits in memory.


# %%
def own_photos(photo):
    """Return name -> path of a photo, or of all photos in a folder; nothing for no path."""
    path = Path(photo).expanduser()
    paths = data.list_photos(path) if photo and path.is_dir() else [path] if photo else []
    if photo and not paths:
        raise FileNotFoundError(f"photo: {path} holds no photo. Give a photo or a folder of them.")
    return {path.name: path for path in paths}


# %% [markdown]
# Each pair is a name, the dark photo and the well-lit one. The order of the menu is that of the
# parts here, and what stands first in it is shown first.

# %%
val_pairs = data.load(source, "val", seed)
pairs = spread(val_pairs, count)
photos = own_photos(photo) | {"sample": sample} | {name: low for name, low, _ in pairs[:6]}
print(f"{len(pairs)} pairs of {source}; in the menu: {', '.join(photos)}")

# %% [markdown]
# ## What is prepared, so that sliders answer at once
#
# Every method runs once on the photo that lies on the desk, and so does the part of a network
# that only looks at the photo. Moving a slider then only blends, cuts, applies curves, or runs
# the rest of a network. Photos larger than 900 pixels are scaled down to that first.
#
# The networks of Zero-DCE draw *curve maps*, which say how much to brighten each pixel; then
# they apply the curves. We cut them in two at the maps, to apply the curves ourselves. The maps
# come out of the last convolution, or, in Zero-DCE++, of the layer that enlarges them after it.


# %%
def map_network(enhancer):
    """Return the part of Zero-DCE or Zero-DCE++ that draws the curve maps."""
    model = enhancer.model
    drawn = [a for a in model.layers if isinstance(a, (keras.layers.Conv2D, UpsampleBilinear))]
    return keras.Model(model.input, drawn[-1].output)


# %% [markdown]
# A network that reduces the photo needs sides that its factor divides. So the photo is padded
# first, and the maps are cut back to its size.


# %%
def curve_maps(enhancer, image):
    """Return the curve maps (H, W, 24) or (H, W, 3) of an image."""
    padded = core.pad_to_divisor(image, enhancer.size_divisor)
    maps = keras.ops.convert_to_numpy(map_network(enhancer)(padded[None]))[0]
    return maps[: image.shape[0], : image.shape[1]]


# %% [markdown]
# A curve moves a value $x$ to $x + a\,(x^2 - x)$, with $a$ from the map. What $a$ is multiplied by
# is 0 at black and at white, and negative between, so a negative $a$ brightens. Eight curves follow
# each other: in Zero-DCE each has a map of its own, three colours times eight, in Zero-DCE++ all
# share one.


# %%
def apply_curves(image, maps, iterations=8, strength=1.0):
    """Apply the first curves of Zero-DCE, their maps scaled by ``strength``."""
    for step in range(iterations):
        own = maps if maps.shape[-1] == 3 else maps[..., 3 * step : 3 * step + 3]
        image = image + np.clip(strength * own, -1, 1) * (image * image - image)
    return np.clip(image, 0, 1)


# %%
curved = {n: load_enhancer(n) for n in ("zero_dce", "zero_dce_pp") if n in enhancers}
adjustable = [name for name, network in enhancers.items() if network.has_strength]

# %% [markdown]
# An enhancer that has a *strength* (those in `adjustable`) has a brightness slider of its own. Its
# `prepare` looks at the photo once and returns a function of the strength. For the preview while
# dragging it does the same for every second pixel.
#
# All that belongs to one photo lies in a `Desk`: the photo, the result of each method, the
# darkest windows to look at, the curve maps, and the prepared functions.


# %%
class Desk(NamedTuple):
    """A photo and all that was made of it once."""

    low: np.ndarray
    results: dict
    windows: list
    maps: dict
    strengths: dict


# %%
def lay_out(image):
    """Run every method on a photo (H, W, 3), float in [0, 1]."""
    low = display.fit_within(image)
    return Desk(
        low,
        {name: method(low) for name, method in methods.items()},
        display.dark_windows(low),
        {name: curve_maps(network, low) for name, network in curved.items()},
        {name: [enhancers[name].prepare(low[::s, ::s]) for s in (1, 2)] for name in adjustable},
    )


# %% [markdown]
# The desk is kept in a list of one. All panels below read it when they draw, so another photo
# in its place reaches every one of them.

# %%
first = next(iter(photos.values()))
desk = [lay_out(core.load_image(first) if isinstance(first, Path) else first)]
height, width = desk[0].low.shape[:2]
print(f"{len(desk[0].results)} methods on a photo of {width}×{height}")

# %% [markdown]
# ## All at once
#
# The darkest places tell most. `crop` 0 is the whole photo, 1 its darkest sixteenth, then the
# next darkest, each pixel enlarged. Look for coloured grain, blocks, and detail that one
# method shows and another smears.


# %%
def overview(crop, width=900):
    """Show what every method makes of the photo, or of one of its darkest windows."""
    now = desk[0]
    window = now.windows[min(crop, len(now.windows)) - 1] if crop else np.s_[:, :]
    results = {name: result[window] for name, result in now.results.items()}
    return display.draw_contact_sheet(results, width=width)


# %% [markdown]
# Half the width is a quarter of the pixels to draw and to send: that is the preview while the
# slider moves. A slider is described by its lowest value, its highest, its step and its start.


# %%
def small_overview(crop):
    """Show the same in half the size, while the slider moves."""
    return overview(crop, width=450)


crops = (0, 6, 1, 0)
all_at_once = display.image_slider(overview, preview=small_overview, crop=crops)
all_at_once

# %% [markdown]
# A slider needs a running kernel. Below each is its starting position, for readers without
# one. Here the darkest window follows too.

# %%
display.static(overview, crop=crops)

# %%
display.static(overview, crop=(0, 6, 1, 1))

# %% [markdown]
# ## Before and after
#
# Two methods in one picture, with a border to move. `strength` blends the right one with the
# photo: the full effect is often too much. `crop` enlarges a dark window, here and in the
# two panels that follow.


# %%
def zoom(image, crop):
    """Enlarge the n-th darkest window of the photo on the desk; 0 leaves the image whole."""
    windows = desk[0].windows
    return display.magnify(image, windows[min(crop, len(windows)) - 1]) if crop else image


# %%
def before_after(left, right, strength, position, crop):
    """Show one method left of the border and another, blended with the photo, right of it."""
    now = desk[0]
    after = np.clip(now.low + strength * (now.results[right] - now.low), 0, 1)
    return display.wipe_image(zoom(now.results[left], crop), zoom(after, crop), position)


# %% [markdown]
# While you drag, every second pixel is shown; the rest follows when you stop.


# %%
def thinned(render):
    """Return a function that renders every second pixel, as a preview."""
    return lambda **values: render(**values)[::2, ::2]


# %% [markdown]
# A list of names becomes a menu, and its first entry is the choice at the start: *input* on the
# left, and on the right the method that leads the record of LOL's validation photos.

# %%
best_first = evaluation.ranking(evaluation.load_records("lol_val"))
best_first = sorted(methods, key=[*best_first, *methods].index)
sides = {"left": list(methods), "right": best_first, "strength": (0.0, 1.0, 0.05, 1.0)}
sides |= {"position": (0.0, 1.0, 0.01, 0.5), "crop": crops}

# %%
side_by_side = display.image_slider(before_after, preview=thinned(before_after), **sides)
side_by_side

# %%
display.static(before_after, **sides)

# %% [markdown]
# ## The difference, amplified
#
# Grey is where two methods agree; brighter or coloured is where the first has more of that
# colour. Amplified enough, the difference of a network that removes noise and a curve shows that
# noise.


# %%
def difference(first, second, amplification, crop):
    """Show ``first - second`` around grey."""
    a, b = (zoom(desk[0].results[name], crop) for name in (first, second))
    return np.clip(0.5 + amplification * (a - b) / 2, 0, 1)


# %% [markdown]
# The panel begins with the leading method against `auto_gamma`, a curve, which removes no noise.

# %%
two = {"first": best_first, "second": ["auto_gamma", *(m for m in methods if m != "auto_gamma")]}
two |= {"amplification": (1, 16, 1, 4), "crop": crops}
apart = display.image_slider(difference, preview=thinned(difference), **two)
apart

# %%
display.static(difference, **two)

# %% [markdown]
# ## Inside Zero-DCE: iterations and strength
#
# Fewer curves brighten less; a strength above 1 goes beyond what was trained. The maps were
# drawn once; each move only applies curves.


# %%
def curves(network, iterations, strength, crop):
    """Apply the first curves of the photo on the desk."""
    now = desk[0]
    return zoom(apply_curves(now.low, now.maps[network], iterations, strength), crop)


# %% [markdown]
# A curve treats each pixel by itself. So the preview of the whole photo may thin photo and maps
# before the curves are applied, which saves three quarters of the work; in a window, whose pixels
# are enlarged, it thins the finished picture.


# %%
def thin_curves(network, iterations, strength, crop):
    """Apply the curves to every second pixel."""
    now = desk[0]
    if crop:
        return curves(network, iterations, strength, crop)[::2, ::2]
    return apply_curves(now.low[::2, ::2], now.maps[network][::2, ::2], iterations, strength)


# %%
turns = {"network": list(curved), "iterations": (0, 8, 1, 8), "strength": (0.0, 2.0, 0.05, 1.0)}
turns |= {"crop": crops}
by_curves = display.image_slider(curves, preview=thin_curves, **turns)
by_curves

# %%
display.static(curves, **turns)

# %% [markdown]
# ## A network with a brightness slider
#
# At strength 0 it leaves the photo as dark as it was, at 1 it brightens as far as the photos it was
# trained on, beyond 1 further. Look at 0: is the photo left as it was, or is the noise gone
# already? Here each move runs the second half of the network.


# %%
def at_strength(strength, half=False):
    """Show the photo on the desk at a strength; ``half`` for every second pixel."""
    return desk[0].strengths[adjustable[0]][half](strength)


def half_at_strength(strength):
    """Show every second pixel at that strength."""
    return at_strength(strength, half=True)


# %% [markdown]
# The panels go into a list, to be drawn anew for another photo.

# %%
strength = {"strength": (0.0, 1.6, 0.05, 1.0)}
panels = [all_at_once, side_by_side, apart, by_curves]
if adjustable:
    panels.append(display.image_slider(at_strength, preview=half_at_strength, **strength))
    show(panels[-1])
else:
    print("No shipped enhancer has a strength.")

# %%
if adjustable:
    show(display.static(at_strength, **strength))

# %% [markdown]
# ## Your own photo
#
# Choose a photo from the menu, or press the button and take one of yours; it stays on the
# machine that runs this notebook. All methods run on it, which takes some seconds, then every
# slider above works on it.


# %%
def put_on_desk(image):
    """Lay a photo on the desk, draw all panels again and return the overview."""
    desk[0] = lay_out(image)
    for panel in panels:
        panel.refresh()
    return overview(0)


# %%
display.upload_button(put_on_desk, photos)

# %% [markdown]
# ## Leaderboard
#
# Pictures persuade; numbers of many photos decide. This table is printed from the record that
# `lle evaluate` writes and prints: LOL's validation scenes, whole photos.
#
# How bright a photo should be, nobody can know from the dark one (see `02_metrics`). So the order
# asks for structure first: SSIM, which forgives a moderate error of the brightness, and where it is
# equal as printed, `psnr_gtmean`. Then comes that error, `mean_error`, and last blind PSNR, which
# mixes the two. `psnr_gtmean` and `psnr_level` take their brightness from the reference; no other
# score does. The last column subtracts the row above, photo by photo, and resamples scenes.


# %%
def leaderboard():
    """Print the record of LOL's validation pairs, as ``lle evaluate`` does."""
    return evaluation.leaderboard(evaluation.load_records("lol_val"))


scores = evaluation.load_records("lol_val")
Markdown(leaderboard())

# %% [markdown]
# A mean over photos depends on which photos were taken. The interval says how far it moves when
# scenes are drawn again and again from those there are: 95 % of such means lie within it.

# %%
ranking = evaluation.ranking(scores)
rows = [(name, *scores[name]["summary"]["ssim"].values()) for name in ranking]
intervals = display.interval_plot(rows, "SSIM on LOL's validation pairs, 95 % interval")
intervals

# %% [markdown]
# ## Is the lead clear?
#
# Overlapping intervals do not mean a draw: photos that are hard for one method are hard for
# the next. So we subtract photo by photo, and ask whether the mean *difference* could be zero.
# Each method meets the next one in the ranking; whole scenes are resampled.


# %%
def steps_down(scores, ranking, metric):
    """Return (pair, mean, low, high) of each method minus the next in the ranking."""
    rows = []
    for upper, lower in itertools.pairwise(ranking):
        difference = evaluation.paired_difference(scores[upper], scores[lower], metric)
        rows.append((f"{upper} − {lower}", *(difference[k] for k in ("mean", "low", "high"))))
    return rows


steps = {metric: steps_down(scores, ranking, metric) for metric in ("psnr", "ssim")}

# %% [markdown]
# An interval that lies above zero makes the lead *clear*. *Open* means that forty photos cannot
# tell; *reversed*, that this metric is sure of the opposite of the ranking.


# %%
def verdict(low, high):
    """Say in words what an interval of a difference means."""
    return "clear" if low > 0 else "reversed" if high < 0 else "open"


# %% [markdown]
# The tables of this notebook are text in Markdown, so that the page at the end can take them, too.

# %%
rows = []
for (pair, *p), (_, *s) in zip(*steps.values(), strict=True):
    of_psnr = "{:+.2f} [{:+.2f}, {:+.2f}]".format(*p)
    of_ssim = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*s)
    rows.append([pair, of_psnr, verdict(*p[1:]), of_ssim, verdict(*s[1:])])
paired = core.markdown_table(["better − next in structure", "PSNR (dB)", "", "SSIM", ""], rows)
Markdown(paired)

# %% [markdown]
# ## What quality costs
#
# Parameters and multiply-adds are from the cards, time and memory from the record of `lle
# bench`, for a photo of 600×400 on two processor cores. A dash was not measured. A *multiply-add*
# is one product added to a sum, what convolutions are made of; their number does not depend on the
# machine, as seconds do, but neither does it tell how well the machine copes with them.


# %%
def size_on_disk(name):
    """Return the megabytes of an enhancer's file."""
    return (core.data_dir() / "pretrained" / name / "model.keras").stat().st_size / 1e6


timings = json.loads((core.data_dir() / "results" / "bench.json").read_text(encoding="utf-8"))
at_600 = {case["method"]: case for case in timings["enhance"] if case["width"] == 600}

# %%
rows = []
for name, network in enhancers.items():
    case, card = at_600.get(name), network.card
    spent = [f"{case['median']:.3f}", f"{case['peak_bytes'] / 1e9:.2f}"] if case else ["–", "–"]
    size = [f"{card['parameters']:,}", f"{card['multiply_adds_256'] / 1e9:.2g}"]
    rows.append([name, *size, f"{size_on_disk(name):.1f}", *spent])

# %%
head = ["enhancer", "parameters", "G multiply-adds at 256×256", "file (MB)", "s", "GB"]
cost = core.markdown_table(head, rows)
Markdown(cost)

# %% [markdown]
# The same seconds against what they buy; their axis is logarithmic. A method that has another
# above it and to its left is beaten in both respects.

# %%
timed = {name: case["median"] for name, case in at_600.items() if name in scores}
points = {name: (s, scores[name]["summary"]["psnr"]["mean"]) for name, s in timed.items()}
chart = display.cost_chart(points, "seconds for a photo of 600×400", "PSNR (dB)")
chart

# %% [markdown]
# ## Metrics that disagree
#
# First the ranks: the same results, sorted by each metric in turn. Of some metrics more is better,
# of others less; `METRICS` knows the direction of each.


# %%
def ranks(scores, metric):
    """Return the rank of each method by a metric's mean, 1 for the best."""
    sign = -1 if METRICS[metric].direction == "higher" else 1
    order = sorted(scores, key=lambda name: sign * scores[name]["summary"][metric]["mean"])
    return {name: order.index(name) + 1 for name in scores}


# %%
columns = ("ssim", "psnr_gtmean", "mean_error", "psnr", "psnr_dark", "delta_e")
places = [ranks(scores, metric) for metric in columns]
rank_table = core.markdown_table(
    ["rank by", *columns], [[name, *(p[name] for p in places)] for name in ranking]
)
Markdown(rank_table)

# %% [markdown]
# Then photo by photo. Take two methods and one photo: in what share of such cases do two
# metrics prefer different results? A coin would give a half.


# %%
def preferences(scores, metric):
    """Return +1 or -1 for each photo and pair of methods: which of the two the metric prefers."""
    sign = 1 if METRICS[metric].direction == "higher" else -1
    values = sign * np.array([record["values"][metric] for record in scores.values()])
    first, second = np.triu_indices(len(values), 1)
    return np.sign(values[first] - values[second])


# %% [markdown]
# `values` has a row for each method and a column for each photo; `triu_indices` lists each pair
# of rows once. The table is symmetric, and no metric is in dispute with itself.

# %%
choices = {metric: preferences(scores, metric) for metric in columns}
rows = [[a, *(f"{np.mean(choices[a] != choices[b]):.0%}" for b in columns)] for a in columns]
disputes = core.markdown_table(["share of cases in dispute", *columns], rows)
Markdown(disputes)

# %% [markdown]
# Such a dispute need not be about taste. PSNR also asks how bright a photo should be, which nobody
# can know from the dark one; `psnr_gtmean` forgives that and counts noise and colour. With which of
# the others does blind PSNR go along best, and with which least?

# %%
disputed = {m: np.mean(choices["psnr"] != choices[m]) for m in columns if m != "psnr"}
least, most = min(disputed, key=disputed.get), max(disputed, key=disputed.get)
print(f"psnr is least in dispute with {least}, {disputed[least]:.0%}; ", end="")
print(f"most with {most}, {disputed[most]:.0%}")

# %% [markdown]
# Say which you use before you say who won.
#
# ## Can it be trusted with other photos?
#
# A score tells how near the results are to well-lit photos of the kind that a method was trained
# on. Whoever enhances a photo of his own asks something else: is the large photo like its
# preview, is anything darker than before, does grey stay grey, are there halos, frames or grids?
# `lle behavior` measures this on real low-light photos and on scenes whose right answer is known,
# against limits on *every* image, and writes the misses into the cards of the enhancers.
#
# The table shows the worst image of each.

# %%
behavior = evaluation.load_behavior()
trusted = {name: behavior[name] for name in (*enhancers, "gamma", "auto_gamma") if name in behavior}
trust_table = evaluation.behavior_table(trusted)
Markdown(trust_table)

# %%
missed = {name: len(evaluation.misses(record)) for name, record in trusted.items()}
fewest, most = min(missed, key=missed.get), max(missed, key=missed.get)
print(f"{fewest} misses fewest limits, {missed[fewest]}; {most} misses most, {missed[most]}.")

# %% [markdown]
# Misses are of different weight: a grid of half a level is measured and not seen, a wall that
# comes out orange is. Look at the pictures above before you choose.
#
# ## Looked at, without names
#
# A score is not a picture. The results of nine methods for 20 unpaired photos and for 20
# validation photos of LOL were shown beside the dark photo, in random order and without names. One
# viewer named the best, the second, and those to be rejected; only then were the names put back.

# %%
path = core.data_dir() / "results" / "looking.json"
looked = json.loads(path.read_text(encoding="utf-8"))
groups = {"unpaired": [], "LOL": []}
for name, vote in looked["photos"].items():
    groups["LOL" if name.startswith("val/") else "unpaired"].append(vote)


# %%
def tally(votes, name):
    """Return how often a method was best, second and rejected."""
    chosen = [sum(vote[place] == name for vote in votes) for place in ("best", "second")]
    return [*chosen, sum(name in vote["rejected"] for vote in votes)]


# %% [markdown]
# The rows are sorted by how seldom a method was rejected on the unpaired photos; where that is
# equal, by how often it was best there.

# %%
tallies = {name: [tally(v, name) for v in groups.values()] for name in looked["methods"]}
order = sorted(tallies, key=lambda name: (tallies[name][0][2], -tallies[name][0][0]))
head = [f"{name}: {what}" for name in groups for what in ("best", "second", "rejected")]
rows = [[name, *itertools.chain(*tallies[name])] for name in order]
looking_table = core.markdown_table(["method", *head], rows)
Markdown(looking_table)

# %% [markdown]
# What was rejected, and why: walls and skies of another colour, black outlines, lost detail and
# frames (`pix2pix`, `resnet_gan`); violet skies and coloured noise (`zero_dce`, `zero_dce_pp`);
# noise and a grey veil (`auto_gamma`); a white veil or a broken edge (`shed_light`); leaves turned
# mint and skies blown out (`mirnet`). What was preferred on LOL has contrast and clean blacks.
#
# ## Trained here, judged there
#
# LOL's validation photos are of the same camera and the same rooms as its training photos. What
# does a method do with scenes of another kind? `sequences` are exposures of one scene each, by
# day and by night, with many cameras; `synthetic` are bundled scenes, taken with a model of a
# camera. `lle evaluate --data` measures on these, and on LOL v2 for whoever has it. What each was
# trained on is read from its card.

# %%
judged = {name: evaluation.load_records(name) for name in ("lol_val", "sequences", "synthetic")}
trained_on = {}
for name, network in enhancers.items():
    told = network.card["training"]
    trained_on[name] = " + ".join(told[key] for key in ("data", "also") if told.get(key))

# %%
cross = evaluation.cross_table(judged, trained_on)
Markdown(cross)


# %%
def first_in(records):
    """Return the method that is first in structure."""
    return evaluation.ranking(records)[0]


print("; ".join(f"{first_in(records)} is first on {name}" for name, records in judged.items()))

# %% [markdown]
# ## Where the field is
#
# Papers report scores on the fifteen test photos of LOL v1, *eval15*. The rows below are quoted,
# each with where it was read; none was measured here. There are two tables, because a method that
# may look at the brightness of the reference answers another question. What that is worth to the
# same network is printed below them.


# %%
def quoted(part):
    """Print a table of published scores, the highest first, with where each was read."""
    lines = ["| method | PSNR (dB) | SSIM | read in |", "|---|---:|---:|---|"]
    for row in sorted(part["rows"], key=lambda row: -row["psnr"]):
        where = row.get("from", "Retinexformer")
        lines.append(f"| {row['method']} | {row['psnr']:.2f} | {row['ssim']:.3f} | {where} |")
    return "\n".join([f"**{part['title']}**", "", *lines])


# %%
published = tomllib.loads((core.data_dir() / "published.toml").read_text(encoding="utf-8"))
Markdown(quoted(published["blind"]))

# %%
Markdown(quoted(published["told"]))

# %%
both = {part: {r["method"]: r["psnr"] for r in published[part]["rows"]} for part in published}
for name in sorted(both["blind"].keys() & both["told"].keys()):
    gain = both["told"][name] - both["blind"][name]
    print(f"{name:14} {gain:+.2f} dB from what it was told")

# %% [markdown]
# Our own scores are in the leaderboard above, on forty photos of LOL whose scenes nobody was
# trained on. They are **other photos**, so no row there may be laid beside a row here; and fourteen
# of the fifteen of eval15 show a scene that is among the training photos, too. Whoever has the data
# set measures its own row with `lle evaluate --data lol_test`.

# %%
official = core.data_dir() / "results" / "lol_test.json"
has_own = "its record is " + official.name if official.is_file() else "not measured yet"
print(f"our methods on eval15: {has_own}")

# %% [markdown]
# ## Noise, colour, highlights
#
# Four numbers, each against the well-lit photo of the pair:
#
# - `residual_noise`: noise in flat patches at like brightness; 1 is as clean as the well-lit photo;
# - `chroma_error`: the error of colour alone, in CIELAB, and `delta_e`, with lightness;
# - `overexposed`: pixels driven to white that were not white;
# - `highlight_error`: the error in the brightest twentieth, in levels of 255.
#
# They are measured here and now on the pairs of `source`. `evaluate` runs a method on each pair
# and returns its *record*: the values of all photos, their means, and what was measured on.

# %%
effects = ("residual_noise", "chroma_error", "delta_e", "overexposed", "highlight_error", "psnr")
facts = {"data": f"{source}, {len(pairs)} val pairs", "scenes": val_pairs.scenes}
measured = [
    evaluation.evaluate(name, method, pairs, effects, **facts) for name, method in methods.items()
]

# %%
folder = core.run_folder("08_compare", output_dir)
evaluation.save_records("08_compare", measured, folder)
effect_table = evaluation.table(measured)
Markdown(effect_table)

# %% [markdown]
# Which method is best at which, and which is worst? And by how much, against the photo as it was?

# %%
by_name = {record["method"]: record for record in measured}
for metric in effects:
    place = ranks(by_name, metric)
    best, worst = min(place, key=place.get), max(place, key=place.get)
    means = {name: by_name[name]["summary"][metric]["mean"] for name in (best, worst, "input")}
    print(f"{metric:16}", ", ".join(f"{name} {mean:.2f}" for name, mean in means.items()))

# %% [markdown]
# ## Where the unprocessed photo is better
#
# In some respects it may be: a dark photo has hardly anything to clip. For each metric, the share
# of photos in which the *input* beats the method:


# %%
def input_wins(by_name, name, metric):
    """Return the share of photos in which the input is better than a method."""
    sign = 1 if METRICS[metric].direction == "higher" else -1
    there, here = (np.array(by_name[key]["values"][metric]) for key in ("input", name))
    return np.mean(sign * (there - here) > 0)


# %%
others = list(methods)[1:]  # all but the input
rows = [[name, *(f"{input_wins(by_name, name, m):.0%}" for m in effects)] for name in others]
input_table = core.markdown_table(["input is better than", *effects], rows)
Markdown(input_table)

# %% [markdown]
# And how dark must a photo be before a method helps at all? We take the same scenes with more
# and more light, enhance them, and compare with the well-lit photo. Where the curve of *input*
# lies above another, that method does harm. First the photos:


# %%
def relit(exposures, seed):
    """Return exposure -> (dark, well-lit) photos of the validation scenes, float in [0, 1]."""
    pictures = data.synthetic_pairs(2, (160, 240), seed, data.VAL_SCENES).normal
    normals = [core.to_float(picture) for picture in pictures]
    cameras = {e: data.Camera(exposure=float(e), photons=2000) for e in exposures}
    return {e: [(data.darken(n, seed, c), n) for n in normals] for e, c in cameras.items()}


# %% [markdown]
# Then the scores. Scenes and seed are the same at each exposure, so that nothing but the light
# differs from one point of a curve to the next.


# %%
def light_sweep(methods, exposures, seed):
    """Return method -> mean PSNR at each exposure, over the validation scenes."""
    scored = {name: [] for name in methods}
    for photos in relit(exposures, seed).values():
        for name, method in methods.items():
            scored[name].append(np.mean([psnr(method(low), normal) for low, normal in photos]))
    return {name: np.array(values) for name, values in scored.items()}


# %%
exposures = np.array([0.03, 0.06, 0.12, 0.2, 0.3, 0.45, 0.6, 0.8])
swept = {name: methods[name] for name in ("input", "auto_gamma", *enhancers)}
by_light = light_sweep(swept, exposures, seed)
sweep = display.plot_curves(exposures, by_light, "share of the light", "PSNR (dB)", diagonal=False)
sweep

# %%
for name in list(swept)[1:]:
    harmful = exposures[by_light[name] < by_light["input"]]
    told = f"harms from {harmful[0]:.0%} of the light" if len(harmful) else "helps"
    print(f"{name:14}", told)

# %% [markdown]
# A method that was trained on very dark photos may brighten what was nearly fine. Ask first whether
# a photo is too dark; and if you have the camera's raw file, brighten that, because it holds more
# than 256 levels.
#
# ### For a program, not for an eye
#
# Programs look for *keypoints*: corners that they find again in another photo of the same scene, to
# align, stitch or recognise. What share of the keypoints of the well-lit photo is found again in
# the dark one, at the same place? Each picture gets the same mean and contrast first, as a program
# would do for itself, so that darkness alone costs nothing.
#
# ORB is a quick, widely used way to find them. Around each corner it compares pairs of pixels,
# which is brighter; the answers, a row of bits, are the *descriptor* that corners are told apart
# by.


# %%
def keypoints(image):
    """Return positions and descriptors of the 200 best corners (ORB)."""
    grey = luminance(image)
    finder = ORB(n_keypoints=200)
    finder.detect_and_extract(0.2 * (grey - grey.mean()) / grey.std())
    return finder.keypoints, finder.descriptors


# %% [markdown]
# `cross_check` keeps a match only if each of the two is the best match of the other. Both photos of
# a pair show the same view, so a right match lies at the same place, give or take a few pixels.


# %%
def found_again(enhanced, sought, radius=4):
    """Return the share of `keypoints` whose best match lies within some pixels of their place."""
    (there, first), (here, second) = keypoints(enhanced), sought
    matches = match_descriptors(first, second, cross_check=True)
    distance = np.linalg.norm(there[matches[:, 0]] - here[matches[:, 1]], axis=1)
    return np.sum(distance < radius) / len(here)


# %%
floats = [(core.to_float(low), core.to_float(normal)) for _, low, normal in pairs]
owners = [val_pairs.scenes[name] for name, *_ in pairs]
dark, sought = [low for low, _ in floats], [keypoints(normal) for _, normal in floats]
unprocessed = list(map(found_again, dark, sought))

# %% [markdown]
# The last column is the mean change against the input, photo by photo; its interval over
# scenes is given where there are enough of them.

# %%
rows = [["input", f"{np.mean(unprocessed):.2f}", ""]]
for name in others:
    shares = list(map(found_again, map(methods[name], dark), sought))
    more = evaluation.change_text(np.subtract(shares, unprocessed), owners)
    rows.append([name, f"{np.mean(shares):.2f}", more])

# %%
keypoint_table = core.markdown_table(["method", "found again", "more than in the input"], rows)
Markdown(keypoint_table)

# %% [markdown]
# ## How fast do the sliders answer?
#
# Measured in a browser, on a photo of 600×400: from the event that moves the slider until the
# changed picture is painted. *Slowest* is the slowest preview of all moves; the full picture is the
# one that follows when the handle rests.


# %%
def latency_table():
    """Print the record of how long the sliders of this notebook take."""
    path = core.data_dir() / "results" / "latency.json"
    if not path.is_file():
        return "Not measured yet: `python tests/web/measure_latency.py` does it."
    record = json.loads(path.read_text(encoding="utf-8"))
    times = ("preview", "preview_slowest", "full")
    rows = [
        [row["panel"], row["control"], *(f"{row[time]:.0f}" for time in times)]
        for row in record["controls"]
    ]
    head = ["panel", "control", "preview (ms)", "slowest", "full picture (ms)"]
    return "\n".join([core.markdown_table(head, rows), "", record["protocol"]])


# %%
Markdown(latency_table())

# %% [markdown]
# ## One page to keep
#
# All figures and tables of this run, in one file that needs nothing else. A heading and its part
# follow each other: first what the photo shows, then what was counted on many.

# %%
parts = {
    "The photo, by all methods": overview(0),
    "Its darkest window": overview(1),
    "Leaderboard": leaderboard(),
    "SSIM with intervals": intervals,
    "Paired differences": paired,
    "Cost": cost,
    "Quality against time": chart,
    "Ranks": rank_table,
    "Metrics in dispute": disputes,
    "Trusted with other photos": trust_table,
    "Looked at, without names": looking_table,
    "Trained here, judged there": cross,
    "Noise, colour, highlights": effect_table,
    "Where the input is better": input_table,
    "Help by the share of the light": sweep,
    "Keypoints found again": keypoint_table,
}

# %%
title = "Low-light enhancement: the methods compared"
note = f"Pairs of `{source}`; seed {seed}."
page = write_page(folder / "results.html", title, list(parts.items()), note)
print(page.name, f"{page.stat().st_size / 1e6:.1f} MB")

# %% [markdown]
# ## Exercises
#
# **1.** Blend the best network with the photo at strengths from 0 to 1 and score each. Is the
# full effect the best?
#
# <details><summary>Solution</summary>The next cell, on the sample, whose well-lit photo we
# have.</details>

# %% tags=["solution"]
well_lit = core.to_float(normal)
strongest = methods[next(name for name in ranking if name in methods)](sample)
for strength in (0, 0.25, 0.5, 0.75, 1):
    mixed = sample + strength * (strongest - sample)
    print(f"strength {strength:.2f}: {psnr(np.clip(mixed, 0, 1), well_lit):.2f} dB")

# %% [markdown]
# **2.** Average two methods pixel by pixel. Does the mean beat both?
#
# <details><summary>Solution</summary>Errors in opposite directions cancel, and so does some of
# the noise, if it is not the same in both.</details>

# %% tags=["solution"]
two_results = {name: methods[name](sample) for name in ("auto_gamma", "zero_dce_pp")}
two_results["their mean"] = sum(two_results.values()) / 2
for name, result in two_results.items():
    print(f"{name:12} {psnr(result, well_lit):.2f} dB")

# %% [markdown]
# **3.** How many photos would make an *open* lead clear? The width of an interval falls with the
# root of the number of photos. Estimate it for the closest pair of the ranking.
#
# <details><summary>Solution</summary>To exclude zero, the half width must shrink to the size of
# the mean difference.</details>

# %% tags=["solution"]
pair, mean, low_end, high_end = min(steps["psnr"], key=lambda row: abs(row[1]))
factor = ((high_end - low_end) / 2 / abs(mean)) ** 2
print(f"{pair}: {mean:+.2f} dB, about {factor:.0f} times as many photos")

# %% [markdown]
# ## What was learnt
#
# - Look at dark windows and amplified differences; a whole photo hides what matters.
# - Compare photo by photo. Forty photos settle some leads and leave others open.
# - Metrics disagree often, and for reasons: brightness, noise, colour are separate questions.
# - Enhancement has side effects that can be measured; on a photo with enough light it can do harm.

# %%
from importlib.metadata import version

for package in ("lle-utils", "keras", "numpy", "scikit-image", "ipywidgets"):
    print(f"{package} {version(package)}")
