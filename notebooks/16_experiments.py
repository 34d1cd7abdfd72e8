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
# # Experiments: what many trainings say that one cannot
#
# You will train small networks hundreds of times, tell what is chance from what is not, search for
# settings, catch a search at fooling itself, and try the usual advice: augmentation, large
# batches, pruning, fewer bits.

# %% [markdown] tags=["badges"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/low-light-notebooks/blob/main/notebooks/16_experiments.ipynb)

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
# - how far a result moves by chance, with the seed and with the photos, and how large a difference
#   must be for a test to find it;
# - how to search settings: on a grid, by chance, and with a model that learns from what was tried;
# - why the winner of a search is never as good as its score;
# - what augmentation, and gradients added up over small batches, do and do not;
# - what pruning and rounding of weights save, and why zeros alone make nothing faster.
#
# You should have read `02_metrics` and `03_zero_dce`. With the synthetic sample the notebook takes
# one to two minutes on two processor cores.
#
# **References.** Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993; Bergstra and
# Bengio, *Random Search for Hyper-Parameter Optimization*, JMLR 2012; Bergstra et al., *Algorithms
# for Hyper-Parameter Optimization*, NeurIPS 2011 (TPE); Cawley and Talbot, *On Over-fitting in
# Model Selection*, JMLR 2010; Zhu and Gupta, *To Prune, or Not to Prune*, 2017, arXiv 1710.01878
# (equation 1); Jacob et al., *Quantization and Training of Neural Networks for Efficient
# Integer-Arithmetic-Only Inference*, CVPR 2018, arXiv 1712.05877.

# %%
import itertools
import json
import time
import zlib
from typing import NamedTuple

import keras
import numpy as np
import optuna
from IPython.display import Markdown
from keras import layers, ops
from scipy import sparse, stats

from lle_utils import core, data, display, enhancers, evaluation, nn, training
from lle_utils.core import expose, exposure_gain
from lle_utils.experiments import read_experiment
from lle_utils.metrics import psnr
from lle_utils.notebook_tools import definitions, notebook_folder


# %%
def zero_dce():
    """Return what `03_zero_dce` defines: its network and its training step."""
    return definitions("03_zero_dce")


# %% [markdown]
# The next cell holds everything there is to set. Everything is small here, so that hundreds of
# trainings fit into a minute or two; `profiles/cpu.yml` is for LOL.

# %% tags=["parameters"]
profile = ""  # "colab", or another of notebooks/profiles; what you change below wins
source = "synthetic"  # or pairs: a folder, a pack, "lol", see `data.load`
count = 80  # synthetic pairs, of five scenes in turn
downsampling = 4  # trainings of Zero-DCE see the photos reduced by this
folds = 5
seeds = [0, 1, 2]
epochs = 4  # of a training of Zero-DCE, each followed by a look at photos
steps = 6  # training steps per epoch
smoothness_pair = [10.0, 300.0]  # the two settings that are compared
levels = 3  # values of each setting in the grid
searches = 1  # how often random search and TPE are repeated, with other seeds
trials = 0  # of a search; 0: as many as the grid has steps for
restoring_steps = 40  # of each training that restores
few = 6  # photos to train on, where augmentation has to help
seed = 0
deterministic = False  # bit-identical repeats, at some cost in speed
output_dir = ""  # where results go; empty: runs/16_experiments in the project

# %% tags=["profile"]
from lle_utils.notebook_tools import start

start("16_experiments", globals())

# %% [markdown]
# ## One small training
#
# Everything here asks for many trainings, so one must be quick. Zero-DCE++ of `03_zero_dce`, which
# needs no well-lit photo, draws its curves from a photo that is reduced by 24. We reduce the photos
# by 4 once and for all, and the network does the rest.

# %%
core.set_seed(seed, deterministic)  # determinism has to be asked for before anything is computed
folder = core.run_folder("16_experiments", output_dir)
SCALE = 6  # what is left of the reduction by 24
CROP = 48


# %%
class Photos(NamedTuple):
    """Small photos (N, H, W, 3), float in [0, 1], and the scene of each."""

    low: np.ndarray
    normal: np.ndarray
    scenes: np.ndarray


# %% [markdown]
# All pairs of the source are taken together; how to divide them is what the next section is about.


# %%
def all_pairs(source, count, seed):
    """Return the low photos, the normal ones and the scenes of a source, all splits together."""
    if source == "synthetic":
        found = data.synthetic_pairs(count, (192, 192), seed)
        return found.low, found.normal, np.array(found.scenes)
    sets = [data.load(f"{source}@1/3", split, seed) for split in ("train", "val", "test")]
    rows = [(*pair[1:], part.scenes[pair[0]]) for part in sets for pair in part]
    low, normal, scenes = zip(*rows, strict=True)
    return low, normal, np.array(scenes)


# %%
def thumbnails(photos, factor, divisor):
    """Reduce photos (uint8) by a factor, to the largest common size that the divisor divides."""
    small = [zero_dce().reduce(photo, factor) for photo in photos]
    shapes = [photo.shape[:2] for photo in small]
    height, width = (min(sides) // divisor * divisor for sides in zip(*shapes, strict=True))
    return np.stack([photo[:height, :width] for photo in small])


# %%
lows, normals, scenes = all_pairs(source, count, seed)
small = (thumbnails(side, downsampling, SCALE) for side in (lows, normals))
photos = Photos(*small, scenes)
print(f"{len(scenes)} pairs of {len(set(scenes))} scenes, {photos.low.shape[1:]}")
display.show_images({f"{photos.scenes[i]}, low": photos.low[i] for i in range(3)})

# %% [markdown]
# Three numbers shall be varied: the brightness to aim for, the weight of the smoothness and the
# learning rate. As plain numbers they would become part of the compiled step, and each setting
# would have to be compiled anew, which takes longer than the training. As *variables* they can
# change.


# %%
class Adjustable(zero_dce().ZeroReference):
    """Train Zero-DCE with an exposure target and a smoothness that are variables."""

    def __init__(self, network):
        settings = {name: keras.Variable(1.0, trainable=False) for name in ("target", "smoothness")}
        weights = [1.0, 10.0, 5.0, settings["smoothness"]]
        super().__init__(network, weights, settings["target"], "official")
        self.settings = settings

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Add up the four terms of `03_zero_dce`; the exposure has a variable for a target."""
        enhanced, maps = y_pred
        patches = ops.average_pool(ops.mean(enhanced, -1, keepdims=True), 16)
        return self.add_up(
            nn.spatial_consistency_loss(enhanced, x, self.variant),
            ops.mean(ops.square(patches - self.target)),
            nn.color_constancy_loss(enhanced, self.variant),
            nn.illumination_smoothness_loss(maps, self.variant),
        )


# %%
trainer = Adjustable(zero_dce().dce_net_pp(SCALE))
trainer.compile(keras.optimizers.Adam(global_clipnorm=0.1), **core.compile_options())
trainer.build((None, CROP, CROP, 3))
trainer.optimizer.build(trainer.trainable_variables)

# %% [markdown]
# Before each training everything goes back to the start: the weights to those of the seed, the
# optimizer to having seen nothing. What is forgotten here, one training hands on to the next.


# %%
def start_again(trainer, network, weights):
    """Give a network its first weights back, and its trainer an optimizer that has seen nothing."""
    network.set_weights(weights)
    for variable in trainer.optimizer.variables:
        variable.assign(np.zeros(variable.shape))


# %%
def begin(trainer, setting, weights):
    """Put a trainer back to its start, with other settings."""
    start_again(trainer, trainer.network, weights)
    target, smoothness, _ = setting
    trainer.settings["target"].assign(target)
    trainer.settings["smoothness"].assign(smoothness)


# %%
def first_weights(seed):
    """Return the weights that a network begins with."""
    core.set_seed(seed)
    return zero_dce().dce_net_pp(SCALE).get_weights()


# %% [markdown]
# What all trainings share is a *task*. After every epoch we look: the PSNR of each photo that the
# network is judged by. `looks` is a generator, so that whoever asks for looks may stop asking. The
# learning rate falls to zero in a line: a training that ends on large steps ends anywhere.


# %%
class Task(NamedTuple):
    """What is trained on what, from which weights (by seed), and for how long."""

    trainer: Adjustable
    photos: Photos
    weights: dict
    epochs: int
    steps: int


# %%
def scores(network, photos, judged):
    """Return the PSNR of each judged photo, in dB."""
    enhanced = np.clip(network.predict_on_batch(photos.low[judged])[0], 0, 1)
    return np.array([psnr(*pair) for pair in zip(enhanced, photos.normal[judged], strict=True)])


# %%
def looks(task, setting, seed, trained, judged):
    """Train on some photos; after each epoch yield the scores of others."""
    begin(task.trainer, setting, task.weights[seed])
    stream = data.PhotoStream(task.photos.low[trained], CROP, 4, seed, steps=task.steps)
    for epoch, index in itertools.product(range(task.epochs), range(task.steps)):
        left = 1 - (epoch + index / task.steps) / task.epochs
        task.trainer.optimizer.learning_rate = setting[2] * left
        task.trainer.train_on_batch(stream.batch(epoch, index))
        if index == task.steps - 1:
            yield scores(task.trainer.network, task.photos, judged)


# %%
weights = {s: first_weights(s) for s in {*seeds, seed}}
task = Task(trainer, photos, weights, epochs, steps)
all_of_them = np.full(len(scenes), True)
plan = (task, (0.48, 100.0, 1e-2), seeds[0], all_of_them, all_of_them)
list(looks(*plan))  # the first time compiles
started = time.perf_counter()
curve = [values.mean() for values in looks(*plan)]
print(f"{time.perf_counter() - started:.2f} s for a training; PSNR after each epoch:", end=" ")
print(", ".join(f"{value:.2f}" for value in curve))

# %% [markdown]
# ## What is chance?
#
# Is Zero-DCE better with little smoothness or with much? One training of each gives an answer, and
# another seed, or other photos, may give the opposite one. So we ask in a way that shows how far
# chance reaches:
#
# - **seeds**: other first weights, other crops;
# - **folds**: the photos are dealt to five parts, each of which is tested on once by a network that
#   was trained on the rest. Every photo gives a score that way, and none was trained on. Photos of
#   one scene stay together, since who has seen three photos of a cup has seen the fourth.
#
# Nothing is chosen here, no epoch and no setting, so two parts are enough. Where the epoch is
# chosen, that needs photos of its own: `data.load("lol@2/5", ...)` keeps one fold for it.

# %%
fold_of = data.deal_folds(dict(enumerate(scenes)), folds, source)
fold_of = np.array([fold_of[i] for i in range(len(scenes))])
for fold in range(1, folds + 1):
    print(
        fold, ", ".join(sorted(set(scenes[fold_of == fold]))[:5]), (fold_of == fold).sum(), "photos"
    )


# %%
def cross_validate(task, fold_of, setting, seed):
    """Return the PSNR of each photo by a network that was trained on the other folds."""
    values = np.empty(len(fold_of))
    for fold in np.unique(fold_of):
        tested = fold_of == fold
        *_, values[tested] = looks(task, setting, seed, ~tested, tested)
    return values


# %%
compared = [(0.48, smoothness, 1e-2) for smoothness in smoothness_pair]
found = np.array([[cross_validate(task, fold_of, s, k) for k in seeds] for s in compared])
print("settings, seeds, photos:", found.shape)

# %% [markdown]
# A row for each setting: the mean of each seed, how far these means lie apart, and how far photos
# and scenes do. Compare the three: which of them moves a result farthest?


# %%
def by_scene(values, scenes):
    """Return the mean of each scene."""
    return np.array([values[..., scenes == scene].mean(-1) for scene in sorted(set(scenes))]).T


# %%
lines = ["| smoothness | " + " | ".join(f"seed {s}" for s in seeds)]
lines[0] += " | ± seeds | ± scenes | ± photos |"
lines.append("|---:|" + "---:|" * (len(seeds) + 3))
for smoothness, values in zip(smoothness_pair, found, strict=True):
    spread = values.mean(1), by_scene(values.mean(0), scenes), values.mean(0)
    cells = [*(f"{mean:.2f}" for mean in spread[0]), *(f"{np.std(s, ddof=1):.2f}" for s in spread)]
    lines.append(f"| {smoothness:g} | {' | '.join(cells)} |")
Markdown("\n".join(lines))

# %% [markdown]
# ### Pair by scene
#
# A mean of $n$ independent values is uncertain by $t \cdot s / \sqrt{n}$, with $s$ their standard
# deviation and $t$ from Student's distribution, which makes up for guessing $s$ from so few. What
# is independent is the **scene**: eighty photos of five scenes are five values, not eighty.
#
# If the scenes are taken apart for each setting, the difference has the uncertainty of both. But
# hard scenes are hard for both settings. Taken scene by scene, the difference is free of that.


# %%
def half_width(values):
    """Return half the 95 % interval of the mean of independent values."""
    return stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5


# %%
one, other = by_scene(found.mean(1), scenes)
difference = one.mean() - other.mean()
wide = float(np.hypot(half_width(one), half_width(other)))
halves = {"scenes apart": wide, "scene by scene": half_width(one - other)}
rows = [(name, difference, difference - half, difference + half) for name, half in halves.items()]
label = f"PSNR with smoothness {smoothness_pair[0]:g} − {smoothness_pair[1]:g} (dB), 95 %"
display.interval_plot(rows, label, zero=True)

# %% [markdown]
# The package's own intervals are drawn again and again from the scenes (bootstrap), and are left
# out below eight scenes: five values say too little about how values are spread. Student's $t$ pays
# for the few with a larger factor, and trusts in a bell shape instead.
#
# ### The smallest difference that can be found
#
# Before training anything one may ask: if there is a difference, will the test see it? With $n$
# scenes and four chances in five, it sees differences from
#
# $$ \delta = (t_{0.975} + t_{0.8})\; s / \sqrt{n} $$
#
# on. Whoever reports a smaller gain had luck with the scenes, or more of them.


# %%
def detectable(deviation, count, power=0.8):
    """Return the difference that a paired test over ``count`` scenes finds with some power."""
    quantiles = stats.t.ppf(0.975, count - 1) + stats.t.ppf(power, count - 1)
    return quantiles * deviation / np.sqrt(count)


# %%
numbers = np.arange(3, 61)
apart = float(np.hypot(np.std(one, ddof=1), np.std(other, ddof=1)))
paired = float(np.std(one - other, ddof=1))
curves = {"scenes apart": detectable(apart, numbers), "scene by scene": detectable(paired, numbers)}
display.plot_curves(numbers, curves, "scenes", "smallest difference found (dB)", diagonal=False)

# %%
here = len(one)
print(f"{here} scenes: {detectable(apart, here):.2f} dB apart, ", end="")
print(f"{detectable(paired, here):.2f} dB scene by scene; found were {abs(difference):.2f} dB")

# %% [markdown]
# ### An interval over scenes does not know seeds
#
# The same setting with two seeds, compared as if these were two methods. Nothing was changed, so no
# difference is worth a word. What does the interval say?

# %%
again = by_scene(found[0, 1] - found[0, 0], scenes)
half = half_width(again)
print(f"seed {seeds[1]} − seed {seeds[0]}: {again.mean():+.2f} ± {half:.2f} dB; ", end="")
print("0 is " + ("inside" if abs(again.mean()) < half else "outside, though nothing was changed"))

# %% [markdown]
# The interval is about *these two networks* on other scenes. Whether the *method* is better is
# another question, and needs more than one network of each. On LOL, MIRNet trained with three seeds
# (from records, 21 scenes; the interval is the package's bootstrap):

# %%
mirnet = evaluation.load_records("mirnet_seeds")
for name, metric in itertools.product(("seed 1", "seed 2"), ("psnr", "ssim")):
    gap = evaluation.paired_difference(mirnet[name], mirnet["seed 0"], metric)
    outside = gap["low"] > 0 or gap["high"] < 0
    told = evaluation.difference_text(mirnet[name], mirnet["seed 0"], metric)
    print(f"{name} − seed 0, {metric}: {told}", "<- without 0" if outside else "")

# %% [markdown]
# ## A search for settings
#
# Which exposure target, smoothness and learning rate are best? The training has no well-lit photos,
# the choice has: it goes by the PSNR on some scenes, *validation*. Other scenes, *test*, are looked
# at by nobody before the winner is known. Two folds are for that, the others train.

# %%
SPACE = {"target": (0.36, 0.6, 0), "smoothness": (3.0, 1000.0, 1), "rate": (2e-3, 5e-2, 1)}


# %%
class Parts(NamedTuple):
    """Which photos train, which choose the setting, and which test the one that was chosen."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


# %%
parts = Parts((fold_of > 1) & (fold_of < folds), fold_of == folds, fold_of == 1)
print(", ".join(f"{name} {part.sum()}" for name, part in parts._asdict().items()), "photos")

# %% [markdown]
# The smoothness and the rate are searched by their logarithm (the 1 in their range): from 3 to 30
# is as far as from 30 to 300. A *place* from 0 to 1 in a range stands for the value.


# %%
def value_at(place, low, high, log):
    """Return the value at a place from 0 to 1 of a range."""
    return low * (high / low) ** place if log else low + place * (high - low)


# %%
def setting_at(places):
    """Return the setting at three places."""
    return tuple(value_at(p, *ends) for p, ends in zip(places, SPACE.values(), strict=True))


# %%
print("in the middle:", ", ".join(f"{value:.3g}" for value in setting_at([0.5] * 3)))

# %% [markdown]
# What a search tries is a *trial*: its setting, and the scores on validation and on test photos
# after each epoch, as far as it came. Its cost is the number of epochs.


# %%
class Trial(NamedTuple):
    """A setting, and its scores (epochs, photos) on photos of validation and test."""

    setting: tuple
    val: np.ndarray
    test: np.ndarray


# %%
def measure(task, parts, setting, seed):
    """Train with a setting; after each epoch yield the scores on validation and on test photos."""
    judged = parts.val | parts.test
    for values in looks(task, setting, seed, parts.train, judged):
        yield values[parts.val[judged]], values[parts.test[judged]]


# %%
def run_trial(task, parts, setting, seed):
    """Train with a setting to the end."""
    return Trial(setting, *map(np.array, zip(*measure(task, parts, setting, seed), strict=True)))


# %% [markdown]
# **Grid**: some values of each, in all combinations. Easy to read; but where a setting hardly
# matters, most trials try the same again. **Random**: places by chance, so that as many values of
# each setting are tried as there are trials.

# %%
grid = list(itertools.product(np.linspace(0, 1, levels), repeat=len(SPACE)))
most = trials or len(grid)
own_seeds = range(seed, seed + searches)
started = time.perf_counter()
by_grid = [run_trial(task, parts, setting_at(places), seed) for places in grid]
by_chance = {
    s: [
        run_trial(task, parts, setting_at(p), seed)
        for p in np.random.default_rng(s).random((most, 3))
    ]
    for s in own_seeds
}
print(f"{len(grid) + searches * most} trials in {time.perf_counter() - started:.0f} s")

# %% [markdown]
# **TPE** learns from what was tried. It divides the trials into good ones and others, notes how
# densely each kind lies, and goes where the good lie dense and the others do not. Optuna, which
# `lle experiment` uses too, has it, and *pruning*: a trial that is behind half of the others after
# its second epoch, or a later one, is ended there.


# %%
def run_pruned(study, task, parts, seed):
    """Train with what a study proposes, as long as it is not behind, and tell what came of it."""
    trial, seen = study.ask(), []
    setting = setting_at([trial.suggest_float(name, 0, 1) for name in SPACE])
    for epoch, values in enumerate(measure(task, parts, setting, seed)):
        seen.append(values)
        trial.report(values[0].mean(), epoch)
        if epoch + 1 < task.epochs and trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            break
    else:
        study.tell(trial, values[0].mean())
    return Trial(setting, *map(np.array, zip(*seen, strict=True)))


# %% [markdown]
# What pruning saves pays for more trials: TPE goes on until it has trained for as many epochs as
# the others, or, where `trials` says so, made as many trials.


# %%
def new_study(seed):
    """Return a search that begins."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)
    return optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)


# %%
def search(study, task, parts, seed, budget, most):
    """Let a study propose trials until a budget of epochs, or a number of trials, is spent."""
    done = []
    while len(done) < most and sum(len(trial.val) for trial in done) < budget:
        done.append(run_pruned(study, task, parts, seed))
    return done


# %%
limits = most * epochs, trials or len(grid) * epochs
by_tpe = {s: search(new_study(s), task, parts, seed, *limits) for s in own_seeds}
first = by_tpe[seed]
ended = sum(len(trial.val) < epochs for trial in first)
print(f"{len(first)} trials of TPE, of which {ended} were ended early")

# %% [markdown]
# A line for each of its trials, gray where it was ended early. A wide bundle on an axis says that
# the setting hardly matters, a narrow one of bright lines that it does.

# %%
columns = {n: [trial.setting[i] for trial in first] for i, n in enumerate(SPACE)}
values = [t.val[-1].mean() if len(t.val) == epochs else None for t in first]
display.parallel_coordinates(columns, values, "PSNR on validation (dB)", ["smoothness", "rate"])

# %%
curves = {str(i): trial.val.mean(1) for i, trial in enumerate(first)}
display.trial_curves(curves, ylabel="PSNR on validation (dB)")

# %% [markdown]
# ### At equal cost
#
# The best score that each search has seen, against the epochs that it has trained for. For a grid
# that depends on the order, so it is the mean over many orders.


# %%
def complete(trials, epochs):
    """Return the trials that were not ended early."""
    return [trial for trial in trials if len(trial.val) == epochs]


# %%
def best_so_far(trials, epochs, length):
    """Return the best score on validation after each epoch that was paid for; NaN before any."""
    best, now = [], -np.inf
    for trial in trials:
        best += [now] * (len(trial.val) - 1)
        now = max(now, trial.val[-1].mean()) if len(trial.val) == epochs else now
        best.append(now)
    best = np.array([*best, *[now] * length][:length])
    return np.where(np.isfinite(best), best, np.nan)


# %%
length = most * epochs
rng = np.random.default_rng(seed)
orders = [[by_grid[i] for i in rng.permutation(len(by_grid))] for _ in range(100)]
runs = {"grid": orders, "random": by_chance.values(), "TPE, pruned": by_tpe.values()}
curves = {
    name: np.mean([best_so_far(run, epochs, length) for run in own], 0)
    for name, own in runs.items()
}
paid = np.arange(1, length + 1)
display.plot_curves(paid, curves, "epochs trained", "best PSNR so far (dB)", diagonal=False)

# %% [markdown]
# The winners, and what they reach on scenes that did not choose them:


# %%
def winner(trials, epochs):
    """Return the trial with the best score on validation."""
    return max(complete(trials, epochs), key=lambda trial: trial.val[-1].mean())


# %%
def summary(name, trials, epochs):
    """Return the numbers of a search: its cost, and its winner's setting and scores."""
    best, cost = winner(trials, epochs), sum(len(trial.val) for trial in trials)
    reached = {part: float(getattr(best, part)[-1].mean()) for part in ("val", "test")}
    setting = dict(zip(SPACE, map(float, best.setting), strict=True))
    return {"search": name, "trials": len(trials), "epochs": cost, **reached, **setting}


# %%
def search_table(rows):
    """Print summaries of searches."""
    lines = ["| search | trials | epochs | val (dB) | test (dB) | target | smoothness | rate |"]
    lines.append("|---|" + "---:|" * 7)
    digits = ("", "", "", ".2f", ".2f", ".3f", ".3g", ".2g")
    for row in rows:
        cells = [format(value, d) for value, d in zip(row.values(), digits, strict=False)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


# %%
made = {"grid": by_grid}
made |= {f"random, seed {s}": own for s, own in by_chance.items()}
made |= {f"TPE, seed {s}": own for s, own in by_tpe.items()}
rows = [summary(name, own, epochs) for name, own in made.items()]
Markdown(search_table(rows))


# %%
def against_grid(rows):
    """Say how near to the grid's winner each search came, and at which part of its cost."""
    exhaustive, *others = rows
    for row in others:
        behind, part = exhaustive["val"] - row["val"], row["epochs"] / exhaustive["epochs"]
        print(f"{row['search']}: {-behind:+.2f} dB against the grid on val, {part:.0%} of its cost")


# %%
against_grid(rows)

# %% [markdown]
# All trials began from the weights of one seed. So a winner may owe its score to these weights, and
# a fair judge trains its setting again, from others. Watch the distance, and the order:


# %%
def again(row, seeds):
    """Return the mean score on validation that the setting of a winner has with some seeds."""
    setting = [row[name] for name in SPACE]
    return np.mean([run_trial(task, parts, setting, s).val[-1].mean() for s in seeds])


# %%
others = [s for s in seeds if s != seed]
for row in rows:
    row["again"] = float(again(row, others))
    print(f"{row['search']}: {row['val']:.2f} dB with seed {seed}, {row['again']:.2f} with others")

# %% [markdown]
# ## A search overfits what it chooses by
#
# The winner is the best of many on validation photos. Part of that is merit, part is luck with
# these photos, and the more trials there are, the more luck the luckiest has. So its score on
# validation is a *promise* that is too high, and the more so the longer one has searched.
#
# We measure it with all trials that came to their end. Draw $n$ of them and a few validation
# photos, let these choose, and see what the winner promises there and what it keeps on test scenes,
# each as a gain over the mean of all trials.


# %%
def drawn(val, test, count, photos, rng, repeats=500):
    """Return the mean gains that winners of ``count`` trials promise on val and keep on test.

    ``val`` and ``test`` hold scores (trials, photos); ``photos`` of validation choose.
    """
    gains = []
    for _ in range(repeats):
        own = rng.choice(len(val), count, replace=False)
        seen = val[:, rng.choice(val.shape[1], photos, replace=False)].mean(1)
        best = own[seen[own].argmax()]
        gains.append([seen[best] - seen.mean(), (test[best] - test.mean(0)).mean()])
    return np.mean(gains, 0)


# %%
ended = [trial for own in made.values() for trial in complete(own, epochs)]
val = np.array([trial.val[-1] for trial in ended])
test = np.array([trial.test[-1] for trial in ended])
counts = np.unique(np.geomspace(1, len(ended), 12).astype(int))
gains = np.array([drawn(val, test, n, min(4, val.shape[1]), rng) for n in counts])
curves = {"promised on validation": gains[:, 0], "kept on test": gains[:, 1]}
display.plot_curves(counts, curves, "trials searched", "gain over the mean (dB)", diagonal=False)

# %%
promised, kept = gains[-1]
print(f"best of {len(ended)} by 4 photos: {promised:+.2f} dB promised, {kept:+.2f} dB kept")

# %% [markdown]
# What helps is more to choose by. The more photos, and above all the more *scenes*, the less is
# luck. Here all validation photos are of the same scene or few, so even all of them can mislead.

# %%
sizes = [n for n in (1, 2, 4, 8, 16, 32, 64) if n <= val.shape[1]]
by_size = np.array([drawn(val, test, len(ended) // 2, n, rng) for n in sizes])
lines = ["| validation photos | promised (dB) | kept (dB) |", "|---:|---:|---:|"]
lines += [f"| {n} | {p:+.2f} | {k:+.2f} |" for n, (p, k) in zip(sizes, by_size, strict=True)]
Markdown("\n".join(lines))

# %% [markdown]
# So the scores of a winner are measured on scenes that took no part in the choice, and where a
# search is inside of a cross-validation, it searches anew in each fold (*nested*). `lle experiment`
# refuses a search with folds for this reason: what is chosen by a fold must not be judged by it.
#
# What this run found is kept:

# %%
overfit = {
    "trials": counts.tolist(),
    "promised": gains[:, 0].tolist(),
    "kept": gains[:, 1].tolist(),
}
found_here = {"kind": "search", "data": source, "rows": rows, "overfit": overfit}
core.write_json(folder / "16_search.json", found_here | {"versions": core.versions()})

# %% [markdown]
# ### With a finer grid
#
# A record of the project: the same sample, with a grid of 5×5×5 and three searches of 30 trials
# each. The first number is what the winner has more, or less, than the grid's best on validation;
# more means that the search found something between the grid's values. Then both once more, from
# the weights of other seeds.


# %%
def recorded_search(name):
    """Return the record of a search that is kept in the project."""
    return json.loads((core.data_dir() / "results" / f"{name}.json").read_text("utf-8"))


# %%
finer = recorded_search("search_synthetic")
against_grid(finer["rows"])
Markdown(search_table(finer["rows"]))

# %%
exhaustive, *searched = finer["rows"]
for name in ("val", "again"):
    behind = [exhaustive[name] - row[name] for row in searched if "TPE" in row["search"]]
    near = sum(value < 0.1 for value in behind)
    print(f"{name:5}: TPE within 0.1 dB of the grid, or above it, {near} of {len(behind)} times")

# %% [markdown]
# ## Augmentation
#
# A square has eight symmetries. Turned and mirrored, each photo becomes eight, and all of them
# could have been taken. That is worth most where photos are few. To see it, a network trains on a
# handful, with and without.
#
# Zero-DCE has a curve to draw and can hardly learn photos by heart. So from here on the task is to
# restore, as in `12_lumen`: the dark photo is exposed to the brightness of its twin, and the
# network corrects what is left, noise and colour. A window of each photo at full resolution will
# do.


# %%
def exposed_windows(lows, normals, side):
    """Cut the middle of pairs and expose the low ones as their twins; (N, side, side, 3) each."""
    rows = []
    for pair in zip(lows, normals, strict=True):
        top, left = ((length - side) // 2 for length in pair[0].shape[:2])
        low, normal = (core.to_float(p[top : top + side, left : left + side]) for p in pair)
        lit = expose(low, exposure_gain(low, core.mean_brightness(normal)))
        rows.append((lit.astype("float32"), normal))
    return [np.stack(side) for side in zip(*rows, strict=True)]


# %%
lit, normal = exposed_windows(lows, normals, 64)
pictures = {
    f"{kind} {i}": side[i] for i in range(2) for kind, side in (("lit", lit), ("normal", normal))
}
display.show_images(pictures, columns=4)

# %% [markdown]
# The network has the seven convolutions of `03_zero_dce`, joined as there, and adds what they draw
# to its input. Their width is an argument, and so is what makes one, since both will be varied. The
# last one starts at zero, so that training begins with the exposed photo.


# %%
def convolution(filters, activation="relu", kind=layers.Conv2D):
    """Return a 3x3 convolution; one that ends in tanh starts at zero."""
    start = "zeros" if activation == "tanh" else "he_normal"
    return kind(filters, 3, padding="same", activation=activation, kernel_initializer=start)


# %%
def restorer(width, kind=layers.Conv2D):
    """Build a network that corrects exposed photos (N, H, W, 3), with layers of some width."""
    lit = keras.Input((None, None, 3), name="lit")

    def make(filters, activation="relu"):
        return convolution(filters if activation == "tanh" else width, activation, kind)

    return keras.Model(lit, lit + zero_dce().estimate_maps(lit, make, 3), name=f"restorer_{width}")


# %%
class Windows(NamedTuple):
    """Exposed windows (N, H, W, 3), float in [0, 1], and their well-lit twins."""

    lit: np.ndarray
    normal: np.ndarray

    def stream(self, chosen, seed, steps, augment=True):
        """Return batches of eight crops from the chosen windows."""
        pairs = self.lit[chosen], self.normal[chosen]
        return data.PairStream(*pairs, 32, 8, seed, steps=steps, augment=augment)


# %%
windows = Windows(lit, normal)


# %%
def compiled(network, steps, rate=5e-3):
    """Compile a network to restore in so many steps."""
    network.compile(training.make_optimizer(rate, steps), "mae", **core.compile_options())
    network.optimizer.build(network.trainable_variables)
    return network


# %%
def teach(network, stream, after=lambda step: None):
    """Train on a stream, once through; ``after`` is called after each step."""
    for step in range(len(stream)):
        network.train_on_batch(*stream[step])
        after(step)


# %%
def restored(network, windows, judged):
    """Return the PSNR of each judged window, in dB."""
    enhanced = np.clip(network.predict_on_batch(windows.lit[judged]), 0, 1)
    return np.array([psnr(*pair) for pair in zip(enhanced, windows.normal[judged], strict=True)])


# %%
network = compiled(restorer(16), restoring_steps)
training.describe(network)
handful = np.flatnonzero(parts.train)[:few]
by_augment = {False: [], True: []}
for s in seeds:
    core.set_seed(s)
    fresh = restorer(16).get_weights()
    for augment, found_scores in by_augment.items():
        start_again(network, network, fresh)
        teach(network, windows.stream(handful, s, restoring_steps, augment))
        found_scores.append(restored(network, windows, parts.test))

# %%
off, on = (np.array(by_augment[key]) for key in (False, True))
before = np.array([psnr(*pair) for pair in zip(lit[parts.test], normal[parts.test], strict=True)])
print(f"exposed {before.mean():.2f} dB, without {off.mean():.2f}, with {on.mean():.2f}")
print("with − without, by seed:", ", ".join(f"{gain:+.2f}" for gain in (on - off).mean(1)))

# %%
by_seed = (on - off).mean(1)
sure = len(by_seed) > 1 and abs(by_seed.mean()) > half_width(by_seed)
verdict = "do not explain that" if sure else "could explain that"
print(f"with − without: {by_seed.mean():+.2f} dB on average; other seeds alone {verdict}")

# %% [markdown]
# In so short a training a network has not seen each photo often enough to know it by heart, which
# is what augmentation is against; it may even slow the beginning down, since there is more to
# learn.
#
# ## Gradients added up
#
# A large batch gives a steadier gradient, and needs memory for all its photos at once: what each
# layer put out has to be kept for the way back. The gradient of a mean over eight photos is the
# mean of the gradients over two at a time, four times. So one may *accumulate*: add gradients up,
# and move the weights after the fourth. Keras has it, `gradient_accumulation_steps`.
#
# Is it the same? Two networks from the same weights, the same photos in the same order; one gets
# them eight at a time, the other two at a time. The optimizer has a schedule and keeps an average
# (EMA), as in all longer trainings of this project.


# %%
PHOTOS = 8


# %%
def keras_alone(parts):
    """Return Keras's Adam with a schedule and an average, for batches in so many parts."""
    rate = keras.optimizers.schedules.CosineDecay(5e-3, 12)
    more = {"gradient_accumulation_steps": parts} if parts > 1 else {}
    return keras.optimizers.Adam(rate, use_ema=True, ema_momentum=0.8, **more)


# %%
def ours(parts):
    """Return the same from the package."""
    return training.make_optimizer(5e-3, 12, ema=0.8, final=1e-9, clip=1e9, accumulate=parts)


# %%
def in_parts(model, batches, parts):
    """Train on batches, each divided into parts; return the weights and their averages."""
    for batch in batches:
        for i in range(0, PHOTOS, PHOTOS // parts):
            model.train_on_batch(*(side[i : i + PHOTOS // parts] for side in batch))
    now = [ops.convert_to_numpy(v).copy() for v in model.trainable_variables]
    training.use_average(model)
    return now, [ops.convert_to_numpy(v) for v in model.trainable_variables]


# %%
def apart(pair):
    """Return the largest difference of the weights and of the averages of two models."""
    return [
        max(np.abs(a - b).max() for a, b in zip(one, other, strict=True))
        for one, other in zip(*pair, strict=True)
    ]


# %% [markdown]
# A few steps with each: alone, and as the generator of a GAN (`training.GAN`, which `05_pix2pix`
# explains), where two networks with an optimizer each learn in one step.


# %%
def alone(optimizer, parts):
    """Return a small network, ready to train on batches in parts."""
    core.set_seed(0)
    network = restorer(4)
    network.compile(optimizer(parts), "mae", **core.compile_options())
    return network


# %%
def as_gan(optimizer, parts):
    """Return a small GAN, ready to train on batches in parts."""
    core.set_seed(0)
    low, bright = keras.Input((None, None, 3)), keras.Input((None, None, 3))
    x = layers.Conv2D(4, 4, strides=2, activation="relu")(layers.Concatenate()([low, bright]))
    critic = keras.Model([low, bright], layers.Conv2D(1, 3)(x))
    own = optimizer(parts), optimizer(parts)
    return training.GAN(restorer(4), critic, *own, nn.charbonnier_loss)


# %%
stream = windows.stream(parts.train, seed, 4)
batches = [stream[i] for i in range(len(stream))]
tried = {"Keras": (alone, keras_alone), "make_optimizer": (alone, ours), "in a GAN": (as_gan, ours)}
found_apart = {
    name: apart([in_parts(make(optimizer, n), batches, n) for n in (1, 4)])
    for name, (make, optimizer) in tried.items()
}
for name, (of_weights, of_averages) in found_apart.items():
    print(f"{name:15} weights {of_weights:.0e} apart, averages {of_averages:.0e}")

# %% [markdown]
# Keras alone is not the same, for two reasons. It asks the schedule by the number of *batches*, so
# the rate falls four times too fast; and it averages after every batch, also after those that moved
# nothing. `training.make_optimizer(accumulate=4)` does both once a step, and differs by rounding.
#
# Two things it cannot do. Batch normalisation takes its statistics from the photos that are there,
# so two at a time are not eight at once. And it is not quicker: all photos are computed all the
# same.


# %%
def kept_values(network, side, batch):
    """Return how many values the layers put out for a batch, to be kept for the way back."""
    shapes = [
        layer.compute_output_shape((batch, side, side, layer.input.shape[-1]))
        for layer in network.layers
        if isinstance(layer, layers.Conv2D)
    ]
    return sum(int(np.prod(shape)) for shape in shapes)


# %%
network = alone(ours, 1)
for batch in (2, 8):
    part = [side[:batch] for side in batches[0]]
    network.train_on_batch(*part)  # compiles
    started = time.perf_counter()
    for _ in range(40 // batch):
        network.train_on_batch(*part)
    took = 1000 * (time.perf_counter() - started) / 5
    kept = kept_values(network, 32, batch)
    print(f"8 photos, {batch} at a time: {took:.0f} ms, {kept:,} values to keep")

# %% [markdown]
# ## Pruning: weights set to zero
#
# A trained network has many weights near zero. *Magnitude pruning* sets the smallest to zero, for
# good. How many can go? First the network, trained for as long as the others together will be, so
# that what follows has to keep up with it.


# %%
def kernels(network):
    """Return the kernels of a network."""
    return [v for v in network.trainable_variables if v.path.endswith("kernel")]


# %%
def masks(network, share):
    """Return for each kernel which weights stay when its smallest ``share`` goes."""
    values = [np.abs(ops.convert_to_numpy(kernel)) for kernel in kernels(network)]
    return [value > np.quantile(value, share) for value in values]


# %%
def apply_masks(network, kept):
    """Set the weights of kernels to zero where a mask says so."""
    for kernel, mask in zip(kernels(network), kept, strict=True):
        kernel.assign(kernel * mask)


# %%
core.set_seed(seed)
twice = 2 * restoring_steps
network = compiled(restorer(16), twice)
teach(network, windows.stream(parts.train, seed, twice))
dense = network.get_weights()
dense_score = restored(network, windows, parts.test)
print(f"exposed {before.mean():.2f} dB, restored {dense_score.mean():.2f} dB")

# %% [markdown]
# At once, without any training afterwards:

# %%
SHARES = (0.3, 0.5, 0.7, 0.9)
at_once = []
for share in SHARES:
    network.set_weights(dense)
    apply_masks(network, masks(network, share))
    at_once.append(restored(network, windows, parts.test).mean())
    print(f"{share:.0%} zeros: {at_once[-1] - dense_score.mean():+.2f} dB")

# %% [markdown]
# Gradually, while training goes on: the share rises from 0 to $s$, fast at first and slowly at the
# end (equation 1 of Zhu and Gupta), so that what is left can make up for what went:
#
# $$ s_t = s\,(1 - (1 - t / n)^3) $$
#
# After each step the masks are applied again. In the last third they stay, and the rest settles.
# The network that is not pruned trains on for as long, for to compare with less would be unfair.


# %%
def prune_gradually(network, stream, share):
    """Train on, and set more and more of the smallest weights to zero."""
    rise, kept = 2 * len(stream) // 3, []

    def prune(step):
        if step < rise:
            kept[:] = masks(network, share * (1 - (1 - (step + 1) / rise) ** 3))
        apply_masks(network, kept)

    teach(network, stream, prune)


# %%
further = windows.stream(parts.train, seed + 1, restoring_steps)
compiled(network, restoring_steps, 2e-3)
pruned = {}
for share in (0.0, *SHARES):
    start_again(network, network, dense)
    prune_gradually(network, further, share)
    pruned[share] = network.get_weights(), restored(network, windows, parts.test)


# %% [markdown]
# And what does it save? The *file*: zeros compress well. The *time*: measured below.


# %%
def packed_size(weights):
    """Return the bytes of weights, compressed as in a zip file."""
    return len(zlib.compress(b"".join(weight.tobytes() for weight in weights)))


# %%
def milliseconds(network, photos, repeats=9):
    """Return the median time of a prediction, in ms."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        network.predict_on_batch(photos)
        times.append(1000 * (time.perf_counter() - started))
    return float(np.median(times[1:]))


# %%
full = pruned[0.0][1].mean()
photos_128 = np.tile(lit[:1], (1, 4, 4, 1))
sizes_of = {}
lines = [
    "| zeros | at once (dB) | gradually (dB) | KB, compressed | ms |",
    "|---:|---:|---:|---:|---:|",
]
for share, (own, values) in pruned.items():
    network.set_weights(own)
    size, score = packed_size(own) / 1000, values.mean()
    sizes_of[f"{share:.0%} zeros"] = size, score
    cut = f"{at_once[SHARES.index(share)]:.2f}" if share else "–"
    took = milliseconds(network, photos_128)
    lines.append(f"| {share:.0%} | {cut} | {score:.2f} | {size:.0f} | {took:.1f} |")
Markdown("\n".join(lines))

# %% [markdown]
# ### Why zeros make nothing faster here
#
# A convolution is a product of matrices, and the processor multiplies a zero as quickly as any
# number. To skip zeros, one must keep a list of where the others are, and go through it: jumps in
# memory instead of a stream. One layer as a product, with a full matrix and with a list (SciPy's
# CSR):

# %%
values = np.random.default_rng(seed).random((4096, 9 * 16), np.float32)
kernel = np.random.default_rng(seed + 1).normal(size=(9 * 16, 16)).astype("float32")


# %%
def quickest(product, repeats=15):
    """Return the shortest time of a call, in ms."""
    return 1000 * min(timed(product) for _ in range(repeats))


# %%
def timed(product):
    """Return the seconds of one call."""
    started = time.perf_counter()
    product()
    return time.perf_counter() - started


# %%
full_time = quickest(lambda: values @ kernel)
columns = np.ascontiguousarray(values.T)
for share in (0.5, 0.9, 0.99):
    limit = np.quantile(np.abs(kernel), share)
    listed = sparse.csr_matrix((kernel * (np.abs(kernel) > limit)).T)
    took = quickest(lambda listed=listed: listed @ columns) / full_time
    print(f"{share:.0%} zeros: {took:.1f} times the time of the full matrix")

# %% [markdown]
# Below 1 a list is quicker: how many weights must be gone for that? Nothing that runs networks for
# us keeps such lists, though, and few networks have that many weights to spare.
#
# ### Narrower layers
#
# What does save time is to have fewer channels, whole rows and columns of the matrices gone. Such a
# network is just a smaller one, trained for as many steps as the others in all:

# %%
narrow = {}
for width in (8, 4):
    core.set_seed(seed)
    small = compiled(restorer(width), twice)
    teach(small, windows.stream(parts.train, seed, twice))
    compiled(small, restoring_steps, 2e-3)
    teach(small, further)
    narrow[width] = small, restored(small, windows, parts.test)

# %%
network.set_weights(pruned[0.0][0])
narrow = {16: (network, pruned[0.0][1]), **narrow}
lines = ["| width | parameters | PSNR (dB) | KB, compressed | ms |", "|---:|---:|---:|---:|---:|"]
for width, (small, values) in narrow.items():
    size, score = packed_size(small.get_weights()) / 1000, values.mean()
    sizes_of[f"width {width}"] = size, score
    held, took = small.count_params(), milliseconds(small, photos_128)
    lines.append(f"| {width} | {held:,} | {score:.2f} | {size:.0f} | {took:.1f} |")
Markdown("\n".join(lines))

# %% [markdown]
# Pruned and narrow in one picture, by the size of the file. Higher and further left is better.
# Where a network must be *small to send*, zeros are fair play; where it must be *quick*, they are
# none.

# %%
display.cost_chart(sizes_of, "KB, compressed", "PSNR (dB)")

# %% [markdown]
# ## Training for fewer bits
#
# `15_runtimes` rounds a trained network to 8 bits, which costs it little. With fewer bits it costs
# more, and the network may be trained *for* being rounded: each step computes with rounded weights
# and moves the unrounded ones. Does Keras have that for convolutions?

# %%
print("Keras", keras.__version__)
try:
    layer = layers.Conv2D(4, 3)
    layer.build((None, 8, 8, 3))
    layer.quantize("int8")
except NotImplementedError as error:
    print(error)

# %% [markdown]
# If it says no above: Keras quantizes the dense layers and embeddings of language models. What is
# missing is short. It rounds on the way forward and lets the gradient pass as if it had not (a
# *straight-through* estimate; a staircase has no slope to follow): the difference that rounding
# makes is added as a constant.

# %%
BITS = 3


# %%
def rounded_to(weights, bits, largest):
    """Round weights to steps of ``largest / (2^(bits - 1) - 1)``; gradients pass unchanged."""
    step = largest / (2 ** (bits - 1) - 1)
    return weights + ops.stop_gradient(step * ops.round(weights / step) - weights)


# %% [markdown]
# A layer that rounds its kernel with it, for each output channel by its own largest weight:


# %%
class RoundedConv2D(layers.Conv2D):
    """A convolution with a kernel that is rounded to a few bits, in training too."""

    def convolution_op(self, inputs, kernel):
        """Convolve with the rounded kernel."""
        largest = ops.max(ops.abs(kernel), axis=(0, 1, 2)) + 1e-12  # a kernel may be all zeros
        return super().convolution_op(inputs, rounded_to(kernel, BITS, largest))


# %%
ramp = np.linspace(-1, 1, 201, dtype="float32")
steps_of = {f"{bits} bits": ops.convert_to_numpy(rounded_to(ramp, bits, 1.0)) for bits in (2, 3, 4)}
display.plot_curves(ramp, steps_of, "weight", "rounded weight")

# %% [markdown]
# The trained network three times: not rounded, rounded afterwards, and trained on while rounded;
# the first and the last for the same number of steps.

# %%
rounded = compiled(restorer(16, RoundedConv2D), restoring_steps, 2e-3)
rounded.set_weights(pruned[0.0][0])
afterwards = restored(rounded, windows, parts.test)
start_again(rounded, rounded, dense)
teach(rounded, further)
aware = restored(rounded, windows, parts.test)
for name, values in {"32 bits": pruned[0.0][1], "rounded": afterwards, "trained so": aware}.items():
    print(f"{name:11} {values.mean():.2f} dB, {values.mean() - full:+.2f}")

# %% [markdown]
# The activations stay in 32 bits here; `15_runtimes` shows what happens when they do not. And
# rounded weights, like zeros, make nothing quicker by themselves: the machine has to have
# arithmetic for them.
#
# ## The same, large: an experiment file
#
# What took minutes here takes hours on photos, and may break down in between. For that there is
# `lle experiment`: a file says what is fixed and what varies, every run is a run of a notebook with
# a folder of its own, over as many workers as there are, and what is done is not done again.

# %%
files = notebook_folder() / "experiments"
print((files / "zero_dce_search.yml").read_text())

# %% [markdown]
# `lle experiment run notebooks/experiments/zero_dce_search.yml` runs it. This is what it found by
# short trainings, judged by LOL's validation scenes, the best trial first; below it, what the
# shipped Zero-DCE++ was trained with, at length:

# %%
by_trial = evaluation.load_records("zero_dce_search")
reached = {name: record["summary"]["psnr"]["mean"] for name, record in by_trial.items()}
for name in sorted(reached, key=reached.get, reverse=True):
    print(f"{reached[name]:.2f} dB {name.removeprefix('zero_dce_pp, ')}")
told = enhancers.load_onnx("zero_dce_pp").card["training"]
print(f"shipped: exposure_target={told['exposure_target']}, smoothness_pp={told['weights'][-1]:g}")

# %% [markdown]
# Look down the columns: which of the three sorts the rows, and which could be anything?
#
# Another file deals LOL to five folds and trains lumen on each. These runs it plans:

# %%
plan = read_experiment(files / "lol_folds_lumen.yml")
for run in plan.runs():
    print(run.name, run.parameters["source"], "judged by", run.split)

# %% [markdown]
# In each fold the validation scenes choose the epoch and the test scenes give the score: no photo
# of LOL is judged by a network that saw its scene. `lle experiment record` makes a record of the
# folders of such experiments, one row for all folds of a method together and one for each of them.
# This one is of short schedules, which the files beside say. All folds together first:

# %%
by_fold = evaluation.load_records("lol_folds")
together = {name: record for name, record in by_fold.items() if "fold" not in name}
Markdown(evaluation.table(together, ["psnr", "ssim", "psnr_gtmean"]))

# %% [markdown]
# And the folds apart. Each has about 43 scenes; whoever had been dealt another fifth as the test
# set would have read another number:

# %%
means = {}
for name in together:
    own = [record for n, record in by_fold.items() if n.startswith(f"{name}, f")]
    means[name] = np.array([record["summary"]["psnr"]["mean"] for record in own])
    shown = " ".join(f"{mean:.2f}" for mean in means[name])
    print(f"{name:12} {shown}, spread {np.ptp(means[name]):.2f} dB")

# %% [markdown]
# An easy fifth is easy for all, so methods are compared fold by fold:

# %%
for one, other in itertools.combinations(means, 2):
    ahead = means[one] - means[other]
    print(f"{one} − {other}: {ahead.mean():+.2f} dB, ahead in {(ahead > 0).sum()} of {len(ahead)}")

# %% [markdown]
# ## Exercises
#
# **1.** How many scenes would it take to find a difference of 0.1 dB between the two settings of
# the first section, scene by scene?
#
# <details><summary>Solution</summary>The next cell: the first number of scenes for which the
# smallest difference found is below 0.1 dB. It grows with the square of the deviation.</details>

# %% tags=["solution"]
enough = next((n for n in range(3, 100_000) if detectable(paired, n) < 0.1), None)
print(f"{enough} scenes")

# %% [markdown]
# **2.** If twenty settings are compared with one that is just as good, how often does some 95 %
# interval leave 0 out?
#
# <details><summary>Solution</summary>If they are independent, in 1 − 0.95²⁰ of the cases; with
# normal values and Student's t the simulation agrees.</details>

# %% tags=["solution"]
noise = np.random.default_rng(seed).normal(size=(1000, 20, 8))
outside = np.abs(noise.mean(-1)) > stats.t.ppf(0.975, 7) * noise.std(-1, ddof=1) / 8**0.5
print(f"{outside.any(1).mean():.0%} of 1000 times; 1 − 0.95²⁰ is {1 - 0.95**20:.0%}")

# %% [markdown]
# **3.** Each layer lost the same share here. What if the smallest weights of *all layers together*
# go?
#
# <details><summary>Solution</summary>One limit for all kernels. Layers differ in the size of their
# weights, above all the last, which began with zeros: some may then lose most.</details>

# %% tags=["solution"]
network.set_weights(dense)
values = [np.abs(ops.convert_to_numpy(kernel)) for kernel in kernels(network)]
for share, each in zip(SHARES, at_once, strict=True):
    limit = np.quantile(np.concatenate([value.ravel() for value in values]), share)
    network.set_weights(dense)
    apply_masks(network, [value > limit for value in values])
    together = restored(network, windows, parts.test).mean() - dense_score.mean()
    print(f"{share:.0%} zeros: {each - dense_score.mean():+.2f} dB, together {together:+.2f} dB")

# %% [markdown]
# ## What was learnt
#
# - A difference is worth what is left of it over scenes, taken pair by pair, and over seeds.
# - The winner of a search has a score that is too good; test on what chose nothing.
# - Compare at equal cost, and train what you compare with for as long.
# - Added-up gradients are a large batch if schedule and average know of it.
# - Zeros save space, narrow layers save time, few bits need training and a machine that has them.
#
# This is the last notebook. The next experiment is yours.

# %%
print(core.versions())
