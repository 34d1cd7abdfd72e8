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
# # A ResNet-generator GAN, taken apart and repaired
#
# You will rebuild a GAN as a well-known project coded it, find out by measuring why it cannot work,
# repair it part by part, and train the result.

# %% [markdown] tags=["badges"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/low-light-notebooks/blob/main/notebooks/06_resnet_gan.ipynb)

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
# - what happens to brightness when an output is normalised;
# - how batch normalisation lets one photo change another, and what it does at test time;
# - what a residual block adds, and what concatenating costs instead;
# - how freezing layers in Keras 3 stopped a network from ever learning;
# - what training against a discriminator gives over the pixel loss alone.
#
# You should have read `05_pix2pix`, whose trainer is used again. With the synthetic sample the
# notebook takes about a minute on two processor cores; settings for LOL are in `profiles/`.
#
# **References.** Isola et al., *Image-to-Image Translation with Conditional Adversarial
# Networks*, CVPR 2017, arXiv 1611.07004; Johnson et al., *Perceptual Losses for Real-Time Style
# Transfer*, ECCV 2016, arXiv 1603.08155 (the generator with residual blocks); Ulyanov et al.,
# *Instance Normalization*, arXiv 1607.08022.

# %%
import time
from dataclasses import replace
from functools import partial

import keras
import numpy as np
from IPython.display import Markdown
from keras import layers, ops
from scipy.ndimage import median_filter

from lle_utils import core, data, display, enhancers, evaluation, training
from lle_utils.enhancers import Enhancer, load_enhancer, save_enhancer
from lle_utils.metrics import psnr
from lle_utils.nn import ms_ssim_loss

# %% [markdown]
# The next cell holds everything there is to set. λ, the rates and the momentum are the project's;
# it trains batches of 12 for 100 epochs. Widths and lengths are small, so that a processor
# trains the networks while you watch.

# %% tags=["parameters"]
profile = ""  # "colab", or another of notebooks/profiles; what you change below wins
source = "synthetic"  # or pairs: a folder, a pack, "lol", "lol+mypairs", see `data.load`
width = 8  # channels after the first convolution; the project has 64
blocks = 3  # residual blocks; the project has 6
discriminator_width = 8  # channels of the discriminator; the project has 64
lambdas = [0, 100]  # weights of the pixel loss to compare; the project has 100
begin = ""  # an enhancer of the same sizes to go on from, such as "resnet_gan", not from chance
warm_stages = [[8, 64, 4]]  # epochs, crop and batch size with the pixel loss alone
stages = [[2, 64, 4]]  # then the same with the discriminator
steps = 20  # training steps per epoch
warmup = 10  # steps in which the learning rate of the first part rises
warm_rate = 2e-3  # learning rate of the first part
learning_rate = 2e-4  # of both networks when they train against each other
ssim_weight = 0.0  # weight of the structural similarity beside the absolute difference
ema = 0.9  # momentum of the averaged weights; 0 for none
precision = "float32"  # or "mixed_float16", "mixed_bfloat16" on a GPU that has them
validate_every = 2  # epochs between two measurements on validation photos
keep = 8  # saved epochs to keep on disk for each run
seed = 0
deterministic = False  # bit-identical repeats, at some cost in speed
output_dir = ""  # where results go; empty: runs/06_resnet_gan in the project

# %% tags=["profile"]
from lle_utils.notebook_tools import start

start("06_resnet_gan", globals())

# %% [markdown]
# ## Data: from folders of PNG files to one file
#
# The project keeps its pairs in the folders `ground_truth` and `low`, and packs them into one
# `.npz`, each photo *resized* to 256×256 in floating point. We make four pairs of 160×240 pixels
# with the synthetic camera, to have something to pack.

# %%
core.set_seed(seed, deterministic)  # determinism has to be asked for before anything is computed
folder = core.run_folder("06_resnet_gan", output_dir)
made = data.synthetic_pairs(4, (160, 240), seed, data.TRAIN_SCENES)

# %% [markdown]
# Saved in that layout, both sides of a pair under one name. That is how they find each other again:
# `paired_folders` knows the usual names of folders, `find_pairs` compares the names in them.

# %%
for kind, photos in {"low": made.low, "ground_truth": made.normal}.items():
    for name, photo in zip(made.names, photos, strict=True):
        core.save_image(folder / "photos" / kind / f"{name}.png", photo)

# %%
pairs = data.find_pairs(*data.paired_folders(folder / "photos"))
print([pair.name for pair in pairs])

# %% [markdown]
# `pack_pairs` (`lle data pack` on the command line) does both: `size` resizes as the project does,
# `crop` cuts. Both keep the values as bytes, in a quarter of the room of 32-bit floats.

# %%
resized = data.open_pack(data.pack_pairs(pairs, folder / "resized.npz", size=(256, 256)))
cropped = data.open_pack(data.pack_pairs(pairs, folder / "cropped.npz", crop=(160, 160)))
for pack in (resized, cropped):
    size = pack.path.stat().st_size
    print(f"{pack.path.name}: {pack.low.dtype} {pack.low.shape}, {size:,} bytes")

# %% [markdown]
# Resizing a photo of 3:2 to a square squeezes it, and averages noise that the network will meet
# again at full size; cropping keeps pixels as they are. Compare the proportions:

# %%
display.show_images({p.path.stem: core.to_float(p.normal[0]) for p in (resized, cropped)})

# %% [markdown]
# Training and validation take the pairs that `04_mirnet` and `05_pix2pix` use. Photos have to be as
# large as the largest crop of any stage.

# %%
largest = max(crop for _, crop, _ in [*warm_stages, *stages])
train_pairs = data.load(source, "train", seed, crop=largest)
val_pairs = data.load(source, "val", seed)
print(f"{len(train_pairs)} pairs for training, {len(val_pairs)} for validation")

# %% [markdown]
# The example, of a scene that is not trained on. It is synthetic whatever `source` is.

# %%
sample = data.synthetic_pairs(1, (160, 240), seed + 1, data.VAL_SCENES)
low, normal = (core.to_float(side[0]) for side in (sample.low, sample.normal))
display.show_images({"low": low, "normal": normal})

# %% [markdown]
# ## The generator as it was coded
#
# Down twice, six blocks, up twice, with a skip connection at each size: so it was coded, and so we
# build it first, faults included. All convolutions start like this one:


# %%
def convolution(filters, size=3, strides=1):
    """Return a convolution as the project starts it."""
    start = keras.initializers.RandomNormal(0.0, 0.02)
    return layers.Conv2D(filters, size, strides, padding="same", kernel_initializer=start)


# %% [markdown]
# Every normalisation takes its statistics, mean and deviation of each channel, from the batch at
# hand, at test time too. Usually `training` is left to Keras, and at test time a layer takes the
# averages that it kept in training.


# %%
def batch_norm(x):
    """Normalise each channel over the batch at hand, in training and at test time."""
    return layers.BatchNormalization()(x, training=True)


# %% [markdown]
# For comparison: statistics of each photo alone. In Keras this is a group normalisation in which
# each channel is a group, written as -1.


# %%
def instance_norm(x):
    """Normalise each channel over each photo alone."""
    return layers.GroupNormalization(-1, epsilon=1e-5)(x)


# %% [markdown]
# One activation for all layers. It keeps a fifth of what is negative, so that a gradient passes
# there too.


# %%
def leaky(x):
    """Apply the activation of all layers."""
    return layers.LeakyReLU(negative_slope=0.2)(x)


# %% [markdown]
# The blocks are called residual, but instead of *adding* their input they *concatenate* it. The
# features grow from block to block, and with them the weights of the next. The normalisation is
# handed down as a function, `norm_of`, so that we can change it later.


# %%
def concat_block(x, filters, norm_of):
    """Apply two convolutions and put the result beside the input."""
    y = leaky(norm_of(convolution(filters)(x)))
    return layers.Concatenate()([norm_of(convolution(filters)(y)), x])


# %% [markdown]
# On the way up dropout never stops: half of the features are set to zero, others each time, also
# when a photo is enhanced.


# %%
def coded_upsample(x, skip, filters, norm_of):
    """Upsample as the project does: repeat pixels, 1x1 convolution, dropout that never stops."""
    x = convolution(filters, 1)(layers.UpSampling2D()(x))
    x = layers.Dropout(0.5)(x, training=True)
    return leaky(norm_of(layers.Concatenate()([x, skip])))


# %% [markdown]
# The whole generator. It computes in [-1, 1], the range of the tanh at its end; its first and last
# layer convert from and to [0, 1].


# %%
def as_coded(width=64, blocks=6, norm_of=batch_norm, last_norm=batch_norm):
    """Build the generator of the project: ``low`` to the same, sides multiples of 4."""
    low = keras.Input((None, None, 3), name="low")
    full = leaky(norm_of(convolution(width, 7)(layers.Rescaling(2.0, -1.0)(low))))
    half = leaky(norm_of(convolution(2 * width, 3, 2)(full)))
    x = leaky(norm_of(convolution(4 * width, 3, 2)(half)))
    for _ in range(blocks):
        x = concat_block(x, 4 * width, norm_of)
    x = coded_upsample(x, half, 2 * width, norm_of)
    x = coded_upsample(x, full, width, norm_of)
    x = layers.Activation("tanh")(last_norm(convolution(3, 7)(x)))
    return keras.Model(low, layers.Rescaling(0.5, 0.5)(x), name="as_coded")


# %% [markdown]
# The number of parameters is that of the project:

# %%
published = as_coded()
training.describe(published, multiple=4)
assert published.count_params() == 16_587_215

# %% [markdown]
# ## First finding: the brightness is gone
#
# The last thing before the tanh is a batch normalisation. It gives each colour channel a mean and
# a spread that are *weights of the network*, whatever comes in. To see what that does we look at
# what arrives at the tanh, for a photo and for the same photo with a quarter of the light.
#
# A network takes a batch, here of one photo, and gives one back:


# %%
def output_of(network, photo):
    """Return the output of a network for one photo whose sides divide by 4."""
    return ops.convert_to_numpy(network(ops.convert_to_tensor(photo[None])))[0]


# %% [markdown]
# A second model with the same layers, which ends before the tanh, shows what arrives there. The
# mean says how bright the result will be, the spread how much contrast it will have.


# %%
def before_tanh(network, photo):
    """Return mean and spread of what arrives at the tanh, over pixels and channels."""
    (tanh,) = (layer for layer in network.layers if isinstance(layer, layers.Activation))
    arrived = output_of(keras.Model(network.input, tanh.input), photo)
    return float(arrived.mean()), float(arrived.std(axis=(0, 1)).mean())


# %% [markdown]
# A quarter of every value, so that the contrasts of the photo stay in proportion:


# %%
def quarter(photo):
    """Return the photo with a quarter of the light."""
    return photo * np.float32(0.25)


# %% [markdown]
# Both lights in one line, so that the eye can compare them. If the two pairs of numbers are alike,
# the result cannot follow the light.


# %%
def in_both_lights(network, photo):
    """Return in words what arrives at the tanh for a photo and for a quarter of its light."""
    lights = (before_tanh(network, seen) for seen in (photo, quarter(photo)))
    return ", a quarter of the light: ".join(f"{m:+.4f} ± {d:.4f}" for m, d in lights)


# %% [markdown]
# Which normalisation is to blame? To find out we also build the network without the last one, and
# without any; in their places stands a function that does nothing.


# %%
def nothing(x):
    """Return the features as they are, for a place without normalisation."""
    return x


# %%
core.set_seed(seed)
variants = {"as coded": as_coded(8, 2), "no norm before tanh": as_coded(8, 2, last_norm=nothing)}
variants["no norm at all"] = as_coded(8, 2, nothing, nothing)
for name, network in variants.items():
    print(f"{name:20}{in_both_lights(network, normal)}")

# %% [markdown]
# As coded, mean and spread are 0 and 1 whatever the light, and training cannot change that: it can
# choose other numbers, but not let them follow the photo. (What is left is the shape of the
# histogram, which the tanh bends.) Without the last normalisation alone
# little is won: multiply a photo by a constant, and the normalised convolutions before it hardly
# notice. Brightness needs a way through the whole network.
#
# ## Second finding: photos that change each other
#
# With statistics of the batch, the result for a photo depends on its company: whoever enhances a
# folder in batches gets other pictures than whoever takes one photo at a time. To measure it we
# look at the first result of a batch.


# %%
def in_company(network, photo, others):
    """Return the result for a photo that shares its batch with others."""
    together = ops.convert_to_tensor(np.stack([photo, *others]))
    return ops.convert_to_numpy(network(together))[0]


# %%
others = [core.to_float(photo) for photo in made.normal[1:]]
plain = {"batch": as_coded(8, 2), "instance": as_coded(8, 2, instance_norm, instance_norm)}

# %% [markdown]
# The example alone, alone once more, and with three other photos. The seed before the first two
# cannot make them alike, because the dropout layers keep a state of their own, which goes on.

# %%
for name, network in plain.items():
    keras.utils.set_random_seed(seed)
    alone = in_company(network, low, [])
    keras.utils.set_random_seed(seed)
    again = in_company(network, low, [])
    change = np.abs(in_company(network, low, others) - alone).mean()
    print(f"{name:9} twice the same {np.abs(again - alone).mean():.4f}, in company {change:.4f}")

# %% [markdown]
# Even alone the result is not the same twice: dropout is still on. Instance normalisation removes
# the influence of the company; what is left in its row is dropout too.
#
# ## Third finding: what concatenation costs
#
# A residual block that adds keeps the number of channels, so every block costs the same. It need
# only learn what to *change*, the residual, hence its name. Blocks that add are also what the
# drawing in the project's own README shows.


# %%
def add_block(x, filters, norm_of):
    """Apply two convolutions and add the result to the input."""
    y = leaky(norm_of(convolution(filters)(x)))
    return layers.Add()([x, norm_of(convolution(filters)(y))])


# %% [markdown]
# ## The generator, repaired
#
# - blocks **add**;
# - **instance** normalisation, but none after the first convolution and none before the tanh, and
#   the first features reach the last convolution by a skip: brightness has a way through;
# - upsampling repeats pixels and convolves with **3×3**: a 1×1 convolution of repeated pixels
#   leaves blocks of 2×2;
# - **no dropout**: the same photo gives the same result.
#
# The first point answers the third finding, the second the other two; dropout is what was left of
# the second finding.


# %%
def upsample(x, skip, filters):
    """Double height and width, then join the features of that size."""
    x = leaky(instance_norm(convolution(filters)(layers.UpSampling2D()(x))))
    return layers.Concatenate()([x, skip])


# %% [markdown]
# Read it beside `as_coded`: the way down and up is the same. `full`, the first features, has not
# met a normalisation, and the last convolution gets it as it is.


# %%
def resnet(width=64, blocks=6):
    """Build the repaired generator: ``low`` to the same, sides multiples of 4."""
    low = keras.Input((None, None, 3), name="low")
    full = leaky(convolution(width, 7)(layers.Rescaling(2.0, -1.0)(low)))
    half = leaky(instance_norm(convolution(2 * width, 3, 2)(full)))
    x = leaky(instance_norm(convolution(4 * width, 3, 2)(half)))
    for _ in range(blocks):
        x = add_block(x, 4 * width, instance_norm)
    x = upsample(upsample(x, half, 2 * width), full, width)
    x = layers.Activation("tanh")(convolution(3, 7)(x))
    return keras.Model(low, layers.Rescaling(0.5, 0.5, dtype="float32")(x), name="resnet_gan")


# %% [markdown]
# What does adding save? Both at the project's size:

# %%
for network in (published, resnet()):
    training.describe(network, multiple=4)

# %% [markdown]
# Does the output follow the light now, and is it the same twice? Both before anything is trained:

# %%
repaired = resnet(8, 2)
print(in_both_lights(repaired, normal))
print("the same twice:", np.array_equal(*(output_of(repaired, low) for _ in range(2))))

# %% [markdown]
# The repaired generator, drawn from itself. Sums go around its blocks, not joints:

# %%
display.network_diagram(resnet())

# %% [markdown]
# What do its blocks see? One feature before the blocks and after each, untrained. Each block
# adds to what was there before it:

# %%
sums = [layer for layer in repaired.layers if isinstance(layer, layers.Add)]
look = keras.Model(repaired.input, [sums[0].input[0], *(layer.output for layer in sums)])
seen = [ops.convert_to_numpy(f)[0, ..., 0] for f in look(ops.convert_to_tensor(low[None]))]
display.show_images({"before": seen[0], "after block 1": seen[1], "after block 2": seen[2]})

# %% [markdown]
# ## The discriminator
#
# The discriminator gets the dark photo and a bright one, and says place by place whether the bright
# one is real. As coded it ends in a sigmoid, and its loss is computed from probabilities. Ours puts
# out *logits*, the numbers before the sigmoid, and normalises over each photo; otherwise it is the
# same. Four strides of 2 make 16×16 answers of 256×256 pixels.


# %%
def strided_discriminator(width=64, norm_of=batch_norm, activation="sigmoid"):
    """Build the discriminator: ``[low, bright]`` to one answer for every 16x16 pixels."""
    low, bright = (keras.Input((None, None, 3), name=name) for name in ("low", "bright"))
    x = layers.Rescaling(2.0, -1.0)(layers.Concatenate()([low, bright]))
    for number, (filters, strides) in enumerate([(1, 2), (2, 2), (4, 2), (8, 2), (8, 1)]):
        x = convolution(filters * width, 4, strides)(x)
        x = leaky(norm_of(x) if number else x)
    x = layers.Activation(activation)(convolution(1, 4)(x))
    return keras.Model([low, bright], x, name="discriminator")


# %% [markdown]
# Parameters and answers at the project's size:

# %%
discriminator = strided_discriminator()
assert discriminator.count_params() == 6_968_257
answers = discriminator([np.zeros((1, 256, 256, 3), "float32")] * 2)
print(f"{discriminator.count_params():,} parameters, answers {answers.shape}")

# %% [markdown]
# Why logits? A discriminator that is sure gives probabilities that round to 0 or 1. The loss of a
# wrong answer then stops growing, and its gradient is zero: nothing can be learnt from it. Keras
# keeps probabilities 1e-7 away from 0 and 1, so that the logarithm stays finite. So do we:

# %%
logits = np.array([5.0, 15.0, 25.0], "float32")
probabilities = 1 / (1 + np.exp(-logits))
clipped = np.clip(probabilities, 1e-7, 1 - 1e-7)

# %% [markdown]
# The price of a wrong answer that is given ever more surely. From logits it is about the logit
# itself:

# %%
for logit, p in zip(logits, clipped, strict=True):
    right = float(training.cross_entropy(0.0, np.array([logit])))
    print(f"sure of {logit:2.0f}: {-np.log(1 - p):.2f} from probabilities, {right:.2f} from logits")

# %% [markdown]
# ## Fourth finding: frozen for ever
#
# The project trains its two networks with a recipe from the days of Keras 2: compile the
# discriminator; then set its layers to `trainable = False` and compile generator and discriminator
# as one model. Keras 2 remembered, for the discriminator alone, how it was when compiled.
# Keras 3 looks at the flag when it trains.
#
# We follow the recipe, train the discriminator on one batch and measure how far it moves. First the
# batch, of crops from the pairs:


# %%
def batch(pairs, count, crop, seed=0):
    """Return a batch of crops, low and normal."""
    _, dark, bright = zip(*pairs, strict=True)
    return data.PairStream(dark, bright, crop, count, seed)[0]


# %% [markdown]
# How far a network moves: the absolute changes of its kernels, added up. Batch normalisations do
# not count, because the recipe does not freeze them.


# %%
def movement(network, train_once):
    """Return how far the convolutions of a network move in one call."""
    kernels = [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]
    before = [layer.get_weights()[0] for layer in kernels]
    train_once()
    after = [layer.get_weights()[0] for layer in kernels]
    return sum(float(np.abs(a - b).sum()) for a, b in zip(after, before, strict=True))


# %% [markdown]
# The two steps of the recipe:


# %%
def compile_discriminator(discriminator):
    """Compile a discriminator as the project does."""
    adam = keras.optimizers.Adam(2e-4, beta_1=0.5)
    discriminator.compile(adam, "binary_crossentropy", **core.compile_options())


# %%
def set_trainable(discriminator, value):
    """Set the flag of all layers but the batch normalisations, as the project does."""
    for layer in discriminator.layers:
        if not isinstance(layer, layers.BatchNormalization):
            layer.trainable = value


# %% [markdown]
# Crops of 64×64 get 4×4 answers each, and the labels say "real" for all of them.

# %%
dark, bright = batch(train_pairs, 2, 64, seed)
labels = np.ones((2, 4, 4, 1), "float32")

# %% [markdown]
# Compile, freeze, train on one batch, in that order:

# %%
old = strided_discriminator(8)
compile_discriminator(old)
set_trainable(old, False)  # "so that the generator's step leaves the discriminator alone"
frozen = movement(old, lambda: old.train_on_batch([dark, bright], labels))


# %% [markdown]
# Our own step, as in `05_pix2pix`: `training.GAN` takes the gradients of each network for the
# weights of that network, and no flag is touched. With the pixel loss alone the generator's Adam
# has a warm-up and its usual memory of 0.9, against a discriminator a shorter one of 0.5.


# %%
def make_gan(generator, discriminator, run, loss, pixel_weight, adversarial_weight=1.0):
    """Join two networks for training; with an adversarial weight of 0 the generator alone."""
    options = {"warmup": 0, "beta_1": 0.5} if adversarial_weight else {}
    optimizers = (each.optimizer(**options) for each in (run, replace(run, ema=0)))
    return training.GAN(
        generator, discriminator, *optimizers, loss, pixel_weight, adversarial_weight
    )


# %% [markdown]
# λ was chosen for images in [-1, 1], where differences are twice ours, so the pixel loss doubles
# them.


# %%
def pixel_loss(normal, enhanced, ssim_weight=0.0):
    """Return the mean absolute difference on the scale [-1, 1], plus weighted SSIM."""
    loss = 2 * ops.mean(ops.abs(normal - enhanced))
    if ssim_weight:
        loss += 2 * ssim_weight * ms_ssim_loss(normal, enhanced, 1)
    return loss


# %% [markdown]
# Keras decides how precisely a network computes when it is built, so ours are built under the
# setting `precision`.


# %%
def in_precision(precision, build, *sizes):
    """Build a network that computes in the given precision."""
    with core.dtype_policy(precision):
        return build(*sizes)


# %% [markdown]
# The schedule against the discriminator, and what makes the networks: `partial` fixes their sizes.

# %%
run = training.Run(folder, stages, steps, learning_rate, warmup, ema, validate_every, seed)
loss = partial(pixel_loss, ssim_weight=ssim_weight)
parts = discriminator_width, instance_norm, "linear"
new_discriminator = partial(in_precision, precision, strided_discriminator, *parts)
new_generator = partial(in_precision, precision, resnet, width, blocks)

# %% [markdown]
# One batch for each recipe. Zero means that the discriminator stayed what chance had made it.

# %%
ours = make_gan(resnet(8, 1), new_discriminator(), run, loss, lambdas[-1])
moved = movement(ours.discriminator, lambda: ours.train_on_batch(dark, bright))
print(f"the old recipe moves the discriminator by {frozen:.3f}, ours by {moved:.3f}")

# %% [markdown]
# A discriminator that never learns is a random function, and the generator is told to please it.
# Nothing in the losses gives this away at a glance; a test that weights move does.
#
# ## What does a step cost?
#
# A step of `training.GAN` enhances a batch once and shows it to the discriminator once, and takes
# the gradients of both networks from that. We compare it with the passes that it cannot do without,
# each compiled and timed apart: the generator forward and backward, and the discriminator forward
# and backward for the real pair and for the enhanced one, there also back to the photo.

# %%
timed = make_gan(resnet(width, blocks), new_discriminator(), run, loss, lambdas[-1])
cost = training.step_cost(timed, *batch(train_pairs, 4, 64, seed), repeats=6)
print(", ".join(f"{name} {1000 * seconds:.0f} ms" for name, seconds in cost["parts"].items()))
print(f"sum {1000 * cost['sum']:.0f} ms, whole step {1000 * cost['step']:.0f} ms: ", end="")
print(f"{cost['ratio']:.2f} times the sum")

# %% [markdown]
# ## Training
#
# As in `05_pix2pix`: first the pixel loss alone, so that the discriminator meets something worth
# looking at; then the best weights, by PSNR on whole validation photos, go on in several ways, with
# the pixel loss alone and against the discriminator. These are compared after their last step. Each
# part is a `Run` with a folder of its own, and is looked at as an *enhancer* with a card of facts.


# %%
def viewer(network, about):
    """Return a network in training as an enhancer, to see its results on whole photos."""
    return Enhancer(training.clipped(network), about)


about = {"name": "resnet_gan", "method": "ResNet-generator GAN", "inputs": ["low"]}
about |= {"multiple": 4, "halo": None}

# %% [markdown]
# The generator that is trained, with new weights from the seed. A copy of it, which is thrown away,
# tells beforehand what the training will cost with the pixel loss alone.

# %%
core.set_seed(seed)
generator = new_generator()
training.describe(generator, multiple=4)

# %%
trial = keras.models.clone_model(generator)
trial.compile("adam", loss, **core.compile_options())
further = 1 + len(lambdas)  # the control, and one for each λ
plan = replace(run, stages=[*warm_stages, *stages * further]).estimate(trial)

# %% [markdown]
# First part: the discriminator has the weight 0. `watchers` measures the PSNR on validation photos
# and shows the example after each epoch.

# %%
started = time.time()
if begin:
    generator.set_weights(load_enhancer(begin).model.get_weights())
elif warm_stages:
    warm_run = replace(run, folder=folder / "warm", stages=warm_stages, learning_rate=warm_rate)
    warm = make_gan(generator, new_discriminator(), warm_run, loss, lambdas[-1], 0)
    watched = warm_run.watchers(viewer(generator, about).enhance, val_pairs, (low, normal))
    saver = training.EpochCheckpoints(generator, warm_run.folder, keep)
    history = warm_run.fit_gan(warm, train_pairs, [*watched, saver])
    training.load_checkpoint(training.best_path(warm_run.folder / "checkpoint.npz"), warm)
    print(f"best PSNR {max(history['val_psnr']):.2f} dB in {len(history['val_psnr'])} epochs")

# %% [markdown]
# Second part: a plan for the control and for each λ, with a folder, the weight of the pixel loss
# and that of the discriminator. With λ = 0 the discriminator alone says what is good.

# %%
plans = {"pixel loss alone": ("pixel", lambdas[-1], 0.0)}
plans |= {f"λ = {weight}": (f"lambda_{weight}", weight, 1.0) for weight in lambdas}

# %% [markdown]
# Each gets a copy of the generator, optimizers of its own and the same batches. The generator is
# saved after each epoch, for the sliders further below.

# %%
runs = {}
for name, (place, *weights) in plans.items():
    copy, own_run = new_generator(), replace(run, folder=folder / place)
    copy.set_weights(generator.get_weights())
    gan = make_gan(copy, new_discriminator(), own_run, loss, *weights)
    watched = own_run.watchers(viewer(copy, about).enhance, val_pairs, (low, normal))
    saver = training.EpochCheckpoints(copy, own_run.folder, keep)
    runs[name] = gan, own_run.fit_gan(gan, train_pairs, [*watched, saver])
print(f"all in {time.time() - started:.0f} s")

# %% [markdown]
# The losses of the last run; ln 2, about 0.69, is what a discriminator pays that knows nothing and
# says "half" to everything.

# %%
gan, history = runs[f"λ = {lambdas[-1]}"]
display.loss_curves(history)

# %% [markdown]
# The example by all of them, beside the photo that went in and the truth:

# %%
viewers = {name: viewer(trained.generator, about) for name, (trained, _) in runs.items()}
shown_runs = {name: enhancer.enhance(low) for name, enhancer in viewers.items()}
display.show_images({"low": low, "normal": normal, **shown_runs})

# %% [markdown]
# ## Evaluation
#
# On scenes that were not trained on, whole and blind; each number is the mean over photos, from
# eight scenes on with a 95 % interval. The control, the same generator with the pixel loss alone
# for the same number of steps, shows what the discriminator gives and takes. Sharpness and true
# detail are those of `05_pix2pix`: how strong the fine detail is, and how well it correlates with
# that of the real photo.

# %%
measures = ("psnr", "ssim", "sharpness", "true_detail")
methods = {name: enhancers.BASELINES[name] for name in ("input", "gamma", "auto_gamma")}
methods |= {name: enhancer.enhance for name, enhancer in viewers.items()}
told = {"data": f"{source}, val", "scenes": val_pairs.scenes}
records = [evaluation.evaluate(n, m, val_pairs, measures, **told) for n, m in methods.items()]
evaluation.save_records("06_resnet_gan", records, folder)
Markdown(evaluation.table(records))

# %% [markdown]
# Few steps on few scenes say little. The same cells with the profile `discriminator`, on LOL's
# pairs, gave this record: all go on from the shipped `resnet_gan`, for 400 steps on crops of 128
# pixels. The shipped one had larger crops, and a network that takes statistics over the photo
# notices; so compare each λ with the pixel loss alone, not with the row where all began.

# %%
on_lol = evaluation.load_records("resnet_gan_lol")
Markdown(evaluation.table(on_lol))

# %% [markdown]
# Each λ less the control, photo by photo, with the interval of the difference. What holds 0 stays
# open.

# %%
for name in (name for name in on_lol if name.startswith("λ")):
    for measure in measures:
        change = evaluation.difference_text(on_lol[name], on_lol["pixel loss alone"], measure)
        print(f"{name:8} {measure:12} {change}")

# %% [markdown]
# ## Batch against instance normalisation at test time
#
# Two generators of equal size are trained for the same short time with the pixel loss, one with
# batch normalisation and one with instance normalisation. A layer of batch normalisation can take
# three statistics at test time: of the photo alone, of a batch of photos, or the averages that it
# kept in training. Which it takes is a choice of whoever runs it, after training.


# %%
def normed(norm):
    """Build a small generator with either normalisation in all but first and last layer."""
    low = keras.Input((None, None, 3), name="low")
    x = leaky(convolution(8, 7)(layers.Rescaling(2.0, -1.0)(low)))
    for filters, strides in ((16, 2), (32, 2), (32, 1), (32, 1)):
        x = leaky(norm()(convolution(filters, 3, strides)(x)))
    for filters in (16, 8):
        x = leaky(norm()(convolution(filters)(layers.UpSampling2D()(x))))
    x = ops.tanh(convolution(3, 7)(x))
    return keras.Model(low, layers.Rescaling(0.5, 0.5)(x))


# %% [markdown]
# Both are trained on the same crops, in the same order, by Keras' own `fit`:


# %%
def fitted(norm, pairs, loss, seed, epochs=4):
    """Train a small generator with the pixel loss."""
    keras.utils.set_random_seed(seed)
    network = normed(norm)
    network.compile(keras.optimizers.Adam(3e-3), loss, **core.compile_options())
    _, dark, bright = zip(*pairs, strict=True)
    stream = data.PairStream(dark, bright, 64, 8, seed, steps=20)
    network.fit(stream, epochs=epochs, shuffle=False, verbose=0)
    return network


# %% [markdown]
# What normalises is handed down as a function that makes a new layer each time:

# %%
fit = partial(fitted, pairs=train_pairs, loss=loss, seed=seed)
with_batch = fit(layers.BatchNormalization)
with_instance = fit(lambda: layers.GroupNormalization(-1, epsilon=1e-5))

# %% [markdown]
# The validation photos as one batch; for that they must be of one size, so they are cut to 160×240.

# %%
photos, truths = (np.stack([core.to_float(p[i])[:160, :240] for p in val_pairs]) for i in (1, 2))


# %% [markdown]
# The score is the mean PSNR over the photos. The tanh keeps results within [0, 1] but for rounding,
# hence the clip.


# %%
def score(outputs):
    """Return the mean PSNR of a batch of outputs."""
    outputs = np.clip(ops.convert_to_numpy(outputs), 0, 1)
    return float(np.mean([psnr(a, b) for a, b in zip(outputs, truths, strict=True)]))


# %% [markdown]
# First the averages, because every call with `training=True` moves them. Then all photos as one
# batch: with `training=True` the statistics are those of the batch at hand.

# %%
scores = {"batch norm, averages of training": score(with_batch(photos, training=False))}
scores["batch norm, batch of all photos"] = score(with_batch(photos, training=True))

# %% [markdown]
# A batch of one gives the statistics of the photo alone. The first three lines below are one
# network with the same weights.

# %%
single = [ops.convert_to_numpy(with_batch(p[None], training=True))[0] for p in photos]
scores["batch norm, each photo alone"] = score(np.stack(single))
scores["instance norm"] = score(with_instance(photos))
print(*(f"{name:34} {value:.2f} dB" for name, value in scores.items()), sep="\n")

# %% [markdown]
# One network, three scores: whoever reports a number for a network with batch normalisation must
# say which statistics it took. Instance normalisation has no such choice. It has a price, too: it
# takes out what the photo's own brightness and contrast could tell, which is one reason why the
# first layer here has none.
#
# ## Try it: how the result came about
#
# The saved epochs of each part of the training. The picture below the sliders is their starting
# point, for readers without a running kernel. The first part is there as well, if there was one.

# %%
places = {name: place for name, (place, *_) in plans.items()}
places |= {"before all": "warm"} if warm_stages and not begin else {}
saved = {name: list(training.saved_epochs(folder / p).values()) for name, p in places.items()}
views: dict = {}

# %% [markdown]
# The sliders call a function with their positions; `views` remembers its pictures, so that none is
# computed twice. A part with fewer epochs than the slider shows its last one.


# %%
def render(run, epoch):
    """Enhance the example with a saved epoch of a run."""
    path = saved[run][min(epoch, len(saved[run])) - 1]
    if path not in views:
        network = keras.saving.load_model(path, compile=False)
        views[path] = viewer(network, about).enhance(low)
    return views[path]


# %%
last = max(len(paths) for paths in saved.values())
sliders = {"run": list(saved), "epoch": (1, last, 1, last)}
display.image_slider(render, **sliders)

# %%
display.static(render, **sliders)

# %% [markdown]
# ## From network to enhancer
#
# The enhancer is the generator that met the discriminator, in 32 bits; the discriminator is left
# behind.

# %%
final = resnet(width, blocks)
final.set_weights(gan.generator.get_weights())

# %% [markdown]
# Its card says how it was trained. Some keys have the names of the first cards, so that old and new
# ones can be compared.

# %%
facts = {"data": source, "pairs": len(train_pairs), "precision": precision}
facts |= {"width": width, "blocks": blocks, "judge_width": discriminator_width}
facts |= {"pixel_weight": lambdas[-1], "ssim_weight": ssim_weight}
facts |= {"warm_stages": warm_stages, "warm_rate": warm_rate, "begin": begin}

# %% [markdown]
# Saved and loaded again, as a user would. Two findings are put to the test once more: does the same
# photo give the same result, and does the mean of the result fall with that of the photo?

# %%
card = run.card(about, train_pairs.licence, **facts)
trained = load_enhancer(save_enhancer(final, folder / "resnet_gan", card))
print(f"the same twice: {np.array_equal(*(trained.enhance(low) for _ in range(2)))}")
for share in (1.0, 0.25):
    print(f"{share:.2f} of the light: {trained.enhance(low * np.float32(share)).mean():.3f}")

# %% [markdown]
# ## What came of it
#
# The example by two curves that know nothing of networks, by what was just trained, and by what the
# project ships. The sentence below is computed from the scores. This generator has to
# build the photo anew: its output is not added to the dark photo.

# %%
learnt = {"trained here": trained.enhance(low)}
learnt["shipped"] = load_enhancer("resnet_gan").enhance(low)
curves = {name: enhancers.BASELINES[name](low) for name in ("gamma", "auto_gamma")}
pictures, sentence = evaluation.outcome(low, normal, curves, learnt)
display.show_images(pictures, columns=3)

# %%
print(f"After {run.total_steps} steps here: {sentence}")

# %% [markdown]
# ## Saving the picture
#
# The last step of the project's `main.py` is `array_to_img`, which by default stretches every
# result so that its darkest value becomes 0 and its brightest 255: contrast for display, and
# ruin for a measurement. A pale picture, with values from 0.3 to 0.5, shows it:

# %%
pale = normal * np.float32(0.2) + np.float32(0.3)
stretched = np.asarray(keras.utils.array_to_img(pale)) / np.float32(255)
print(f"from {pale.min():.2f}..{pale.max():.2f} to ", end="")
print(f"{stretched.min():.2f}..{stretched.max():.2f}, ", end="")
print(f"{psnr(stretched, pale):.1f} dB from what was to be saved")

# %% [markdown]
# Before that the picture goes through `medianBlur` of OpenCV with a size of 1: the median of a
# pixel and of no other, which does nothing. Would a larger one have helped? A median takes grains
# away, and with them all that is as small. SciPy has it too; a size of 1 along the third axis keeps
# the colours apart.


# %%
def with_median(size):
    """Return the trained enhancer with a median filter after it."""
    return lambda photo: median_filter(trained.enhance(photo), (size, size, 1))


# %%
medians = {f"median of {size}x{size}": with_median(size) for size in (1, 3, 5)}
blurred = [evaluation.evaluate(n, m, val_pairs, measures, **told) for n, m in medians.items()]
evaluation.save_records("06_median", blurred, folder)
Markdown(evaluation.table(blurred))

# %% [markdown]
# And after the network of the profile `discriminator`, on LOL's pairs:

# %%
Markdown(evaluation.table(evaluation.load_records("resnet_gan_median")))

# %% [markdown]
# ## Where it fails
#
# **The receptive field ends.** Away from normalisation, which sees the whole photo but only as two
# numbers per channel, a pixel is decided by its neighbourhood. **Well-exposed photos** may be
# changed for no reason. **Strong noise** may be taken for texture.

# %%
good = core.to_float(data.sample_scenes()["coffee"])[::2, ::2]
night = data.darken(good, 0, data.Camera(exposure=0.01))
pictures = {"well exposed": good, "and enhanced": trained.enhance(good)}
pictures |= {"a hundredth of the light": night, "enhanced": trained.enhance(night)}
display.show_images(pictures, columns=2)

# %% [markdown]
# ## Exercises
#
# **1.** How do the parameters of the two kinds of blocks grow with their number? Compute it before
# you count.
#
# <details><summary>Solution</summary>Added blocks cost the same each. The n-th concatenated block
# has n times as many channels coming in, so the sum grows with the square.</details>

# %% tags=["solution"]
for count in (2, 4, 6):
    added, joined = resnet(16, count), as_coded(16, count)
    print(f"{count} blocks: {added.count_params():,} added, {joined.count_params():,} concatenated")

# %% [markdown]
# **2.** Unfreeze the old recipe without leaving it. (*Hint:* what must be true when the
# discriminator trains?)
#
# <details><summary>Solution</summary>Set `trainable` of every layer back to True before each step
# of the discriminator, and compile again, because the compiled step has its list of variables.
# (`old.trainable = True` does nothing: the flag of the model was True all along.)</details>

# %% tags=["solution"]
set_trainable(old, True)
compile_discriminator(old)
print(f"{movement(old, lambda: old.train_on_batch([dark, bright], labels)):.3f}")

# %% [markdown]
# **3.** Upsample with a 1×1 convolution as coded, then with 3×3. How different are neighbouring
# pixels inside and across the blocks of 2×2 that repeating makes?
#
# <details><summary>Solution</summary>After 1×1 there is no difference inside a block at all: half
# of the detail of that size can only come from the skip.</details>

# %% tags=["solution"]
small = ops.convert_to_tensor(np.random.default_rng(seed).random((1, 16, 16, 4), "float32"))
for size in (1, 3):
    large = ops.convert_to_numpy(convolution(4, size)(layers.UpSampling2D()(small)))[0, 2:-2, 2:-2]
    gaps = np.abs(np.diff(large, axis=1)).mean(axis=(0, 2))
    print(f"{size}x{size}: inside {gaps[::2].mean():.4f}, across {gaps[1::2].mean():.4f}")

# %% [markdown]
# ## What was learnt
#
# - A normalised output forgets how bright it should be; leave the way from input to output open.
# - Statistics of the batch make photos depend on each other, and leave a choice at test time.
# - "Trainable" is a flag that is read when training happens; take gradients for the variables you
#   mean, and test that only they move.
# - Blocks that add are cheap; a quick count shows when a drawing and its code disagree.
# - The same generator with the pixel loss alone is the control that every GAN owes its reader.

# %%
print(core.versions())
