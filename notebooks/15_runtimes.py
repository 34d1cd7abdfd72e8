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
# # Runtimes: the same network elsewhere, and the proof that it is the same
#
# You will take trained enhancers to other runtimes, prove that the export does the same, make it
# smaller with int8 and find out what that breaks.

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
    package = f"{project}[photos]"  # camera raw and HEIC too
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)
    os.chdir(f"{project}/notebooks")

# %% [markdown]
# ## What you will learn
#
# - how to export a network, prove that the export does the same, and what int8 breaks.
#
# You should have read `03_zero_dce` and `09_deploy`. Everything here is measured while the
# notebook runs, about a minute on two processor cores; nothing is trained or downloaded.
#
# **References.** Jacob et al., *Quantization and Training of Neural Networks for Efficient
# Integer-Arithmetic-Only Inference*, CVPR 2018.

# %%
import logging
import time
from types import SimpleNamespace

import keras
import numpy as np
from IPython.display import Markdown

from lle_utils import core, data, display, evaluation
from lle_utils.benchmarks import speed
from lle_utils.enhancers import (
    EXPORT_TARGETS,
    Enhancer,
    Exported,
    ExportError,
    export_enhancer,
    load_enhancer,
    parity,
)
from lle_utils.metrics import psnr
from lle_utils.notebook_tools import definitions

logging.getLogger("tensorflow").setLevel("ERROR")  # converters report each file they write

# %% [markdown]
# The next cell holds everything there is to set.

# %% tags=["parameters"]
profile = ""  # "colab", or another of notebooks/profiles; what you change below wins
source = "synthetic"  # or pairs to measure the accuracy of exports on, see `data.load`
exported = "zero_dce"  # the enhancer that is exported; one with the single input low
seed = 0
output_dir = ""  # where results go; empty: runs/15_runtimes in the project

# %% tags=["profile"]
from lle_utils.notebook_tools import start

start("15_runtimes", globals())

# %%
folder = core.run_folder("15_runtimes", output_dir)
loaded = {name: load_enhancer(name) for name in ("zero_dce", "zero_dce_pp", exported)}
fast = loaded["zero_dce_pp"]
camera = data.Camera(exposure=0.08, illumination=0.4, photons=4000, read_noise=0.002)
normal = data.synthetic_pairs(1, (384, 576), seed, ("stereo_motorcycle",)).normal[0]
low = data.darken(core.to_float(normal), seed, camera)
lamp = data.illumination_map((240, 360), 0.15, seed)[..., None]
wall = np.float32(lamp * [0.8, 0.7, 0.55])
walls = {"16 bits": definitions("09_deploy").shoot(wall, 0.012, np.uint16)}
position = np.arange(360)

# %% [markdown]
# ## Other runtimes
#
# Keras is made for building and training. Programs that only *use* a network can do without: ONNX
# Runtime, OpenVINO and LiteRT are smaller, and often quicker. `export_enhancer` writes an enhancer
# for one of them and then compares it with Keras on photos. **Parity** is part of the export: a
# float export that differs by more than 1e-4, or an int8 export that costs more than 0.1 dB of
# PSNR, is not written.


# %%
def attempt(work):
    """Do what needs more than the package; where it cannot be done, say why."""
    try:
        return work()
    except (ImportError, ExportError) as error:
        print(f"Not here: {error}")


target_folder = folder / "exported" / time.strftime("%Y%m%d-%H%M%S")  # nothing is overwritten
written = {}
for target in EXPORT_TARGETS:
    done = attempt(lambda target=target: export_enhancer(loaded[exported], target, target_folder))
    if done:
        written[target] = done
        print(f"{target:12} largest difference {done[1]['difference']:.1e}")

# %% [markdown]
# Exports answer like a Keras model, so they take its place in an `Enhancer`, which pads and cuts.
# OpenVINO can also compute in the precision that the processor is quickest in, which is bfloat16,
# with 8 significant bits, where there are instructions for it. We measure all on the same pairs and
# keep the record.

# %%
network = loaded[exported]
runtimes = {"keras": network}
runtimes |= {t: Enhancer(Exported(path), network.card) for t, (path, _) in written.items()}
if "openvino" in written:
    path, measured = written["openvino"]
    quick = Exported(path, exact=False)
    runtimes["openvino-fast"] = Enhancer(quick, network.card)
    measured = parity(network, quick) | {"bytes": measured["bytes"]}
    written["openvino-fast"] = path, measured
pairs = data.load(source, "val", seed)[:3]
timed_on = low[:256, :384]
keras_file = core.data_dir() / "pretrained" / exported / "model.keras"
same = {"psnr": 200.0, "difference": 0.0, "bytes": keras_file.stat().st_size}
records = []
for name, runtime in runtimes.items():
    record = evaluation.evaluate(name, runtime.enhance, pairs, ("psnr",), data=f"{source}, val")
    taken = speed.timed(lambda r=runtime: r.enhance(timed_on))
    record |= {"milliseconds": 1000 * taken["median"]}
    record["parity"] = written[name][1] if name in written else same
    records.append(record)
evaluation.save_records("09_deploy", records, folder).name

# %%
lines = ["| runtime | ms | MB | against Keras (dB) | largest difference | against normal (dB) |"]
lines += ["|---" + "|---:" * 5 + "|"]
for record in records:
    against, reached = record["parity"], record["summary"]["psnr"]["mean"]
    cells = f"{record['milliseconds']:.0f} | {against['bytes'] / 1e6:.2f} | {against['psnr']:.1f}"
    lines.append(f"| {record['method']} | {cells} | {against['difference']:.1e} | {reached:.2f} |")
Markdown("\n".join(lines))

# %% [markdown]
# (200 dB stands for *the same to the last bit*.) Accuracy against latency, then against size:

# %%
points = {r["method"]: (r["milliseconds"], r["parity"]["psnr"]) for r in records}
display.cost_chart(points, "milliseconds for 384×256 pixels", "PSNR against Keras (dB)")

# %%
points = {r["method"]: (r["parity"]["bytes"] / 1e6, r["parity"]["psnr"]) for r in records}
display.cost_chart(points, "MB", "PSNR against Keras (dB)")

# %% [markdown]
# Which one is quickest depends on processor and network, so measure yours. Float exports are
# the same network in another coat; bfloat16 may be off by a level or two of 255 (on a processor
# without it nothing changes). int8 is another matter.
#
# ### int8, and what is wrong with it
#
# int8 stores weights and features as one of 256 levels each. Which range the levels must cover is
# found by running photos through the network: **calibration**. Two things go wrong easily. The
# first: if all of Zero-DCE is quantised, so are the *curves*, and the photo itself passes through
# 256 levels again and again.


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


def split(model):
    """Return the two parts of Zero-DCE: photo -> maps, and photo and maps -> result."""
    drawn = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][-1].output
    return keras.Model(model.input, drawn), keras.Model([model.input, drawn], model.output)


def with_maps_of(network, enhancer):
    """Return an enhancer whose maps another network draws, and whose curves are its own."""
    curves = split(enhancer.model)[1]
    model = SimpleNamespace(
        predict_on_batch=lambda low: curves.predict_on_batch([low, network.predict_on_batch(low)])
    )
    return Enhancer(model, enhancer.card)


# %%
zero_dce = loaded["zero_dce"]
dark = core.to_float(data.synthetic_pairs(8, (384, 600), seed, data.TRAIN_SCENES).low)
all_of_it = attempt(lambda: quantise(zero_dce.model, dark, target_folder / "all"))
maps_only = attempt(lambda: quantise(split(zero_dce.model)[0], dark, target_folder / "maps"))

# %%
smooth = core.to_float(walls["16 bits"])
shown = {"float": zero_dce.enhance(smooth)}
if all_of_it and maps_only:
    shown["all in int8"] = Enhancer(all_of_it, zero_dce.card).enhance(smooth)
    shown["maps alone in int8"] = with_maps_of(maps_only, zero_dce).enhance(smooth)
for name, result in shown.items():
    same = "" if name == "float" else f", {psnr(result, shown['float']):.1f} dB against float"
    print(f"{name:18} {len(np.unique(result[..., 1])):5} levels of green{same}")
display.show_images(shown)

# %%
rows = {name: result[30, :180, 1] for name, result in shown.items()}
display.plot_curves(position[:180], rows, "column", "green, enhanced", diagonal=False)

# %% [markdown]
# Quantised as a whole, the wall has bands although it came in 16 bits. With the maps alone in int8
# and the curves in float, which is what `export_enhancer(..., "int8")` does, they are gone: an
# error in the map moves the curve a little, and the same for all pixels around.
#
# The second mistake is **calibration on the wrong photos**. These networks reduce their photo
# first: of a crop their convolutions see a few cells, most of them at the padded border, and learn
# ranges that no photo has.


# %%
def int8_maps(name, calibration):
    """Quantise the maps of Zero-DCE++ with a calibration, and return the enhancer."""
    network = quantise(split(fast.model)[0], calibration, target_folder / name)
    return with_maps_of(network, fast)


choices = {"dark crops": dark[:, 120:240, 240:360], "whole dark photos": dark}
quantised = {"float": fast}
for name, used in choices.items():
    quantised[name] = attempt(lambda name=name, used=used: int8_maps(name.replace(" ", "_"), used))
quantised = {name: enhancer for name, enhancer in quantised.items() if enhancer}

# %%
calibrated = {name: enhancer.enhance(low) for name, enhancer in quantised.items()}
for name, result in list(calibrated.items())[1:]:
    print(f"calibrated on {name}: {psnr(result, calibrated['float']):.1f} dB against float")
display.show_images(calibrated)

# %% [markdown]
# The first export runs, is small and quick, and draws another picture. Nothing but a comparison
# on real photos tells; this is why `export_enhancer` measures before it writes, and refuses.
#
# ## Where it fails
#
# **Parity on some photos** is no proof for all: int8 was calibrated on the same kind of photos
# that it is compared on.
#
# ## Exercises
#
# **1.** Calibrate Zero-DCE++ on whole *well-lit* photos. How many dB against float?
#
# <details><summary>Solution</summary>The ranges of well-lit photos do not fit dark ones.
# Calibrate on what the network will see.</details>

# %% tags=["solution"]
lit = core.to_float(data.synthetic_pairs(8, (384, 600), seed, data.TRAIN_SCENES).normal)
wrong = attempt(lambda: int8_maps("lit", lit))
for name, enhancer in {**quantised, "whole well-lit photos": wrong}.items():
    if enhancer and name != "float":
        print(f"{name}: {psnr(enhancer.enhance(low), calibrated['float']):.1f} dB against float")

# %% [markdown]
# ## What was learnt
#
# - An export is finished when it was compared with the original on photos. Calibrate on what the
#   network will see, and leave the curves in float.

# %%
print(core.versions())
