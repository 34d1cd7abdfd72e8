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
# # Runtimes: a network without Keras, and the proof that it is the same
#
# You will run a trained network in other runtimes, prove on photos that it still does the same,
# store it in int8 and find out what that breaks, and measure what a runtime, a batch, threads and
# the start of a program cost and bring.

# %% [markdown] tags=["badges"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/low-light-notebooks/blob/main/notebooks/15_runtimes.ipynb)

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
# - what an exported network is: a list of operations and the numbers for them, which a few lines
#   of NumPy can run;
# - how to show that an export does the same, and which comparisons show nothing;
# - how int8 stores numbers, and two mistakes that are made with it;
# - how to measure speed: the first call, the later ones, and the start of the program;
# - what batches and threads bring, and when a quicker runtime has paid for its start.
#
# You should have read `03_zero_dce` and `09_deploy`. Everything here is measured while the
# notebook runs, about a minute on two processor cores; nothing is trained or downloaded. Export
# needs `pip install -e '.[export]'`; what is not installed is named and left out.
#
# **References.** Jacob et al., *Quantization and Training of Neural Networks for Efficient
# Integer-Arithmetic-Only Inference*, CVPR 2018, arXiv 1712.05877 (int8: equation 1); Kalamkar et
# al., *A Study of BFLOAT16 for Deep Learning Training*, 2019, arXiv 1905.12322; Amdahl, *Validity
# of the Single Processor Approach to Achieving Large Scale Computing Capabilities*, AFIPS 1967.

# %%
import json
import logging
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import keras
import numpy as np
from IPython.display import Markdown

from lle_utils import core, data, display, enhancers, evaluation, nn
from lle_utils.benchmarks import cli_throughput, speed
from lle_utils.enhancers import Enhancer, Exported, ExportError, export_enhancer, load_enhancer
from lle_utils.metrics import psnr
from lle_utils.notebook_tools import definitions

logging.getLogger("tensorflow").setLevel("ERROR")  # converters report each file they write

# %% [markdown]
# The next cell holds everything there is to set.

# %% tags=["parameters"]
profile = ""  # "colab", or another of notebooks/profiles; what you change below wins
source = "synthetic"  # or pairs to measure the accuracy of exports on, see `data.load`
exported = "zero_dce"  # the enhancer that is exported; one with the single input low
batches = [1, 2, 4, 8]  # photos that are handed over at once
seed = 0
output_dir = ""  # where results go; empty: runs/15_runtimes in the project

# %% tags=["profile"]
from lle_utils.notebook_tools import start

start("15_runtimes", globals())

# %% [markdown]
# What we work with: the enhancer to export, and the two of Zero-DCE, which are small enough to be
# taken apart. Eight dark photos are for int8, which needs examples (below).

# %%
folder = core.run_folder("15_runtimes", output_dir)
network = load_enhancer(exported)
zero_dce, fast = load_enhancer("zero_dce"), load_enhancer("zero_dce_pp")
album = data.synthetic_pairs(8, (384, 600), seed, data.TRAIN_SCENES)
dark = core.to_float(album.low)

# %% [markdown]
# What we compare on is of other scenes: a dark photo with its well-lit twin, and the wall of
# `09_deploy`, which is so smooth that every step shows on it.

# %%
normal = data.synthetic_pairs(1, (384, 576), seed, ("stereo_motorcycle",)).normal[0]
normal = core.to_float(normal)
camera = data.Camera(exposure=0.08, illumination=0.4, photons=4000, read_noise=0.002)
low = data.darken(normal, seed, camera)
lamp = data.illumination_map((240, 360), 0.15, seed)[..., None]
lit_wall = np.float32(lamp * [0.8, 0.7, 0.55])
wall = core.to_float(definitions("09_deploy").shoot(lit_wall, 0.012, np.uint16))
display.show_images({"low": low, "normal": normal, "wall, enhanced": zero_dce.enhance(wall)})

# %% [markdown]
# ## A network is a list of operations, and some numbers
#
# Keras is made for building and training. To *use* a network one needs much less: which operations
# follow each other, and the numbers that they work with. A convolution of 3×3 is a product of
# matrices. Each pixel's window, nine neighbours of $C$ channels, is a row of $9\,C$ numbers:
#
# $$\text{features} = \text{windows} \cdot \text{kernel} + \text{bias}$$


# %%
def convolve(x, kernel, bias):
    """Apply a convolution of 3x3, with zeros around, to features (H, W, C)."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    return np.tensordot(windows, kernel, [(3, 4, 2), (0, 1, 2)]) + bias


# %% [markdown]
# DCE-Net of `03_zero_dce` is seven of these, with three outputs that are kept and joined again. A
# *runtime* is a program that runs a network, and this is a complete one for DCE-Net. (The photo is
# reduced beforehand, and the curves follow; both are simpler still.)


# %%
def draw_maps(cells, layers):
    """Draw the curve maps (h, w, 24) of Zero-DCE for a photo (h, w, 3) that is reduced already."""
    kept, x = [], cells
    for index, (kernel, bias) in enumerate(layers):
        if index > 3:
            x = np.concatenate([kept.pop(), x], axis=-1)
        x = convolve(x, kernel, bias)
        x = np.maximum(x, 0) if index < 6 else np.tanh(x)
        if index < 3:
            kept.append(x)
    return x


# %% [markdown]
# The numbers come from the trained network. It is cut behind its last convolution into two: one
# part draws the maps, and one applies the curves. Keras and the runtime above draw the maps of one
# photo. Do they agree?


# %%
def split(model):
    """Return the two parts of Zero-DCE: photo -> maps, and photo and maps -> result."""
    drawn = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][-1].output
    return keras.Model(model.input, drawn), keras.Model([model.input, drawn], model.output)


# %%
maps_model, curves_model = split(zero_dce.model)
layers = [layer.get_weights() for layer in maps_model.layers if layer.get_weights()]
cells = core.block_mean(low, zero_dce.size_divisor)
ours = draw_maps(cells, layers)
theirs = np.asarray(maps_model.predict_on_batch(low[None]))[0]
print(f"{sum(w.size for layer in layers for w in layer):,} numbers; maps of {ours.shape}")
print(f"largest difference of the maps from Keras: {np.abs(ours - theirs).max():.1e}")

# %% [markdown]
# ### Why not to the last bit?
#
# float32 keeps 24 significant bits and rounds each sum. In another order the same numbers may give
# another sum, and a runtime adds in whatever order is quick. The products of one window with one
# kernel, added up in three ways, beside their sum in float64, which keeps 53 bits:

# %%
window = np.random.default_rng(seed).random(288, np.float32)
products = window * layers[1][0][..., 0].ravel()
orders = {
    "one after the other": np.cumsum(products)[-1],
    "from the end": np.cumsum(products[::-1])[-1],
    "as NumPy adds": products.sum(),
}
exact = products.sum(dtype=np.float64)
for name, total in orders.items():
    print(f"{name:20} {total:.9f}, off by {abs(total - exact):.1e}")

# %% [markdown]
# So *the same* must mean *the same but for rounding*: far below a step of 8 bits, which is 1/255.
# Errors of rounding pass through all layers and may add up, so how far they go is measured at the
# end, on the result. Mistakes are of another size, as we shall see.
#
# ## Export
#
# ONNX Runtime, OpenVINO and LiteRT are such runtimes, written by people who make them quick.
# `export_enhancer` writes an enhancer for one of them and then compares it with Keras on photos. A
# float export that differs by more than 1e-4 is not written, nor one in int8 that costs more than
# 0.1 dB of PSNR. A SavedModel is the same graph for TensorFlow's own runtime, for servers that have
# it anyway; `int8` is a LiteRT file of small integers, which is looked at below.


# %%
def attempt(work):
    """Do what needs more than the package; where it cannot be done, say why."""
    try:
        return work()
    except (ImportError, ExportError) as error:
        print(f"Not here: {error}")


# %%
target_folder = folder / "exported" / time.strftime("%Y%m%d-%H%M%S")  # nothing is overwritten
written = {}
for target in enhancers.EXPORT_TARGETS:
    begin = time.perf_counter()
    done = attempt(lambda target=target: export_enhancer(network, target, target_folder))
    if done:
        written[target] = done[1] | {"path": done[0], "seconds": time.perf_counter() - begin}
        print(f"{target:12} largest difference {done[1]['difference']:.1e}")

# %% [markdown]
# What is in such a file? The list of operations, and the numbers. One Keras layer may become
# several operations, and several may become one; what does not depend on the photo is computed once
# and for all. What stands around the network is in it too: photos of any size are padded, and
# results cut. Beside the ONNX file lies a program of a few lines that enhances a photo with it.


# %%
def operations(path):
    """Count the operations in an ONNX file, by name."""
    import onnx

    return Counter(node.op_type for node in onnx.load(path).graph.node)


# %%
if "onnx" in written:
    counted = operations(written["onnx"]["path"])
    print(f"{counted.total()} operations:", ", ".join(f"{n} {op}" for op, n in counted.items()))

# %% [markdown]
# Exports answer like a Keras model, so they take its place in an `Enhancer`, which pads and cuts
# for the network that int8 is.
# OpenVINO can also choose a precision by the processor (`openvino-fast`): where there are
# instructions for bfloat16, which has 8 significant bits, it computes in that.

# %%
keras_file = core.data_dir() / "pretrained" / exported / "model.keras"
facts = {"keras": {"difference": 0.0, "path": "", "bytes": keras_file.stat().st_size}} | written
runtimes = {"keras": network}
runtimes |= {n: Enhancer(Exported(f["path"]), network.card) for n, f in written.items()}
if "openvino" in written:
    quick = Exported(written["openvino"]["path"], exact=False)
    runtimes["openvino-fast"] = Enhancer(quick, network.card)
    facts["openvino-fast"] = facts["openvino"] | enhancers.parity(network, quick)

# %% [markdown]
# ## Parity: does it do the same?
#
# **Parity** means that an exported network does what the original does. It is shown by comparing,
# and a comparison is worth what it would notice. Here are three mistakes that are easily made
# around an export: values that go from 0 to 255, colours in the order blue, green, red, and a
# network that was exported for one size, to which every photo is then stretched.

# %%
SIZE = (240, 360)


# %%
def one_size(run, photo):
    """Enhance a photo as an export for a single size would have it: stretched there and back."""
    return core.resize(run(core.resize(photo, SIZE)), photo.shape[:2])


# %%
mistakes = {
    "values to 255": lambda photo: np.clip(network.enhance(photo / 255) * 255, 0, 1),
    "blue, green, red": lambda photo: network.enhance(photo[..., ::-1])[..., ::-1],
    "one size": lambda photo: one_size(network.enhance, photo),
}

# %% [markdown]
# And four pictures to compare on. The first two have one value each, and are quickly made; the
# third is part of a photo, of the one size that the third mistake was made for; the last is the
# photo.

# %%
grey = np.full((*SIZE, 3), 0.2, np.float32)
probes = {"black": np.zeros_like(grey), "grey": grey, "part of a photo": low[:240, :360]}
probes["photo"] = low
candidates = mistakes | {name: runtime.enhance for name, runtime in runtimes.items()}
found = {}
for name, run in candidates.items():
    apart = [np.abs(run(probe) - network.enhance(probe)).max() for probe in probes.values()]
    found[name] = 255 * np.array(apart)

# %%
rows = [[name, *(f"{value:.3g}" for value in apart)] for name, apart in found.items()]
Markdown(core.markdown_table(["largest difference, of 255", *probes], rows))

# %% [markdown]
# What would each picture have let through? Less than half a level counts as not noticed.

# %%
for place, probe in enumerate(probes):
    missed = [name for name in mistakes if found[name][place] < 0.5]
    print(f"{probe:16} does not notice: {', '.join(missed) or 'nothing'}")

# %% [markdown]
# So compare on photos, of more than one size, and with all that stands around the network: reading,
# colours, range, padding. A picture of one value says little.
#
# ## int8, and what is wrong with it
#
# int8 stores each number as one of 256 levels between two ends. With a step $S$ and a zero $Z$,
#
# $$q = \mathrm{round}(x / S) + Z, \qquad x \approx S\,(q - Z),$$
#
# and what lies beyond the ends becomes the end. A number takes a quarter of the bytes of a float32,
# and products of small integers can be quick. Computed in floating point, it looks like this:


# %%
def round_to_levels(x, low, high, bits=8):
    """Round values to 2**bits equal levels from low to high; beyond them is the end itself."""
    step = (high - low) / (2**bits - 1)
    return low + step * np.rint((np.clip(x, low, high) - low) / step)


# %% [markdown]
# Rounding leaves an error between $-S/2$ and $S/2$, so about $S / \sqrt{12}$ (root mean square).
# But which ends? Features have no natural ones; they are found by running photos through the
# network, which is called **calibration**. A range that is too wide makes large steps, one that is
# too narrow cuts off what is large. The features behind the third convolution, for ranges of a
# share of their largest value:

# %%
features = cells
for kernel, bias in layers[:3]:
    features = np.maximum(convolve(features, kernel, bias), 0)


# %%
def rounding_error(x, high, bits):
    """Return the root mean square of what rounding to levels from 0 to high changes."""
    return float(np.sqrt(np.mean((round_to_levels(x, 0, high, bits) - x) ** 2)))


# %%
largest, shares = features.max(), np.linspace(0.3, 3, 28)
errors = {
    f"{bits} bits": [np.log10(rounding_error(features, s * largest, bits)) for s in shares]
    for bits in (8, 6)
}
labels = "end of the range / largest feature", "log10 of the error"
display.plot_curves(shares, errors, *labels, diagonal=False)

# %%
predicted = largest / (2**8 - 1) / np.sqrt(12)
print(f"8 bits up to the largest feature: {rounding_error(features, largest, 8):.1e}, ", end="")
print(f"step / sqrt(12) = {predicted:.1e}; {np.mean(features == 0):.0%} of the features are 0")
for name, values in errors.items():
    print(f"{name}: least error at {shares[int(np.argmin(values))]:.1f} of the largest feature")

# %% [markdown]
# ReLU makes features of 0, and these are met exactly by a level. The formula does not know that: it
# supposes that all remainders are equally frequent.
#
# ### The first mistake: the curves too
#
# If all of Zero-DCE is quantised, so are its *curves*, and the photo itself passes through 256
# levels again and again. Move the sliders: how many bits do the maps need, how many the curves? On
# the left is the wall in float, on the right with as many bits as you choose.


# %%
def curves_with_bits(low, maps, bits):
    """Apply the curves by maps (H, W, 24), with every value in between rounded to so many bits."""
    x = round_to_levels(low, 0, 1, bits)
    for r in np.split(maps, maps.shape[-1] // 3, axis=-1):
        x = round_to_levels(x + r * (x * x - x), 0, 1, bits)
    return x.astype(np.float32)


# %%
def enlarged_maps(enhancer, photo):
    """Return the maps (H, W, 24) that the curves of Zero-DCE use, as large as the photo."""
    last = [layer for layer in enhancer.model.layers if isinstance(layer, nn.UpsampleBilinear)][-1]
    model = keras.Model(enhancer.model.input, last.output)
    return np.asarray(model.predict_on_batch(photo[None]))[0]


# %%
wall_maps = enlarged_maps(zero_dce, wall)
smooth = curves_with_bits(wall, wall_maps, 24)


# %%
def rounded(bits_of_maps, bits_of_curves):
    """Show the wall in float, and beside it with maps and curves in so many bits."""
    maps = round_to_levels(wall_maps, -1, 1, bits_of_maps)
    return np.concatenate([smooth, curves_with_bits(wall, maps, bits_of_curves)], axis=1)


# %%
sliders = {"bits_of_maps": (2, 12, 1, 8), "bits_of_curves": (4, 16, 1, 8)}
display.image_slider(rounded, **sliders)

# %%
display.static(rounded, **sliders)

# %% [markdown]
# Now with a real converter. LiteRT takes a network, photos to calibrate with, and writes int8:


# %%
def quantise(model, calibration, path):
    """Write a network in int8, calibrated on photos (N, H, W, 3), and load it."""
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        raise ExportError("quantising works under TensorFlow: set KERAS_BACKEND=tensorflow.")
    model.export(str(path), "tf_saved_model", verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(path))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = lambda: ([photo[None]] for photo in calibration)
    path.with_suffix(".tflite").write_bytes(converter.convert())
    return Exported(path.with_suffix(".tflite"))


# %%
def with_maps_of(network, enhancer):
    """Return an enhancer whose maps another network draws, and whose curves are its own."""
    curves = split(enhancer.model)[1]
    model = SimpleNamespace(
        predict_on_batch=lambda low: curves.predict_on_batch([low, network.predict_on_batch(low)])
    )
    return Enhancer(model, enhancer.card)


# %% [markdown]
# Once all of Zero-DCE, and once its maps alone, with the curves in float. The second is what
# `export_enhancer(..., "int8")` does.

# %%
all_of_it = attempt(lambda: quantise(zero_dce.model, dark, target_folder / "all"))
maps_only = attempt(lambda: quantise(maps_model, dark, target_folder / "maps"))
shown = {"float": zero_dce.enhance(wall)}
if all_of_it and maps_only:
    shown["all in int8"] = Enhancer(all_of_it, zero_dce.card).enhance(wall)
    shown["maps alone in int8"] = with_maps_of(maps_only, zero_dce).enhance(wall)
display.show_images(shown)

# %% [markdown]
# Green along one row of the wall; a smooth line is what it should be. (Where two lines agree, the
# later one covers the other.) All three results are float32: what was lost in between cannot be
# seen in the type of a result.

# %%
rows = {name: result[30, :180, 1] for name, result in shown.items()}
display.plot_curves(np.arange(180), rows, "column", "green, enhanced", diagonal=False)

# %% [markdown]
# Two things are measured: how high the steps are between neighbouring pixels, and how far the
# colour of the whole wall is off. PSNR mixes both.

# %%
for name, result in shown.items():
    steps = 255 * np.abs(np.diff(result, axis=1)).max()
    off = 255 * (result - shown["float"]).mean((0, 1))
    print(f"{name:18} steps up to {steps:4.1f} of 255, mean colour off by {off.round(1)}", end="")
    print("" if name == "float" else f", PSNR {psnr(result, shown['float']):.1f} dB")

# %% [markdown]
# An error in the maps moves the curve a little, and by about the same for all pixels around. That
# makes no steps, but it may make a tint. The curves themselves have no weights to shrink: in int8
# they make the file no smaller, and cost the smoothness of the photo.
#
# Where there is a tint, is it due to the wall, which is not like the photos of the calibration?
# That brings us to
#
# ### The second mistake: calibration on other photos
#
# These networks reduce their photo first. Of a crop of 120×120 pixels their convolutions see 5×5
# cells, most of them at the padded border, and the ranges that are found are not those of a photo.
# Zero-DCE++, calibrated on crops and on whole photos:


# %%
def int8_maps(enhancer, calibration, path):
    """Quantise the maps of Zero-DCE or Zero-DCE++ with a calibration, and return the enhancer."""
    return with_maps_of(quantise(split(enhancer.model)[0], calibration, path), enhancer)


# %%
crops = dark[:, 120:240, 240:360]
choices = {"dark crops": crops, "whole dark photos": dark}
quantised = {}
for name, used in choices.items():
    path = target_folder / name.replace(" ", "_")
    done = attempt(lambda used=used, path=path: int8_maps(fast, used, path))
    if done:
        quantised[name] = done

# %% [markdown]
# Both run without complaint. Their differences from float, 10 times amplified around grey, and the
# PSNR of the results:

# %%
in_float = fast.enhance(low)
calibrated = {name: enhancer.enhance(low) for name, enhancer in quantised.items()}
pictures = {"float": in_float}
for name, result in calibrated.items():
    pictures[f"{name}: difference"] = np.clip(0.5 + 10 * (result - in_float), 0, 1)
    print(f"calibrated on {name}: {psnr(result, in_float):.1f} dB against float")
display.show_images(pictures)

# %% [markdown]
# No error is raised whatever the photos are: only a comparison tells. This is why `export_enhancer`
# measures before it keeps a file, and refuses.
#
# ## How quick is it?
#
# ### The start, and the photos after it
#
# Whoever brightens one photo waits for the program to start; among a thousand photos the start is
# soon forgotten. So the two are measured apart. The first call of a network is not like the others
# either: memory is taken, and code may be made for this size. It counts as part of the start.
#
# Each runtime gets a process of its own, so that its start and its memory are its own, and no
# threads of another one are about. The program imports what it needs, loads the network, enhances
# one photo, and then measures the network alone.

# %%
PROGRAM = """
import json, sys, time
begin = time.perf_counter()
import numpy as np
from lle_utils.enhancers import Exported, load_enhancer
path, name, exact, sizes = *sys.argv[1:3], *map(json.loads, sys.argv[3:])
network = Exported(path, exact) if path else load_enhancer(name).model
photo, small = np.full((1, 384, 576, 3), 0.1, "float32"), np.full((192, 192, 3), 0.1, "float32")
network.predict_on_batch(photo)
told = {"start": time.perf_counter() - begin}
from lle_utils.benchmarks.speed import timed
told["runs"] = timed(lambda: network.predict_on_batch(photo))["runs"]
stacks = [np.stack([small] * size) for size in sizes]
told["batches"] = [min(timed(lambda: network.predict_on_batch(s))["runs"]) for s in stacks]
print(json.dumps(told))
"""

# %% [markdown]
# Of several runs the quickest counts, because what else the machine does makes runs slower. How
# much else that is, its *load* says: how many programs ran or waited for a core in the last minute,
# on average.

# %%
here, times = core.machine(), {}
for name in runtimes:
    words = facts[name]["path"], exported, json.dumps(name != "openvino-fast"), json.dumps(batches)
    printed, peak = speed.run_python("-c", PROGRAM, *words)
    times[name] = json.loads(printed) | {"memory": peak}
    times[name]["each"] = min(times[name]["runs"])
print(f"{here['cores']} cores, load before {here['load_before']:.1f}")

# %% [markdown]
# The record holds the times together with the accuracy: the PSNR of the enhanced photos of three
# pairs against the well-lit ones, which a good export leaves as it is.

# %%
pairs, records = data.load(source, "val", seed)[:3], []
for name, runtime in runtimes.items():
    record = evaluation.evaluate(name, runtime.enhance, pairs, ("psnr",), data=f"{source}, val")
    told = {key: facts[name][key] for key in ("difference", "bytes")}
    records.append(record | {"parity": told, "times": times[name], "machine": here})
evaluation.save_records("15_runtimes", records, folder).name

# %% [markdown]
# *Start* is the time to the first result, *a photo* that of a later one, *memory* the most that the
# process held, and *largest difference* that of any value from what Keras gives:

# %%
head = "runtime, start (s), memory (MB), a photo (ms), file (MB), largest difference (of 255)"
rows = []
for record in records:
    name, taken, told = record["method"], record["times"], record["parity"]
    row = [name, f"{taken['start']:.2f}", f"{taken['memory'] / 1e6:.0f}"]
    row += [f"{1000 * taken['each']:.1f}", f"{told['bytes'] / 1e6:.2f}"]
    row += [f"{255 * told['difference']:.1g}", f"{record['summary']['psnr']['mean']:.2f}"]
    rows.append(row)
Markdown(core.markdown_table([*head.split(", "), "PSNR (dB)"], rows))

# %% [markdown]
# Which is the quickest, which starts first, and by how much?

# %%
each = {name: taken["each"] for name, taken in times.items()}
starts = {name: taken["start"] for name, taken in times.items()}
quickest, first = min(each, key=each.get), min(starts, key=starts.get)
print(
    f"A photo: {quickest} is quickest, keras takes {each['keras'] / each[quickest]:.1f} times ",
    end="",
)
print(
    f"as long. The start: {first}, keras takes {starts['keras'] / starts[first]:.0f} times as long."
)
alike = [name for name in each if 255 * facts[name]["difference"] < 0.5]
print("Off by less than half a level:", ", ".join(alike))

# %%
costs = {name: (starts[name], 1 / each[name]) for name in each}
labels = "seconds from the start to the first photo", "photos per second after that"
display.cost_chart(costs, *labels)

# %% [markdown]
# Float exports compute the same but for rounding; bfloat16 and int8 round more, and the table says
# how far that goes (on a processor without bfloat16, `openvino-fast` may not differ). To start,
# Keras loads its whole backend, training included, and a SavedModel needs TensorFlow too. The chart
# shows both costs at once: good is what lies to the left and at the top.
#
# Which runtime is quickest depends on network, size of the photo, processor, and on what else the
# processor does: threads that share the work of one photo wait for the one that is interrupted.
# Measure yours, where it will run.
#
# ### When has it paid?
#
# With $s$ seconds for the start and $t$ for each later photo, $n$ photos take $s + (n - 1)\,t$. A
# longer start with a shorter $t$ has paid after some photos. Where the network must first be
# converted for a runtime, that has to be paid for, too.


# %%
def seconds_for(photos, start, each):
    """Return the seconds for a number of photos, the first of which counts to the start."""
    return start + (photos - 1) * each


# %%
def wins(one, other):
    """Say for how many photos ``other`` takes less time than ``one``, each a (start, each)."""
    later, gained = other[0] - one[0], one[1] - other[1]
    if later < 0 <= gained:
        return "always"
    if gained == 0 or gained < 0 <= later:
        return "never"
    meet = 1 + later / gained  # where both take the same
    return f"from {np.floor(meet) + 1:.0f} on" if gained > 0 else f"up to {np.ceil(meet) - 1:.0f}"


# %% [markdown]
# First without the conversion, as if every file were there already:

# %%
rows = []
for photos in (1, 10, 100, 1000):
    taken = {name: seconds_for(photos, starts[name], each[name]) for name in each}
    rows.append([photos, *(f"{s:.1f}" for s in taken.values()), min(taken, key=taken.get)])
Markdown(core.markdown_table(["photos: seconds", *each, "quickest"], rows))

# %% [markdown]
# And with the conversion of this run, against Keras, which needs none:

# %%
for name, told in written.items():
    bought = starts[name] + told["seconds"], each[name]
    when = wins((starts["keras"], each["keras"]), bought)
    print(f"{name:12} {told['seconds']:4.1f} s to convert; with that, quicker than keras: {when}")

# %% [markdown]
# Where the file of an export is made once and used often, its conversion hardly counts. In a
# command that may be called for any network it would: so the files of shipped networks lie beside
# them, converted already, and `lle enhance` converts nothing.
#
# ### Batches
#
# Networks take several photos at once. A graphics card has thousands of units to keep busy, and a
# small photo may be too little work for them. The few cores of a processor are sooner busy with one
# photo, and may gain nothing. For photos of 192×192, photos per second as a multiple of what one at
# a time makes (1 is no gain):

# %%
per_second = {name: np.array(batches) / np.array(taken["batches"]) for name, taken in times.items()}
gains = {name: rates / rates[0] for name, rates in per_second.items()}
labels = "photos in a batch", "photos per second, as a multiple"
display.plot_curves(np.array(batches), gains, *labels, diagonal=False)

# %%
for name, rates in per_second.items():
    best = int(np.argmax(rates))
    print(f"{name:14} most with {batches[best]} at once: {rates[best]:.0f} photos per second")
per_pixel = nn.bytes_per_pixel(network.model, network.size_divisor)
held = [f"{per_pixel * size * low[..., 0].size / 1e6:.0f}" for size in batches]
print(f"features of {low.shape[1]}×{low.shape[0]} photos take {', '.join(held)} MB")

# %% [markdown]
# A batch needs photos of one size, its memory grows with it, and the first photo waits for the
# last: where it raises *throughput*, it does so at the cost of *latency*. A page that answers one
# visitor at a time has nothing to put into a batch; a folder has, if its photos are alike.
#
# ### Threads
#
# One photo can be computed by several cores, but not all of it: some part has to be done by one.
# With a share $p$ that is not divided, $n$ threads take (Amdahl)
#
# $$T_n = T_1 \left(p + \frac{1 - p}{n}\right), \qquad p = \frac{n\,T_n / T_1 - 1}{n - 1}.$$


# %%
def session(path, threads):
    """Open an ONNX file in ONNX Runtime, with so many threads for one photo."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    opened = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return lambda photo: opened.run(None, {"low": photo[None]})[0][0]


# %%
def undivided(single, several, threads):
    """Return the share p of the work that more threads do not make quicker, of Amdahl's law."""
    return (threads * several / single - 1) / (threads - 1)


# %%
cores = core.usable_cores()
counts = [n for n in (1, 2, 4, 8, 16, 32) if n <= cores]
by_threads = {}
if "onnx" in written:
    sessions = {n: session(written["onnx"]["path"], n) for n in counts}
    by_threads = {n: min(speed.timed(lambda n=n: sessions[n](low))["runs"]) for n in counts}
for n, seconds in by_threads.items():
    share = "" if n == 1 else f", undivided share {undivided(by_threads[1], seconds, n):.0%}"
    print(f"threads {n:2}: {1000 * seconds:5.0f} ms{share}")

# %% [markdown]
# (A share below 0 or above 100 % lies outside the law: then other work on the machine, or threads
# that wait for each other, decided.)
#
# The cores can also work on a photo each, with one thread for each photo. That divides all of the
# work, but makes no single photo quicker.


# %%
def rate(run, photos, workers):
    """Return photos per second when so many workers take from the photos at once."""
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(run, photos))
    return len(photos) / (time.perf_counter() - start)


# %%
if by_threads:
    for threads, workers in ((cores, 1), (1, cores)):
        run, photos = session(written["onnx"]["path"], threads), [low] * 4 * cores
        most = max(rate(run, photos, workers) for _ in range(3))
        print(f"photos at a time {workers}, threads for each {threads}: {most:.0f} per second")

# %% [markdown]
# ### The whole command
#
# A folder of photos is more than a network: decoding and encoding overlap with it, as `09_deploy`
# shows. The record `throughput` holds what `lle enhance` makes of a folder in each runtime, start
# included, against a plain loop that calls `predict` for each photo:

# %%
record_file = core.data_dir() / "results" / "throughput.json"
record = json.loads(record_file.read_text(encoding="utf-8")) if record_file.is_file() else None
Markdown(cli_throughput.report(record) if record else "There is no record.")

# %%
for case in record["cases"] if record else ():
    seconds, name = case["seconds"], enhancers.quickest(case)
    print(f"{case['method']:12} takes {name}: ", end="")
    print(f"{seconds['keras'] / seconds[name]:.1f} times as fast as keras on that machine")

# %% [markdown]
# Files must be read and written whatever the runtime, so the network's share of the time bounds
# what a quicker runtime can bring to the command: Amdahl's law again.
#
# `lle enhance` runs shipped networks in ONNX Runtime, from the files that `lle export --beside`
# wrote beside the Keras ones. It takes OpenVINO if that is installed, was measured to be quicker
# still with results that differ by no more than rounding, and there are photos enough to pay for
# its set-up:
#
# ```console
# lle enhance holiday/ -o bright/ --method mirnet --runtime openvino
# lle export zero_dce --to onnx -o exported/
# ```
#
# ## Where it fails
#
# **Parity on some photos is no proof for all.** int8 was calibrated on dark photos, and compared on
# dark photos. What of others, such as a photo that has light enough?

# %%
noise = np.random.default_rng(seed).random(low.shape, np.float32)
others = {"dark photo": low, "well-lit photo": normal, "wall": wall, "noise": noise}
inexact = [name for name in ("int8", "openvino-fast") if name in runtimes]
rows = []
for name in inexact:
    against = [psnr(runtimes[name].enhance(p), network.enhance(p)) for p in others.values()]
    rows.append([name, *(f"{value:.1f}" for value in against)])
    worst = [*others][int(np.argmin(against))]
    print(f"{name}: worst on {worst}, {max(against) - min(against):.0f} dB below the best")
Markdown(core.markdown_table(["PSNR against Keras (dB)", *others], rows))

# %% [markdown]
# **Not every network can be exported**, and not to everything. `export_enhancer` says why:

# %%
for name, target in (("mirnet", "int8"), ("raw_unet", "onnx")):
    attempt(lambda name=name, to=target: export_enhancer(load_enhancer(name), to, target_folder))

# %% [markdown]
# **Times are of this machine, and of this moment.** The slowest of a few runs, as a multiple of the
# quickest. A runtime is listed as not clearly slower if its quickest run beats the slowest run of
# the quickest runtime:

# %%
spread = {name: max(taken["runs"]) / taken["each"] for name, taken in times.items()}
print(", ".join(f"{name} {value:.2f}" for name, value in spread.items()))
unsure = [n for n in each if n != quickest and each[n] < max(times[quickest]["runs"])]
print("Not clearly slower than", quickest + ":", ", ".join(unsure) or "none")

# %% [markdown]
# Where the spread is as large as the lead, there is no lead. Close what else is at work, and
# measure again.
#
# **One at a time.** An `Exported` of OpenVINO must not be called by two threads at once; give each
# thread its own.
#
# ## Exercises
#
# **1.** Calibrate Zero-DCE++ on whole *well-lit* photos. How many dB against float?
#
# <details><summary>Solution</summary>The next cell. What is calibrated on must be like what the
# network will see, in brightness too.</details>

# %% tags=["solution"]
lit = core.to_float(album.normal)
wrong = attempt(lambda: int8_maps(fast, lit, target_folder / "lit"))
if wrong:
    calibrated["whole well-lit photos"] = wrong.enhance(low)
for name, result in calibrated.items():
    print(f"{name}: {psnr(result, in_float):.1f} dB against float")

# %% [markdown]
# **2.** bfloat16 is the first half of a float32: sign, exponent, and 8 significant bits. Cut the
# weights of Zero-DCE to it, and to float16. How far do the maps move?
#
# <details><summary>Solution</summary>Set the last 16 of 32 bits to zero. float16 keeps 11 bits, but
# has a smaller range, which these weights do not need.</details>


# %% tags=["solution"]
def to_bfloat16(x):
    """Cut float32 values to what bfloat16 keeps."""
    return (x.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


kinds = {"bfloat16": to_bfloat16, "float16": lambda x: x.astype(np.float16).astype(np.float32)}
for name, cut in kinds.items():
    moved = draw_maps(cells, [[cut(numbers) for numbers in layer] for layer in layers]) - ours
    print(f"{name:9} largest change of the maps {np.abs(moved).max():.1e}")

# %% [markdown]
# **3.** What does `model.predict` cost, called for each photo, against `predict_on_batch`? Use a
# small photo.
#
# <details><summary>Solution</summary>`predict` sets up a loop over a data set, with callbacks, at
# every call, even if there is but one photo to loop over.</details>

# %% tags=["solution"]
small = low[:192, :192]
calls = {
    "predict": lambda: network.model.predict(small[None], verbose=0),
    "predict_on_batch": lambda: network.model.predict_on_batch(small[None]),
}
cost = {name: 1000 * min(speed.timed(call)["runs"]) for name, call in calls.items()}
print(", ".join(f"{name} {milliseconds:.1f} ms" for name, milliseconds in cost.items()))

# %% [markdown]
# ## What was learnt
#
# - An export is a list of operations and numbers. It is finished when it has been compared with the
#   original, on photos of more than one size.
# - int8 needs ranges from photos like those that the network will see; leave the curves in float.
# - Measure the start, the first call and the later ones apart. Which runtime is best depends on how
#   many photos there are.
# - A batch trades latency for throughput, threads for one photo the other way round.
#
# Next, `10_raw` goes back to where a photo comes from: the sensor.

# %%
print(core.versions())
