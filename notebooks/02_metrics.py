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
# # Measure: what a score says, and what it hides
#
# After this notebook you can score an enhanced photo, say which of a dozen conventions you
# used, and tell a real difference between two methods from luck.

# %% [markdown] tags=["badges"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/low-light-notebooks/blob/main/notebooks/02_metrics.ipynb)

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
# - PSNR and SSIM, from the formula to the code, and the traps in each;
# - why one and the same output is published with scores many decibels apart;
# - why brightness borrowed from the reference must not decide a headline, and how much of a blind
#   score is a guess of the brightness;
# - what to measure besides: dark regions, colour, order of lightness, noise;
# - how many photos a comparison needs.
#
# Nothing is trained here. Two processor cores need less than a minute and a graphics card
# makes no difference. You should know the image arrays of `00_start_here`. The sources are
# Wang et al., *Image Quality Assessment: From Error Visibility to Structural Similarity*
# (2004), for SSIM; Wang et al., *Naturalness Preserved Enhancement Algorithm* (2013),
# eq. 1 to 4, for LOE; Mittal et al., *Making a Completely Blind Image Quality Analyzer*
# (2013), for NIQE; Efron and Tibshirani, *An Introduction to the Bootstrap* (1993), for the
# intervals.

# %%
import json

import numpy as np
from IPython.display import Markdown
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity
from skimage.transform import resize

from lle_utils import core, data, display, evaluation, metrics
from lle_utils.enhancers import BASELINES, auto_gamma

# %% [markdown]
# The next cell holds everything there is to set. Another source than the synthetic sample gives
# the pairs of its validation scenes; LOL is downloaded when it is not there (see `01_data`).

# %% tags=["parameters"]
profile = ""  # "colab", or another of notebooks/profiles; what you change below wins
source = "synthetic"  # or pairs: a folder, a pack, "lol", see `data.load`
seed = 0
count = 8  # number of pairs
output_dir = ""  # folder for the record of this evaluation; empty: none is written

# %% tags=["profile"]
from lle_utils.notebook_tools import start

start("02_metrics", globals())

# %% [markdown]
# ## Pairs to measure on
#
# A score *with reference* compares an enhanced photo with a well-lit photo of the same scene.
# The synthetic pairs come from a few public pictures and a simulated camera. Remember from
# which scene each pair is: photos of one scene resemble each other, and that will matter.

# %%
if source == "synthetic":
    made = data.synthetic_pairs(count, size=(288, 432), seed=seed)
    chosen = list(zip(made.names, made.low, made.normal, strict=True))
    scenes = dict(zip(made.names, made.scenes, strict=True))
else:
    available = data.load(source, "val")
    chosen = available[:: max(1, len(available) // count)][:count]
    scenes = available.scenes
pairs = [(name, core.to_float(low), core.to_float(normal)) for name, low, normal in chosen]

# %% [markdown]
# We look at one pair closely and keep an enhanced version of it at hand: `auto_gamma` raises
# all values to one power, chosen from the photo itself.

# %%
name, low, reference = pairs[1]
enhanced = auto_gamma(low)
print(f"{name}: shape {low.shape}, means {low.mean():.3f}, {reference.mean():.3f}")
display.show_images({"low": low, "enhanced": enhanced, "reference": reference})

# %% [markdown]
# ## PSNR
#
# The peak signal-to-noise ratio is the mean squared error on a logarithmic scale. With
# values between 0 and 1, the peak is 1:
#
# $$\mathrm{PSNR} = 10 \log_{10} \frac{1}{\mathrm{mean}\,(x - y)^2}$$
#
# The unit is the decibel. Ten times less squared error is always ten decibels more.


# %%
def decibels(squared_error, peak=1.0):
    return 10 * np.log10(peak**2 / squared_error)


print(f"{decibels(np.mean((enhanced - reference) ** 2)):.2f} dB")

# %% [markdown]
# A check you can do in your head: if every value is wrong by a tenth of the range, the squared
# error is a hundredth, and that makes twenty decibels. We first squeeze the picture a little,
# so that there is room for the error below white.

# %%
squeezed = 0.1 + 0.7 * reference
shifted = squeezed + 0.1
print(f"{decibels(np.mean((shifted - squeezed) ** 2)):.4f} dB")
display.show_images({"squeezed": squeezed, "every value 0.1 too high": shifted}, width=6)

# %% [markdown]
# The function of the package does one thing more. It rounds both images to the whole numbers
# of a file before it compares, because nobody receives the digits in between.

# %%
print(f"{metrics.psnr(shifted, squeezed):.4f} dB, of what a file holds")
print(metrics.METRICS["psnr"].protocol)

# %% [markdown]
# ### The integer trap
#
# A file holds 8-bit integers, and 8-bit integers cannot be negative. NumPy does not
# complain: it counts on from the other end, so that a difference of −1 becomes 255.

# %%
dark, bright = np.uint8([10]), np.uint8([11])
print(f"{dark} - {bright} = {dark - bright}")

# %% [markdown]
# Squares wrap around as well. The score that comes out is no score at all, yet it looks like
# one. The functions here refuse integers for that reason.

# %%
wrapped = (core.to_uint8(enhanced) - core.to_uint8(reference)) ** 2
print(f"with integers {decibels(wrapped.mean(), peak=255):.2f} dB")
print(f"correctly     {metrics.psnr(enhanced, reference):.2f} dB")

# %%
try:
    metrics.psnr(core.to_uint8(enhanced), core.to_uint8(reference))
except core.ImageError as error:
    print(f"refused: {error}")

# %% [markdown]
# ## SSIM
#
# PSNR treats every pixel alone. Structural similarity looks through a small window, moves it
# over the image and compares what it sees there: mean $\mu$, variance $\sigma^2$ and
# covariance $\sigma_{xy}$.
#
# $$\mathrm{SSIM} = \frac{(2\mu_x\mu_y + c_1)(2\sigma_{xy} + c_2)}
# {(\mu_x^2 + \mu_y^2 + c_1)(\sigma_x^2 + \sigma_y^2 + c_2)}$$
#
# The window of the paper is a Gaussian bell. A filter computes all its means at once.


# %%
def ssim_map(x, y, c1=0.01**2, c2=0.03**2):
    def mean(image):
        return gaussian_filter(image, sigma=(1.5, 1.5, 0), radius=(5, 5, 0))

    mean_x, mean_y = mean(x), mean(y)
    var_x, var_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    level = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return level * (2 * covariance + c2) / (var_x + var_y + c2)


# %% [markdown]
# The score is the mean of the map over the colours and over all places where the window lies
# inside the image. Where the map is dark, the structure is lost: usually in the noise
# of the shadows.

# %%
similar = ssim_map(*metrics.rounded_pair(enhanced, reference))
print(f"by hand {similar[5:-5, 5:-5].mean():.4f}, package {metrics.ssim(enhanced, reference):.4f}")
display.show_images({"enhanced": enhanced, "SSIM": similar.mean(axis=-1)}, width=7)

# %% [markdown]
# The size of the window is part of the definition. The same pair of images, seen through the
# Gaussian, through the box that is scikit-image's default, and through larger boxes:

# %%
shown = {"Gaussian 11": metrics.ssim(enhanced, reference)}
for side in (7, 15, 31):
    shown[f"box {side}"] = structural_similarity(
        enhanced, reference, win_size=side, data_range=1, channel_axis=-1
    )
print({window: round(float(value), 3) for window, value in shown.items()})

# %% [markdown]
# ## One output, many scores
#
# Now the same outputs are scored by every convention that we have met in published code. Each
# was meant well; most are never mentioned in the paper. The outputs do not change from row to
# row. We need three small pieces that the package leaves out on purpose.


# %%
def truncated(x, y):
    return decibels(np.mean((np.floor(255 * x) / 255 - y) ** 2))


def resized(x, y):
    return metrics.psnr(resize(x, (256, 256)), resize(y, (256, 256)))


def wrapped_around(x, y):
    return decibels(np.mean((core.to_uint8(x) - core.to_uint8(y)) ** 2), peak=255)


# %% [markdown]
# SSIM has a trap of its own: a library that is not told the range of the values guesses it
# from their type, and for floats an old default of scikit-image was the range −1 to 1.


# %%
def ssim_wide(x, y):
    return structural_similarity(
        x, y, data_range=2, channel_axis=-1, gaussian_weights=True, use_sample_covariance=False
    )


# %% [markdown]
# The table names each convention, its function and the reason why it differs.

# %%
conventions = [
    ("PSNR, 8-bit RGB", metrics.psnr, "the protocol of these notebooks"),
    ("PSNR, float", metrics.psnr_float, "scores digits that no file holds"),
    ("PSNR, truncated", truncated, "a cast instead of rounding darkens by half a level"),
    ("PSNR, grey", metrics.psnr_gray, "colour errors cancel in the weighted sum"),
    ("PSNR, Y", metrics.psnr_y, "as grey, and Y spans 219 levels under a peak of 255"),
    ("PSNR, resized", resized, "shrinking averages the noise away"),
    ("PSNR, GT-mean", metrics.psnr_gtmean, "brightness taken from the reference"),
    ("PSNR, GT-mean LLFlow", metrics.psnr_gtmean_llflow, "grey mean over RGB mean"),
    ("PSNR, best gamma", metrics.psnr_best_gamma, "best of 100 curves, judged by the reference"),
    ("PSNR, peak 255", lambda x, y: metrics.psnr(x, y) + decibels(1, 255), "values end at 1"),
    ("PSNR, integers", wrapped_around, "differences wrap around"),
    ("SSIM, Gaussian", metrics.ssim, "the protocol of these notebooks"),
    ("SSIM, 7×7 box", metrics.ssim_uniform7, "default of scikit-image"),
    ("SSIM, range 2", ssim_wide, "the constants are four times too large"),
    ("SSIM, grey", metrics.ssim_gray, "the three colours' noise averages out"),
]

# %% [markdown]
# One convention is not a function of one image: *pooling* takes the mean of the squared errors of
# all images first and the logarithm last, so that the worst images weigh most.

# %%
outputs = [(auto_gamma(low), reference) for _, low, reference in pairs]
rows = [(label, np.mean([f(*o) for o in outputs]), why) for label, f, why in conventions]
pooled = decibels(np.mean([np.mean((x - y) ** 2) for x, y in outputs]))
rows.insert(3, ("PSNR, pooled", pooled, "one logarithm of the mean error"))
lines = [f"| {label} | {value:.3f} | {why} |" for label, value, why in rows]
Markdown("\n".join(["| convention | mean | why |", "|---|---:|---|", *lines]))

# %% [markdown]
# Leave the two broken rows aside, and compare the spread of the others with the differences
# between the methods of the table below. Hence the habit to print beside every number:
# RGB or grey or Y; float or 8-bit; rounded or truncated; mean of PSNRs or PSNR of the mean;
# full size or resized; window, channels and range of SSIM; what was taken from the reference.
# The registry keeps that sentence for each metric.

# %%
Markdown("\n".join(f"- `{key}`: {m.protocol}" for key, m in metrics.METRICS.items()))

# %% [markdown]
# ## Compare methods
#
# `evaluate` runs a method over all pairs and keeps the value of every image, together with
# protocol, data and versions. The first row is doing nothing.

# %%
columns = ("psnr", "ssim", "psnr_gtmean", "psnr_dark", "delta_e", "loe", "noise_gain")
guesses = ("psnr", "psnr_constant", "psnr_level", "mean_error")  # further below
columns += (*guesses[1:], "mse_brightness", "mse_color", "mse_structure")
description = f"{len(pairs)} {source} pairs"
records = [
    evaluation.evaluate(method, enhance, pairs, columns, data=description, scenes=scenes, seed=seed)
    for method, enhance in BASELINES.items()
]
Markdown(evaluation.table(records, ("psnr", "ssim")))

# %% [markdown]
# How far would the means move had other photos been drawn? The *bootstrap* draws scenes again and
# again, with repetition, and takes the mean each time. Of two scenes that can only be these two
# means and what lies between them, so a table has no ranges below eight scenes. The package
# ships the values of all methods on LOL's validation photos, which show more:

# %%
shipped = evaluation.load_records("lol_val")


def show_intervals(records, metric):
    found = [(r["method"], r["summary"][metric]) for r in records]
    bars = [(method, s["mean"], s["low"], s["high"]) for method, s in found]
    return display.interval_plot(bars, f"{metric}, with the 95 % range")


show_intervals([shipped[name] for name in BASELINES], "psnr")

# %% [markdown]
# Overlapping ranges do not mean that methods are equal. A dark photo is hard for all of them;
# that common part cancels if we subtract image by image and ask how sure the *difference* is.

# %%
by_name = {record["method"]: record for record in records}
gap = evaluation.difference_text(shipped["auto_gamma"], shipped["gamma"], "psnr")
print(f"auto_gamma − gamma: {gap} dB, the 95 % range in brackets")

# %% [markdown]
# If that range holds zero, these photos do not decide between the two.
#
# ## Why GT-mean must not be the headline
#
# Many papers multiply the output by a factor that gives it the mean brightness of the
# reference before they compare. But finding the right brightness *is* half of the task, and
# no user has the reference. Take one output at many gains, from nearly black to its full
# level:

# %%
gains = np.linspace(0.05, 1.0, 20)
blind = np.array([metrics.psnr(g * enhanced, reference) for g in gains])
borrowed = np.array([metrics.psnr_gtmean(g * enhanced, reference) for g in gains])
curves = {"blind": blind, "GT-mean": borrowed}
display.plot_curves(gains, curves, xlabel="gain", ylabel="PSNR (dB)", diagonal=False)

# %% [markdown]
# The flat line cannot tell a useful picture from a black one. Nor is every method given the same:
# whoever misses the brightness may be given much, and the order can change.

# %%
order = {m: sorted(by_name, key=lambda r: -by_name[r]["summary"][m]["mean"]) for m in columns[:3]}
lines = [
    f"| {r} | {order['psnr'].index(r) + 1} | {order['psnr_gtmean'].index(r) + 1} |" for r in by_name
]
Markdown("\n".join(["| method | rank, blind | rank, GT-mean |", "|---|---:|---:|", *lines]))

# %% [markdown]
# The score has a use as a diagnosis: blind PSNR far below GT-mean says that the brightness is
# wrong and the rest is not. Print it beside the blind score, under its own name.
#
# ## Move the gain yourself
#
# At the left the output at the chosen gain, at the right the same after GT-mean. The right
# half does not move as long as nothing is clipped.


# %%
def with_borrowed_mean(gain):
    output = np.clip(gain * enhanced, 0, 1)
    factor = core.luminance(reference).mean() / core.luminance(output).mean()
    return np.concatenate([output, np.clip(factor * output, 0, 1)], axis=1)


# %%
display.image_slider(with_borrowed_mean, gain=(0.1, 2.0, 0.05, 0.4))

# %% [markdown]
# The starting position, for readers without a running kernel:

# %%
display.static(with_borrowed_mean, gain=(0.1, 2.0, 0.05, 0.4))

# %% [markdown]
# ## What blind PSNR measures
#
# GT-mean knows too much. But does the blind score tell what we want to know? The dark photo
# does not say how bright its well-lit twin is: that was somebody's choice, made later. Every
# method has to guess it, and blind PSNR judges the guess together with the picture.
#
# An experiment takes the guess away. All outputs of all methods are *exposed* anew, to one
# and the same mean brightness. The curve that does so acts like more light, or less, and
# clips nothing.

# %%
gain = core.exposure_gain(enhanced, metrics.LOL_MEAN)
settled = core.expose(enhanced, gain)
for label, image in {"own guess": enhanced, "constant": settled}.items():
    print(f"{label:10} mean {image.mean():.3f}, {metrics.psnr(image, reference):.2f} dB")
print(f"reference  mean {reference.mean():.3f}")

# %%
display.show_images({"own guess": enhanced, "constant": settled, "reference": reference})

# %% [markdown]
# The constant is the mean of LOL's well-lit *training* photos. Nothing of the photo at hand goes
# into it, so this score, `psnr_constant`, is blind too. `psnr_level` exposes to the mean of
# the reference, which is borrowed again, and `mean_error` tells how far off the method's own
# guess was. On LOL's validation split:

# %%
Markdown(evaluation.table(shipped, guesses))

# %% [markdown]
# And on the pairs of this notebook, whose references have means of their own:

# %%
Markdown(evaluation.table(records, guesses))

# %% [markdown]
# Is a constant better than what a method chooses for each photo? Above zero, it is. We ask photo
# by photo again, on LOL:


# %%
def gain_by_constant(record, seed):
    """Return (method, mean, low, high) of what one constant brightness changes, in dB."""
    change = np.subtract(record["values"]["psnr_constant"], record["values"]["psnr"])
    interval = evaluation.bootstrap_interval(change, record["scenes"], seed)
    return (record["method"], change.mean(), *interval)


changes = [gain_by_constant(record, seed) for record in shipped.values()]
display.interval_plot(changes, "PSNR gained by a constant brightness (dB)")

# %% [markdown]
# The extreme case is a method that never looks at the photo. `fixed_curve` raises all photos to
# one power, the best one for LOL's *training* pairs. One gain of `core.expose` for all photos was
# tried there too. What each reached, from the record of that choice:

# %%
record_of_choice = core.data_dir() / "results" / "fixed_curve.json"
families = json.loads(record_of_choice.read_text(encoding="utf-8"))["families"]
for family, tried in families.items():
    print(f"best {family} {tried['best']:.3g}: {max(tried['psnr']):.2f} dB on the training pairs")

# %% [markdown]
# ### Three parts of the squared error
#
# Let $e$ be the error $x - y$, $m_c$ its mean in the channel $c$, and $m$ the mean of the three.
# Then the squared error falls apart into a shift of the whole photo, a tint of the whole photo,
# and what varies from place to place:
#
# $$ \mathrm{mean}(e^2) = m^2 + \mathrm{mean}_c\,(m_c - m)^2 + \mathrm{mean}\,(e - m_c)^2 $$
#
# The squared error is the sum of *brightness*, *colour* and *structure*, in this order.
#
# They add up exactly, because each part averages to zero where the one before it is constant.


# %%
def split(x, y):
    error = x - y
    channels = error.mean(axis=(0, 1))
    return channels.mean() ** 2, channels.var(), np.mean((error - channels) ** 2)


x, y = metrics.rounded_pair(enhanced, reference)
print("parts", [f"{part:.6f}" for part in split(x, y)])
print(f"sum {sum(split(x, y)):.6f}, squared error {np.mean((x - y) ** 2):.6f}")

# %% [markdown]
# `mse_brightness`, `mse_color` and `mse_structure` are these parts, in squared 8-bit levels. The
# chart leaves out methods whose squared error is so large that the others would be slivers.


# %%
def split_of(record):
    """Return part -> mean of that part over the photos of a record."""
    return {p: record["summary"][f"mse_{p}"]["mean"] for p in metrics.ERROR_PARTS}


def show_split(records, limit=8):
    """Draw the parts for each method with at most ``limit`` times the least squared error."""
    rows = {record["method"]: split_of(record) for record in records}
    least = min(sum(parts.values()) for parts in rows.values())
    shown = {name: p for name, p in rows.items() if sum(p.values()) <= limit * least}
    return display.stacked_bars(shown, "squared error (levels²)")


show_split(shipped.values())

# %% [markdown]
# The same for the pairs of this notebook:

# %%
show_split(records)

# %% [markdown]
# What follows from it? These sentences are computed from the record of LOL.


# %%
def listed(names):
    return ", ".join(f"`{name}`" for name in names) or "none"


shares = {name: split_of(r)["brightness"] for name, r in shipped.items()}
shares = {n: part / sum(split_of(shipped[n]).values()) for n, part in shares.items()}
best = evaluation.ranking(shipped)[0]
blind_means = {name: record["summary"]["psnr"]["mean"] for name, record in shipped.items()}
beaten = [name for name, mean in blind_means.items() if mean < blind_means["fixed_curve"]]
lit = shipped["input"]["summary"]["psnr_constant"]["mean"]
outdone = [name for name, mean in blind_means.items() if mean < lit]

# %%
of_best = shipped[best]["values"]
follows = {
    part: -spearmanr(of_best["psnr"], of_best[f"mse_{part}"])[0] for part in metrics.ERROR_PARTS
}
guess_first = follows["brightness"] > follows["structure"]
Markdown(f"""
- More than half of the squared error is brightness for
  {listed(n for n, share in shares.items() if share > 0.5)}; for `{best}`, the best in structure,
  it is {shares[best]:.0%}.
- A constant brightness is clearly better than the method's own for
  {listed(n for n, _, low, _ in changes if low > 0)}; clearly worse for
  {listed(n for n, _, _, high in changes if high < 0)}; for the others these photos cannot tell.
- `fixed_curve` does not look at the photo at all. Its {blind_means["fixed_curve"]:.2f} dB are more
  than those of {listed(beaten)}.
- The dark photo itself, only exposed to the constant and with all its noise, has {lit:.2f} dB: more
  than the blind PSNR of {listed(outdone)}.
- From photo to photo, the blind PSNR of `{best}` follows brightness (rank correlation
  {follows["brightness"]:.2f}) {"more" if guess_first else "less"} closely than structure
  ({follows["structure"]:.2f}): it tells {"first" if guess_first else "only second"} how well the
  brightness was guessed.
""")

# %% [markdown]
# So a table of methods needs three columns at least: one for structure, which forgives a moderate
# error of the guess (`ssim`) or all of it (`psnr_gtmean`, `psnr_level`); one for the guess
# (`mean_error`); and blind PSNR for both at once.
#
# ## Look where it is dark
#
# Noise hides in the shadows, where a mean over all pixels hardly sees it. `psnr_dark` counts
# the darkest part of the reference alone. We spoil a good picture twice with the same noise:
# once in its darkest part, once in its brightest.

# %%
level = core.luminance(reference)[..., None]
noise = np.random.default_rng(seed).normal(0, 0.05, reference.shape)
in_dark = np.clip(reference + noise * (level <= np.quantile(level, 0.3)), 0, 1)
in_bright = np.clip(reference + noise * (level > np.quantile(level, 0.7)), 0, 1)
for label, image in {"noise in the dark": in_dark, "noise in the bright": in_bright}.items():
    print(label, metrics.score(image, reference, ("psnr", "psnr_dark")))

# %%
display.show_images({"noise in the dark": in_dark, "noise in the bright": in_bright}, width=7)

# %% [markdown]
# PSNR counts all pixels alike, so it calls the two nearly equal, unless much of the noise was cut
# off at black or white. (An infinite score means that the files agree exactly in all the pixels
# that were counted.)
#
# ## Colour
#
# Two shifts of equal size: one makes the picture brighter, the other moves it from blue to
# red. By construction the squared error is the same. `delta_e` asks how large the difference
# *looks*, in a colour space in which equal distances look about equal.

# %%
mild = 0.2 + 0.6 * reference
lighter = mild + 0.08
redder = mild + 0.08 * np.sqrt(1.5) * np.array([1, 0, -1])
for label, image in {"lighter": lighter, "redder": redder}.items():
    print(label, metrics.score(image, mild, ("psnr_float", "psnr_gray", "delta_e")))

# %%
display.show_images({"original": mild, "lighter": lighter, "redder": redder})

# %% [markdown]
# The grey score even prefers the cast.
#
# ## Order of lightness
#
# An enhancer should not make a dark place lighter than a light one. LOE compares each pixel of
# a coarse grid with all others and counts how often the order changed between the photo and its
# enhanced version. It needs no reference, and one rising curve for all three colours keeps the
# order but for rounding. What works locally, or on luminance alone, can change it.

# %%
Markdown(evaluation.table(records, ["loe"]))

# %% [markdown]
# ## Noise
#
# `noise_gain` compares the spread inside the flattest patches before and after. A factor of
# three multiplies the noise by three, which is no fault of its own: use the column to compare
# methods that reach a similar brightness.

# %%
for gain in (1, 2, 3):
    print(f"gain {gain}: noise gain {metrics.noise_gain(np.clip(gain * low, 0, 1), low):.2f}")
Markdown(evaluation.table(records, ("psnr_dark", "delta_e", "loe", "noise_gain")))

# %% [markdown]
# ## Scores without a reference
#
# For most dark photos no well-lit twin exists. NIQE compares the statistics of small patches
# with those of good photos; lower is meant to be better. Every implementation has its own
# model of a good photo, so values of different programs cannot be compared. There is a
# deeper trouble. We take away the detail of the references, as a denoiser does that goes too far,
# and then lay noise over what is left. No detail comes back by that.


# %%
def soft_and_grainy(image, amount, seed):
    grain = np.random.default_rng(seed).normal(0, amount, image.shape)
    return np.clip(gaussian_filter(image, sigma=(2, 2, 0)) + grain, 0, 1)


# %%
amounts = (0.0, 0.01, 0.02, 0.04)
faked = {a: [(soft_and_grainy(y, a, seed), y) for _, y in outputs] for a in amounts}
lines = ["| noise | NIQE ↓ | PSNR ↑ |", "|---:|---:|---:|"]
for amount, group in faked.items():
    blind_guess = np.mean([metrics.niqe(x) for x, _ in group])
    truth = np.mean([metrics.psnr(x, y) for x, y in group])
    lines.append(f"| {amount} | {blind_guess:.2f} | {truth:.2f} |")
Markdown("\n".join(lines))

# %%
window = (slice(40, 160), slice(80, 260))
close = {f"noise {amount}": group[1][0][window] for amount, group in faked.items()}
display.show_images({**close, "reference": reference[window]})

# %% [markdown]
# Read the two columns against each other, then look at the crops: where both fall, noise has passed
# for fine detail. It does not help always; on a picture that is noisy already, more noise can make
# NIQE worse. Never rank methods by it alone.
#
# ## How many photos are enough?
#
# From the shipped values on the whole validation split of LOL we draw smaller test sets, and look
# how wide the interval of the mean becomes.

# %%
values = np.array(shipped["auto_gamma"]["values"]["psnr"])
rng = np.random.default_rng(seed)
sizes = np.array([3, 5, 8, 10, 15, 20, 30, 40])
draws = [[rng.choice(values, size) for _ in range(20)] for size in sizes]
widths = [np.mean([np.ptp(evaluation.bootstrap_interval(d)) for d in group]) for group in draws]
measured = {"interval": np.array(widths), "1 / √n": widths[-1] * np.sqrt(sizes[-1] / sizes)}
display.plot_curves(sizes, measured, "number of images", "width (dB)", diagonal=False)

# %% [markdown]
# To halve the width takes four times the photos. With a handful of them the measured interval
# lies below the curve: few values show too little of how photos vary, so it is too narrow. And
# these draws count every photo as independent. Photos of one scene are not; drawing whole
# scenes gives the honest width:

# %%
groups = shipped["auto_gamma"]["scenes"]
for label, key in {"images": None, "scenes": groups}.items():
    start, end = evaluation.bootstrap_interval(values, key, seed)
    print(f"drawing {label}: {start:.2f} to {end:.2f} dB, width {end - start:.2f}")
print(f"{len(values)} images of {len(set(groups))} scenes")

# %% [markdown]
# A table whose rows differ by less than such a width ranks luck, unless the comparison is
# made image by image.
#
# ## Where these metrics fail
#
# Four versions of the reference. Which one would you accept as a photo? Compare with the scores.

# %%
moved = np.roll(reference, (2, 2), axis=(0, 1))
blurred = gaussian_filter(reference, sigma=(2, 2, 0))
dimmed = 0.7 * reference
grainy = np.clip(reference + 0.06 * np.random.default_rng(seed).normal(size=low.shape), 0, 1)
versions = {"moved": moved, "blurred": blurred, "dimmed": dimmed, "grainy": grainy}
titles = [
    f"{label}: {metrics.psnr(v, reference):.1f} dB, SSIM {metrics.ssim(v, reference):.2f}"
    for label, v in versions.items()
]
display.show_images(list(versions.values()), columns=2, titles=titles)

# %% [markdown]
# - **Moved** by two pixels, nobody notices; PSNR and SSIM do. Pairs from a camera that was
#   touched between the shots punish sharp outputs.
# - **Blurred**, the picture has lost what matters, but errors are averaged away. A method
#   trained on squared error learns to blur.
# - **Dimmed**, it is a flawless photo at another exposure, and which exposure is right is a
#   matter of taste: the reference is one photographer's choice.
# - **Grainy** or dimmed: which of them has more decibels, and which does SSIM prefer? Only the
#   dimmed one can be repaired with a slider.
#
# So look at the pictures, always, and at the worst ones first. The worst of ours:

# %%
scores = by_name["auto_gamma"]["values"]["psnr"]
name, dark_photo, wanted = pairs[int(np.argmin(scores))]
print(f"{name}: {min(scores):.2f} dB")
display.show_images({"low": dark_photo, "auto_gamma": auto_gamma(dark_photo), "wanted": wanted})

# %% [markdown]
# ## Exercises
#
# **1.** Every value is wrong by 0.05. Work out the PSNR on paper, then check it. What does
# halving an error add, whatever its size?

# %% tags=["solution"] jupyter={"source_hidden": true}
print(f"0.05: {decibels(0.05**2):.2f} dB; halving adds {decibels(0.5**2):.2f} dB")
print(f"measured: {metrics.psnr_float(squeezed + 0.05, squeezed):.2f} dB")

# %% [markdown]
# **2.** Invent a convention that borrows still more: give each of the three colours the mean
# of the reference. What does it hide besides the brightness? Try it on the redder picture.


# %% tags=["solution"] jupyter={"source_hidden": true}
def psnr_channel_mean(x, y):
    factor = y.mean(axis=(0, 1)) / x.mean(axis=(0, 1))
    return metrics.psnr(np.clip(x * factor, 0, 1), y)


print(f"redder, blind {metrics.psnr(redder, mild):.2f}, GT-mean", end=" ")
print(f"{metrics.psnr_gtmean(redder, mild):.2f}, per colour {psnr_channel_mean(redder, mild):.2f}")

# %% [markdown]
# **3.** On the shipped values, is `lime` better than `gamma_clahe`? Ask for the difference
# in PSNR and in SSIM, image by image.

# %% tags=["solution"] jupyter={"source_hidden": true}
for metric in ("psnr", "ssim"):
    gap = evaluation.paired_difference(shipped["lime"], shipped["gamma_clahe"], metric)
    print(f"{metric}: {gap['mean']:+.3f}, 95 % from {gap['low']:+.3f} to {gap['high']:+.3f}")

# %% [markdown]
# **4.** LOL's constant need not suit the pairs of this notebook. Which constant is best for the
# outputs of `auto_gamma`, and what does it gain? Why would it be no fair score on these pairs?

# %% tags=["solution"] jupyter={"source_hidden": true}
for constant in (0.2, 0.3, 0.4, 0.5, 0.6):
    found = np.mean([metrics.psnr_constant(x, y, mean=constant) for x, y in outputs])
    print(f"constant {constant}: {found:.2f} dB")
print(f"own guess   : {by_name['auto_gamma']['summary']['psnr']['mean']:.2f} dB")
print("Chosen on the pairs it is scored on, the constant has seen their references.")

# %% [markdown]
# ## Keep the record
#
# A record holds the value of every image, so that anybody can compute other intervals and
# differences later without the photos. It is written if you have named a folder.

# %%
if output_dir:
    print(evaluation.save_records("02_metrics", records, folder=output_dir))

# %% [markdown]
# ## What you have learnt
#
# A score is a number *and* its convention. PSNR and SSIM compare with one photographer's
# choice. Brightness borrowed from the reference hides half of the task, and a blind score is in
# good part a guess of that brightness: print the error of the guess and a score of structure
# beside it. Dark regions, colour, order and noise each need a look of their own; NIQE is easily
# pleased; and a mean without an interval is a guess. The rows `input`, `gamma`, `fixed_curve` and
# `auto_gamma` are the bar for everything that follows. Next comes `03_zero_dce`: a network that
# learns to brighten without any reference.

# %%
from importlib.metadata import version

for package in ("lle-utils", "numpy", "scipy", "scikit-image", "matplotlib", "ipywidgets"):
    print(f"{package} {version(package)}")
