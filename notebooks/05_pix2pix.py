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
# # pix2pix: a second network decides what looks real
#
# You will build a U-Net that enhances and a PatchGAN that tells enhanced from real, train them
# against each other, and measure what the discriminator adds, what it costs, and what it makes up.

# %% [markdown] tags=["badges"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/low-light-notebooks/blob/main/notebooks/05_pix2pix.ipynb)

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
# - how a U-Net carries a photo through a bottleneck without losing its detail;
# - what a discriminator sees, and why it judges patches and not photos;
# - how to train two networks at once without freezing either;
# - what λ, the weight of the pixel loss, trades against what;
# - how to find detail that was invented, and the pattern that a transposed convolution leaves.
#
# You should have read `02_metrics`; `04_mirnet` explains the schedule and the averaged weights.
# With the synthetic sample the notebook takes about a minute on two processor cores; settings
# for LOL are in `profiles/`.
#
# **References.** Isola et al., *Image-to-Image Translation with Conditional Adversarial
# Networks*, CVPR 2017, arXiv 1611.07004; Odena et al., *Deconvolution and Checkerboard
# Artifacts*, Distill 2016.

# %%
import time
from dataclasses import replace
from functools import partial

import keras
import numpy as np
from IPython.display import Markdown
from keras import layers, ops
from scipy import ndimage

from lle_utils import core, data, display, enhancers, evaluation, metrics, training
from lle_utils.enhancers import Enhancer, load_enhancer, save_enhancer
from lle_utils.nn import ms_ssim_loss

# %% [markdown]
# The next cell holds everything there is to set. The rates, the momentum and λ are those of a
# well-known project that trained pix2pix on LOL; the paper has 2e-4 for both rates and λ = 100.
# Only widths and lengths are small, so that a processor trains it while you watch.

# %% tags=["parameters"]
profile = ""  # "colab", or another of notebooks/profiles; what you change below wins
source = "synthetic"  # or pairs: a folder, a pack, "lol", "lol+mypairs", see `data.load`
width = 16  # channels after the first convolution; the paper has 64
levels = 5  # halvings; the paper has 8, for photos of 256x256
norm = "instance"  # or "batch" as in the paper, or "none"
upsampling = "transpose"  # of the decoder: "transpose" as in the paper, or "resize"
dropout = 0.5  # in the three lowest levels of the decoder, in training only
discriminator_width = 16  # channels of the discriminator; the paper has 64
lambdas = [0, 10, 115]  # weights of the pixel loss to compare; the LOL project has 115
begin = ""  # an enhancer of the same sizes to go on from, such as "pix2pix", not from chance
warm_stages = [[12, 64, 8]]  # epochs, crop and batch size with the pixel loss alone
stages = [[4, 64, 8]]  # then the same with the discriminator
steps = 20  # training steps per epoch
warmup = 10  # steps in which the learning rate of the first part rises
warm_rate = 2e-3  # learning rate of the first part
learning_rate = 1e-4  # of the generator against the discriminator
discriminator_rate = 5e-5  # of the discriminator
ssim_weight = 0.0  # weight of the structural similarity beside the absolute difference
ema = 0.9  # momentum of the averaged weights; 0 for none
precision = "float32"  # or "mixed_float16", "mixed_bfloat16" on a GPU that has them
validate_every = 2  # epochs between two measurements on validation photos
keep = 8  # saved epochs to keep on disk for each λ
seed = 0
deterministic = False  # bit-identical repeats, at some cost in speed
output_dir = ""  # where results go; empty: runs/05_pix2pix in the project

# %% tags=["profile"]
from lle_utils.notebook_tools import start

start("05_pix2pix", globals())

# %% [markdown]
# ## Data: pairs, and pairs side by side
#
# As in `04_mirnet` we take pairs, of the synthetic camera or of LOL, and judge by scenes that
# training never sees. Training cuts square crops; photos that are too small for the largest of
# them are left out.

# %%
core.set_seed(seed, deterministic)  # determinism has to be asked for before anything is computed
largest = max(crop for _, crop, _ in [*warm_stages, *stages])
train_pairs = data.load(source, "train", seed, crop=largest)
val_pairs = data.load(source, "val", seed)
print(f"{len(train_pairs)} pairs for training, {len(val_pairs)} for validation")

# %% [markdown]
# The example that we look at throughout is synthetic in any case: a pair of 160×240 pixels, as
# floats between 0 and 1.

# %%
sample = data.synthetic_pairs(1, (160, 240), seed + 1, data.VAL_SCENES)
low, normal = (core.to_float(side[0]) for side in (sample.low, sample.normal))

# %% [markdown]
# Data sets for pix2pix often keep a pair in one file, side by side: 256×512 for photos of
# 256×256. `join_pair` makes such a picture and `split_pair` takes it apart.

# %%
folder = core.run_folder("05_pix2pix", output_dir)
pair_file = core.save_image(folder / "pair.png", data.join_pair(low, normal))
left, right = data.split_pair(core.load_image(pair_file))
print(f"{pair_file.name}: {core.load_image(pair_file).shape}, halves {left.shape}")
display.show_images({"low | normal": core.load_image(pair_file)})

# %% [markdown]
# ## The generator: a U-Net
#
# Each level of the **encoder** halves height and width with a strided 4×4 convolution. What is
# left at the bottom is small and sees the whole photo. Each level of the **decoder** doubles
# them again and gets the encoder's features of that size beside its own: a *skip connection*.
# Only the bottom can judge the brightness of the whole photo; the skips carry detail past it.
#
# We build it from the smallest parts up: a convolution, a normalisation, an activation, and from
# them one level of the encoder and one of the decoder.
#
# **Convolution.** Weights start from a normal distribution of deviation 0.02. With a stride of 2 a
# convolution halves the size, a transposed one doubles it. By default there is no bias: a
# normalisation that follows would subtract it again.


# %%
def convolution(filters, size=4, strides=1, transposed=False, bias=False):
    """Return a convolution as the paper starts it."""
    kind = layers.Conv2DTranspose if transposed else layers.Conv2D
    start = keras.initializers.RandomNormal(0.0, 0.02)
    return kind(filters, size, strides, padding="same", use_bias=bias, kernel_initializer=start)


# %% [markdown]
# **Normalisation.** The paper normalises each channel over the batch. With one photo per batch,
# as it trains and tests, that is the same as normalising over the photo alone, which is what
# `"instance"` does, whatever the batch. The first and the last convolution have none; nor has
# the bottom with `"instance"`, where a single pixel would be normalised to zero. Keras has no layer
# of that name: it is a `GroupNormalization` in which each channel is a group, written as -1.


# %%
def normalization(norm):
    """Return a layer that normalises channels over the batch, over each photo, or not."""
    kinds = {"batch": layers.BatchNormalization, "none": layers.Identity}
    kinds["instance"] = partial(layers.GroupNormalization, -1, epsilon=1e-5)
    return kinds[norm]()


# %% [markdown]
# **Activation.** The encoder keeps a fifth of what is negative, so that a gradient passes there
# too; the decoder has a plain ReLU, which keeps nothing of it.


# %%
def leaky():
    """Return the activation of encoder and discriminator; Keras' default slope is 0.3."""
    return layers.LeakyReLU(negative_slope=0.2)


# %% [markdown]
# One level of the encoder is the three in turn:


# %%
def encode(x, filters, norm, bias=False):
    """Halve height and width."""
    return leaky()(normalization(norm)(convolution(filters, strides=2, bias=bias)(x)))


# %% [markdown]
# To look at features we need them as pictures. Keras has a batch first and the channels last; each
# channel is a map of its own, and three are enough to look at.


# %%
def shown(features, count=3):
    """Return the first channels of features (1, H, W, C) as maps."""
    return list(np.moveaxis(ops.convert_to_numpy(features)[0, ..., :count], -1, 0))


# %% [markdown]
# The level on our photo, a batch of one, with weights of chance: half the size, and 16 channels in
# place of three.

# %%
halved = encode(low[None], 16, "instance")
print(low[None].shape, "->", halved.shape)
display.show_images(shown(halved), titles=[f"feature {n + 1}" for n in range(3)])

# %% [markdown]
# The decoder has two ways of upsampling. The paper's is the *transposed* convolution; the other
# repeats pixels and then convolves. A later section shows the difference. With a stride of 2, a
# kernel of four meets each pixel equally often; with a stride of 1 any size does, and 3×3 is
# enough.


# %%
def upsample(x, filters, upsampling, bias=False):
    """Double height and width."""
    if upsampling == "transpose":
        return convolution(filters, strides=2, transposed=True, bias=bias)(x)
    return convolution(filters, size=3, bias=bias)(layers.UpSampling2D()(x))


# %% [markdown]
# One level of the decoder: upsample, normalise, and put the encoder's features beside the result.
# Dropout sets a share of the features to zero, others at each training step. In the paper it is the
# only source of chance and stays on in use; ours is on in training alone.


# %%
def decode(x, skip, filters, norm, upsampling, dropout=0.0, bias=False):
    """Double height and width and join the features of the encoder."""
    x = normalization(norm)(upsample(x, filters, upsampling, bias))
    x = layers.ReLU()(layers.Dropout(dropout)(x) if dropout else x)
    return layers.Concatenate()([x, skip])


# %% [markdown]
# One level further down and up again: the size of `halved`, its 16 channels and as many new ones.

# %%
doubled = decode(encode(halved, 32, "instance"), halved, 16, "instance", "transpose")
print(halved.shape, "->", doubled.shape)

# %% [markdown]
# Channels double from level to level, up to eight times the first: what is lost in pixels is made
# up for in kinds of features. The network computes in [-1, 1], the range of `tanh`; its first and
# last layer convert, so that the rest of the suite need not know.


# %%
def unet(width=64, levels=8, norm="batch", upsampling="transpose", dropout=0.5):
    """Build the generator: ``low`` (N, H, W, 3), sides multiples of 2**levels, to the same."""
    low = keras.Input((None, None, 3), name="low")
    bias = norm == "none"  # a normalised channel has no use for one
    filters = [width * min(2**level, 8) for level in range(levels)]
    x, skips = layers.Rescaling(2.0, -1.0)(low), []
    for level in range(levels):
        bare = level == 0 or (level == levels - 1 and norm == "instance")
        x = encode(x, filters[level], "none" if bare else norm, bias)
        skips.append(x)
    for level in reversed(range(levels - 1)):
        share = dropout if levels - 2 - level < 3 else 0
        x = decode(x, skips[level], filters[level], norm, upsampling, share, bias)
    x = ops.tanh(upsample(x, 3, upsampling, bias=True))
    return keras.Model(low, layers.Rescaling(0.5, 0.5, dtype="float32")(x), name="pix2pix")


# %% [markdown]
# At the paper's size, with batch normalisation, our count of parameters is that of the published
# network to the last digit. In the drawing the arcs are the skips.

# %%
published = unet()
training.describe(published, multiple=256)
assert published.count_params() == 54_425_859
display.network_diagram(published)

# %% [markdown]
# Eight halvings ask for photos of 256×256, of which the bottom keeps one pixel. Ours may have
# fewer; any photo is padded by the loader to a multiple of `2**levels` and the result cropped.
#
# Keras decides how precisely a network computes when it is built, so each of ours is built under
# the setting `precision`; the weights stay in 32 bits.


# %%
def in_precision(precision, build, *sizes):
    """Build a network that computes in the given precision."""
    with core.dtype_policy(precision):
        return build(*sizes)


# %% [markdown]
# `partial` fixes all sizes, so that `new_generator()` can make the same network several times, once
# for each way in which it will be trained.

# %%
new_generator = partial(in_precision, precision, unet, width, levels, norm, upsampling, dropout)
core.set_seed(seed)
generator = new_generator()
training.describe(generator, multiple=2**levels)

# %% [markdown]
# What do its levels see before training? The first channel of each: fewer pixels, and each of them
# depends on more of the photo.

# %%
encoder = [layer.output for layer in generator.layers if isinstance(layer, layers.LeakyReLU)]
padded = core.pad_to_divisor(low, 2**levels)
seen = keras.Model(generator.input, encoder)(padded[None])
display.show_images({f"level {n + 1}": shown(f, 1)[0] for n, f in enumerate(seen)})

# %% [markdown]
# ## The discriminator: patches, not photos
#
# The discriminator gets the dark photo and a bright one and answers with a *map* of logits:
# above zero for "this is the real photo". A *logit* is a probability before the sigmoid: 0 stands
# for one half, −4 and 4 for 2 % and 98 %. Each logit sees 70×70 pixels only. Whether a whole photo
# has the right brightness is left to the pixel loss; the discriminator is there for what a pixel
# loss cannot tell, texture and sharpness. It gets the dark photo as well, because the question is
# not whether the bright one is beautiful but whether it belongs to this one.
#
# Three levels like those of the encoder halve the size. Two more convolutions keep the stride at 1;
# each pads by one pixel and has a kernel of four, so it takes a row and a column away.


# %%
def patch_gan(width=64, norm="batch"):
    """Build the discriminator: ``[low, bright]`` (N, H, W, 3) to logits, one per patch."""
    low, bright = (keras.Input((None, None, 3), name=name) for name in ("low", "bright"))
    x = layers.Rescaling(2.0, -1.0)(layers.Concatenate()([low, bright]))
    x = encode(x, width, "none")
    x = encode(encode(x, 2 * width, norm), 4 * width, norm)
    for filters in (8 * width, 1):
        start = keras.initializers.RandomNormal(0.0, 0.02)
        last = filters == 1
        x = layers.ZeroPadding2D()(x)
        x = layers.Conv2D(filters, 4, use_bias=last, kernel_initializer=start)(x)
        x = x if last else leaky()(normalization(norm)(x))
    return keras.Model([low, bright], x, name="patch_gan")


# %% [markdown]
# Again the count is the published one. From 256 pixels to 32 by three halvings, and to 30 by
# the last two convolutions: 900 answers for a photo.

# %%
discriminator = patch_gan()
assert discriminator.count_params() == 2_770_433
answer = discriminator([np.zeros((1, 256, 256, 3))] * 2)
print(f"{discriminator.count_params():,} parameters; 256x256 in, {answer.shape} out")
display.network_diagram(discriminator)

# %% [markdown]
# Is it really 70? Ask the gradient: which pixels can change the logit in the middle? Those at which
# the derivative of the logit is not zero; together they are its *receptive field*.
#
# Keras differentiates when it trains. Outside of training the backend has to be asked, and the two
# that the suite runs on say it differently.


# %%
def gradient(function, x):
    """Return the gradient of a scalar function at ``x`` under either backend."""
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(function)(x))
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    return tape.gradient(value, x).numpy()


# %% [markdown]
# What the two photos show does not matter, so they are noise. The derivatives for the three colours
# of a pixel are added up: one map.


# %%
def receptive_field(discriminator, side=256):
    """Return the map of pixels (side, side) that the middle logit depends on."""
    rng = np.random.default_rng(0)
    low, bright = (ops.convert_to_tensor(rng.random((1, side, side, 3), "float32")) for _ in "ab")
    middle = discriminator([low, bright]).shape[1] // 2

    def logit(bright):
        return discriminator([low, bright])[0, middle, middle, 0]

    return np.abs(gradient(logit, bright)[0]).sum(axis=-1)


# %% [markdown]
# A narrow discriminator will do: the field depends on kernels and strides alone. It has no
# normalisation here: instance normalisation computes its mean over the whole photo, so with it each
# logit depends a little on every pixel. Fewer ways lead to the logit from the edge of the field
# than from its middle, hence the root in the picture.

# %%
field = receptive_field(patch_gan(8, "none"))
rows, columns = np.nonzero(field)
print(f"{np.ptp(rows) + 1}x{np.ptp(columns) + 1} pixels")
display.show_images({"root of the influence": np.sqrt(field)})

# %% [markdown]
# ## Two losses, two networks
#
# With $x$ for the dark photo, $y$ for the well-lit one, $D$ for the discriminator, $G$ for the
# generator, and $H$ for the cross-entropy with a label, 1 for real and 0 for not:
#
# $$ L_D = \frac{1}{2}\left[H(1, D(x, y)) + H(0, D(x, G(x)))\right], \qquad
#    L_G = H(1, D(x, G(x))) + \lambda\,\mathrm{mean}\,|y - G(x)| $$
#
# The discriminator wants to tell the two apart; the generator wants to be mistaken for real, and
# to be near the pair. The papers' λ belongs to images in [-1, 1], where differences are twice
# ours; `pixel_loss` therefore doubles them. What the versions that people train have in common,
# and what not:
#
# | | paper | TensorFlow tutorial | LOL project |
# |---|---|---|---|
# | λ | 100 | 100 | 115 |
# | rates of G and D | 2e-4, 2e-4 | 2e-4, 2e-4 | 1e-4, 5e-5 |
# | L_D halved | yes | no | yes |
# | slope of the activation | 0.2 | 0.3 | not stated |
# | length | 200 epochs | 40,000 steps | 150 epochs |
# | test data | apart | apart | scenes of the training data |


# %%
def pixel_loss(normal, enhanced, ssim_weight=0.0):
    """Return the mean absolute difference on the scale [-1, 1], plus weighted SSIM."""
    loss = 2 * ops.mean(ops.abs(normal - enhanced))
    if ssim_weight:
        loss += 2 * ssim_weight * ms_ssim_loss(normal, enhanced, 1)
    return loss


# %% [markdown]
# The cross-entropy is the price of an answer; the surer a wrong one is, the more it costs.

# %%
loss = partial(pixel_loss, ssim_weight=ssim_weight)
for logit in (-4.0, 0.0, 4.0):
    real, fake = (float(training.cross_entropy(label, logit)) for label in (1.0, 0.0))
    print(f"logit {logit:+.0f}: {real:.3f} if it should be real, {fake:.3f} if not")

# %% [markdown]
# A discriminator that knows nothing says 0 to everything and pays ln 2, about 0.693, per answer.
# When its loss is far below, it is winning.
#
# ## One step of both
#
# Many programs train the two in turn and *freeze* one network while the other moves, which went
# wrong when Keras changed what freezing means (`06_resnet_gan` shows how). There is no need for
# it: a gradient is taken for chosen variables, and whatever was not chosen stays where it is.


# %%
def gradients(loss, weights):
    """Return the gradients of ``loss()`` for the chosen weights under either backend."""
    if keras.backend.backend() == "jax":
        import jax

        def at(values):
            with keras.StatelessScope(zip(weights, values, strict=True)):
                return loss()

        return jax.grad(at)([weight.value for weight in weights])
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = loss()
    return tape.gradient(value, weights)


# %% [markdown]
# The whole step: the gradients of $L_D$ for the discriminator's weights and of $L_G$ for the
# generator's, both from the weights before it; then each optimizer moves its own network. The two
# losses are those of the formulas, line by line. (`scale_loss` matters in 16 bits only, where small
# gradients would be rounded to zero.)


# %%
def adversarial_step(gan, low, normal, update=("discriminator", "generator")):
    """Train the named networks on one batch, each along the gradients of its own loss."""
    low, normal = ops.convert_to_tensor(low), ops.convert_to_tensor(normal)
    generator, discriminator = gan.generator, gan.discriminator

    def discriminator_loss():
        real = discriminator([low, normal], training=True)
        fake = discriminator([low, generator(low, training=True)], training=True)
        loss = (training.cross_entropy(1.0, real) + training.cross_entropy(0.0, fake)) / 2
        return discriminator.optimizer.scale_loss(loss)

    def generator_loss():
        enhanced = generator(low, training=True)
        fake = discriminator([low, enhanced], training=True)
        loss = gan.pixel_weight * gan.pixel_loss(normal, enhanced)
        return generator.optimizer.scale_loss(loss + training.cross_entropy(1.0, fake))

    losses = {"discriminator": discriminator_loss, "generator": generator_loss}
    moves = {n: gradients(losses[n], getattr(gan, n).trainable_variables) for n in update}
    for name, move in moves.items():
        getattr(gan, name).optimizer.apply(move, getattr(gan, name).trainable_variables)


# %% [markdown]
# `training.GAN` is a Keras model of both networks whose `train_step` does the same, so that Keras'
# own `fit` trains them. It is compiled, and enhances a batch once for both gradients instead of
# twice. Each network has its own Adam, with a short memory of 0.5; with the pixel loss alone it is
# Adam's usual 0.9, after a warm-up.
#
# A `Run` holds the folder and the schedule of a training. `replace` makes another one of it: here
# with the discriminator's rate, and without averaged weights, since nobody will use them.


# %%
def make_gan(
    generator, discriminator, run, discriminator_rate, loss, pixel_weight, adversarial_weight=1.0
):
    """Join two networks for training; with an adversarial weight of 0 the generator alone."""
    options = {"warmup": 0, "beta_1": 0.5} if adversarial_weight else {}
    runs = (run, replace(run, learning_rate=discriminator_rate, ema=0))
    optimizers = (each.optimizer(**options) for each in runs)
    return training.GAN(
        generator, discriminator, *optimizers, loss, pixel_weight, adversarial_weight
    )


# %% [markdown]
# The schedule is that of the second part of the training; the first will be another one of it. The
# discriminator is normalised like the generator.

# %%
run = training.Run(folder, stages, steps, learning_rate, warmup, ema, validate_every, seed)
new_discriminator = partial(in_precision, precision, patch_gan, discriminator_width, norm)

# %% [markdown]
# Does a step move the network that it should move, and no other? We measure it, on two crops and
# small networks. First a batch of crops, cut at the same place from both sides of each pair:


# %%
def batch(pairs, count, crop, seed=0):
    """Return a batch of crops, low and normal."""
    _, dark, bright = zip(*pairs, strict=True)
    return data.PairStream(dark, bright, crop, count, seed)[0]


# %% [markdown]
# How far a network moved: the absolute changes of all its weights, added up.


# %%
def change(network, before):
    """Return how far the trainable weights of a network moved."""
    return sum(
        float(np.abs(np.asarray(v) - old).sum())
        for v, old in zip(network.trainable_variables, before, strict=True)
    )


# %% [markdown]
# A generator with three levels, and two crops of 32×32 pixels:

# %%
small = make_gan(unet(8, 3, norm), new_discriminator(), run, learning_rate, loss, 100.0)
dark, bright = batch(train_pairs, 2, 32, seed)

# %% [markdown]
# One step of each network in turn. The number of the other one should be exactly zero:

# %%
for update in ("discriminator", "generator"):
    before = [[np.asarray(v).copy() for v in n.trainable_variables] for n in small.networks]
    adversarial_step(small, dark, bright, [update])
    moved = [change(n, b) for n, b in zip(small.networks, before, strict=True)]
    print(f"step of the {update:13}: discriminator moved {moved[0]:.3f}, generator {moved[1]:.3f}")

# %% [markdown]
# ## Training, first part: the pixel loss alone
#
# A discriminator is of no use while the generator paints grey fog. We train with the pixel loss
# first, at a rate that suits it, and let the discriminator in afterwards. (The paper starts with
# both at once; with `warm_stages = []` so do we.) It also makes the comparison fair: every λ starts
# from the same weights.
#
# A network in training is looked at as an *enhancer*, the form in which it is used later, with a
# card of facts: any photo is padded to a multiple of `multiple`. The bottom depends on the whole
# photo, so it cannot be cut into tiles: no `halo`.

# %%
about = {"name": "pix2pix", "method": "pix2pix", "inputs": ["low"]}
about |= {"multiple": 2**levels, "halo": None}


def viewer(network, about):
    """Return a network in training as an enhancer, to see its results on whole photos."""
    return Enhancer(training.clipped(network), about)


# %% [markdown]
# Training shows a bar, and after every epoch the losses so far and the example. What it will cost
# is measured before it starts, with the pixel loss alone; the discriminator comes on top of that.

# %%
trial = keras.models.clone_model(generator)
trial.compile("adam", loss, **core.compile_options())
further = 1 + len(lambdas)  # the control, and one for each λ
plan = replace(run, stages=[*warm_stages, *stages * further]).estimate(trial)

# %% [markdown]
# The last argument of `make_gan` is the weight of the discriminator, here 0; λ then only scales the
# loss, which Adam hardly notices. Afterwards the weights of the epoch with the best PSNR on
# validation photos are loaded. With `begin` an enhancer that somebody has trained takes the place
# of this part.

# %%
if begin:
    generator.set_weights(load_enhancer(begin).model.get_weights())
elif warm_stages:
    warm_run = replace(run, folder=folder / "warm", stages=warm_stages, learning_rate=warm_rate)
    warm = make_gan(generator, new_discriminator(), warm_run, discriminator_rate, loss, 100.0, 0)
    watched = warm_run.watchers(viewer(generator, about).enhance, val_pairs, (low, normal))
    history = warm_run.fit_gan(warm, train_pairs, watched)
    training.load_checkpoint(training.best_path(warm_run.folder / "checkpoint.npz"), warm)
    print(f"best PSNR {max(history['val_psnr']):.2f} dB in {len(history['val_psnr'])} epochs")

# %% [markdown]
# ## Training, second part: the discriminator comes in
#
# The same generator goes on in several ways: with the pixel loss alone, as the control, and
# against a discriminator with each λ; with λ = 0 the discriminator alone says what is good. All
# have the same number of further steps and the same batches; the control keeps the memory and the
# warm-up of the pixel loss. They are compared after the last step: choosing the epoch by PSNR would
# prefer those that the discriminator has touched least.
#
# A plan for each way: its folder, the weight of the pixel loss, and that of the discriminator.

# %%
plans = {"pixel loss alone": ("pixel", lambdas[-1], 0.0)}
plans |= {f"λ = {weight}": (f"lambda_{weight}", weight, 1.0) for weight in lambdas}

# %% [markdown]
# Each way has a copy of the generator, a discriminator that has seen nothing, and optimizers of its
# own. `EpochCheckpoints` saves the generator after each epoch, for the sliders further below.

# %%
started, runs = time.time(), {}
for name, (place, *weights) in plans.items():
    print(f"{name}:")
    copy, own_run = new_generator(), replace(run, folder=folder / place)
    copy.set_weights(generator.get_weights())
    gan = make_gan(copy, new_discriminator(), own_run, discriminator_rate, loss, *weights)
    watched = own_run.watchers(viewer(copy, about).enhance, val_pairs, (low, normal))
    saver = training.EpochCheckpoints(copy, own_run.folder, keep)
    runs[name] = gan, own_run.fit_gan(gan, train_pairs, [*watched, saver])
print(f"{len(runs)} runs of {run.total_steps} steps in {time.time() - started:.0f} s")

# %% [markdown]
# The losses of both networks with the last λ. A discriminator loss near ln 2 means that it cannot
# tell the two apart, one near 0 that it always can, and then the adversarial loss runs away;
# balance lies between. The pixel loss is on the scale [-1, 1].

# %%
gan, history = runs[f"λ = {lambdas[-1]}"]
print(f"last epoch: discriminator {history['discriminator_loss'][-1]:.3f}, ", end="")
print(f"adversarial {history['adversarial_loss'][-1]:.3f}; ln 2 = {np.log(2):.3f}")
display.loss_curves(history)

# %% [markdown]
# The example by each of them. Compare edges, and areas that should be even.

# %%
viewers = {name: viewer(trained.generator, about) for name, (trained, _) in runs.items()}
shown_runs = {name: enhancer.enhance(low) for name, enhancer in viewers.items()}
display.show_images({"low": low, "normal": normal, **shown_runs})

# %% [markdown]
# What does the discriminator think of them? It is asked about the real photo and about that of the
# last run, against which it was trained. The generator needs sides that its levels can halve, so
# both photos are padded first.

# %%
padded_low, padded_normal = (
    ops.convert_to_tensor(core.pad_to_divisor(image, 2**levels)[None]) for image in (low, normal)
)

# %% [markdown]
# An opinion is a pair: the dark photo, and the bright one that is to belong to it.

# %%
opinions = {"of the real photo": padded_normal, "of ours": gan.generator(padded_low)}
logits = {k: shown(gan.discriminator([padded_low, image]), 1)[0] for k, image in opinions.items()}
print("; ".join(f"{name}: mean {opinion.mean():+.3f}" for name, opinion in logits.items()))

# %% [markdown]
# The same as maps, one value for each patch: above zero is "real". The scale is fixed and ends at
# -4 and 4, where the discriminator is sure by 98 %. One that cannot tell the two apart gives both
# the same colours.

# %%
display.show_images(logits, limits=(-4, 4))

# %% [markdown]
# ## What the discriminator adds, and what it costs
#
# A score of the whole photo hardly sees texture. So two measures of *fine detail* stand beside it:
# what a Gaussian of 1.5 pixels takes away from the brightness.

# %%
fine = {name: metrics.fine_detail(image) for name, image in {"low": low, "normal": normal}.items()}
fine |= {name: metrics.fine_detail(image) for name, image in shown_runs.items()}
display.show_images(fine, limits=(-0.1, 0.1))

# %% [markdown]
# *Sharpness* is its strength as a share of that in the real photo: a ratio of deviations, 1 where
# both are alike. *True detail* is the correlation with that of the real photo: 1 where it is the
# same up to a factor, 0 where it has nothing to do with it. A method that invents texture, or that
# leaves the noise in, has much of the first and less of the second.
#
# All runs on validation photos, whole and blind, from eight scenes on with a 95 % interval.
# `auto_gamma`, a curve without any training, shows what brightening alone is worth.

# %%
measures = ("psnr", "ssim", "sharpness", "true_detail")
methods = {"auto_gamma": enhancers.auto_gamma}
methods |= {name: enhancer.enhance for name, enhancer in viewers.items()}
told = {"data": f"{source}, val", "scenes": val_pairs.scenes}
records = [evaluation.evaluate(n, m, val_pairs, measures, **told) for n, m in methods.items()]
evaluation.save_records("05_pix2pix", records, folder)
Markdown(evaluation.table(records))

# %% [markdown]
# A short training can leave hardly a trace of the discriminator. The same cells with the profile
# `discriminator` gave the record below, on LOL's pairs: all go on from the shipped `pix2pix`, for
# 900 steps, against a discriminator of twice the width at four times the rate.

# %%
on_lol = evaluation.load_records("pix2pix_lol")
Markdown(evaluation.table(on_lol))

# %% [markdown]
# What that looks like: a window of our example by those networks. Above, the pixel loss alone, then
# λ = 100 and 10; below, λ = 1 and 0, and the real photo. (Colours are those of LOL, which they were
# trained on.) Look at the pattern that comes in from one to the next, and for it in the real photo.

# %%
sheet = core.load_image(core.data_dir() / "pictures" / "discriminator.png")
display.show_images({"pixel loss alone, λ = 100, 10, 1, 0, and the real photo": sheet})

# %% [markdown]
# Overlapping intervals do not mean a draw. So we subtract the control, the pixel loss alone for the
# same steps, photo by photo (`02_metrics` says why). Where the interval of the difference holds 0,
# it stays open which of the two has more.

# %%
control = on_lol["pixel loss alone"]
judged = [name for name in on_lol if name.startswith("λ")]
changes = {
    measure: {n: evaluation.paired_difference(on_lol[n], control, measure) for n in judged}
    for measure in measures
}


# %% [markdown]
# As a picture: each line is an interval, and a λ whose line stays clear of 0 changed something.


# %%
def change_rows(found):
    """Return what `display.interval_plot` draws: name, mean and ends of each difference."""
    return [(name, gap["mean"], gap["low"], gap["high"]) for name, gap in found.items()]


# %%
rows = change_rows(changes["sharpness"])
display.interval_plot(rows, "sharpness less that of the control", zero=True)

# %%
rows = change_rows(changes["true_detail"])
display.interval_plot(rows, "true detail less that of the control", zero=True)

# %% [markdown]
# What the discriminator is worth, in words that are computed from the intervals: for each measure
# the λ with more than the control, those with less, and those where it stays open.


# %%
def verdict(found):
    """Return which runs have more than the control, less, or neither for certain."""
    sides = {"more": [], "less": [], "open": []}
    for name, gap in found.items():
        sides["more" if gap["low"] > 0 else "less" if gap["high"] < 0 else "open"].append(name)
    return "; ".join(f"{side}: {', '.join(names)}" for side, names in sides.items() if names)


# %%
print(*(f"{measure:12} {verdict(changes[measure])}" for measure in measures), sep="\n")

# %% [markdown]
# Invented detail hides where the photo shows nothing, so we also look at the darkest window. A
# running mean over 64×96 pixels finds it; windows that would stick out at the edge do not count.


# %%
def darkest_window(photo, height=64, width=96):
    """Return the slices of the darkest window of a photo."""
    means = ndimage.uniform_filter(photo.mean(axis=-1), (height, width), mode="reflect")
    inside = means[height // 2 : -height // 2 + 1, width // 2 : -width // 2 + 1]
    top, left = np.unravel_index(np.argmin(inside), inside.shape)
    return np.s_[top : top + height, left : left + width]


# %% [markdown]
# How much of the detail is true there? The mean over all validation photos:


# %%
def true_in_the_dark(method, pair):
    """Return the true detail of a method in the darkest window of one pair."""
    photo, truth = (core.to_float(image) for image in pair[1:])
    window = darkest_window(photo)
    return metrics.true_detail(method(photo)[window], truth[window])


# %%
in_the_dark = {n: np.mean([true_in_the_dark(m, p) for p in val_pairs]) for n, m in methods.items()}
print(*(f"{name:18} {value:.2f}" for name, value in in_the_dark.items()), sep="\n")

# %% [markdown]
# The darkest window of the first validation photo, to be looked at. Multiplied to the mean of the
# truth, it can be compared by eye.

# %%
photo, truth = (core.to_float(image) for image in val_pairs[0][1:])
window = darkest_window(photo)
factor = truth[window].mean() / max(photo[window].mean(), 1e-3)

# %% [markdown]
# Beside it what each run makes of it, and the truth. Compare structures, not brightness.

# %%
crops = {"low, brightened": np.clip(photo[window] * factor, 0, 1)}
crops |= {name: method(photo)[window] for name, method in methods.items() if name in runs}
display.show_images({**crops, "normal": truth[window]})

# %% [markdown]
# ## The pattern of a transposed convolution
#
# A transposed convolution spreads each pixel over 4×4 others with a stride of 2, and neighbouring
# outputs are made by different weights of the kernel. Unless these agree, an even grey surface
# comes out as a fine checkerboard. We paint one: the photo that goes in is flat, so whatever
# differs from the mean was added. Only the inner part counts, since at its border a convolution
# meets zeros.


# %%
def flat_output(upsampling, seed):
    """Enhance a flat photo with an untrained U-Net; return the inner part of the result."""
    keras.utils.set_random_seed(seed)
    flat = np.full((1, 128, 128, 3), 0.2, "float32")
    return ops.convert_to_numpy(unet(16, 3, "none", upsampling)(flat))[0, 32:96, 32:96]


# %% [markdown]
# How much of a variation repeats with every second pixel? A Fourier transform writes a picture as a
# sum of waves, and this is the shortest that pixels can show: it lies in the middle of the
# spectrum, along the rows, along the columns, or along both. The power there, as a share of all:


# %%
def checkerboard(image):
    """Return the share of a picture's variation that repeats with every second pixel."""
    grey = image.mean(axis=-1)
    grey = grey[: len(grey) // 2 * 2, : grey.shape[1] // 2 * 2]
    power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
    middle = power.shape[0] // 2, power.shape[1] // 2
    peaks = power[middle[0], 0] + power[0, middle[1]] + power[middle]
    return float(peaks / max(power.sum(), 1e-12))


# %% [markdown]
# Both ways of upsampling, untrained. The deviation says how much was added, the share what kind of
# pattern it is.

# %%
surfaces = {kind: flat_output(kind, seed) for kind in ("transpose", "resize")}
added = {k: s.mean(axis=-1) - s.mean() for k, s in surfaces.items()}
for name, surface in surfaces.items():
    print(f"{name:10} deviation {added[name].std():.1e}, ", end="")
    print(f"every second pixel {checkerboard(surface):.3f}")

# %% [markdown]
# The upper left of what was added, 24×24 pixels, in the same colours for both:

# %%
furthest = max(float(np.abs(each).max()) for each in added.values())
display.show_images({k: a[:24, :24] for k, a in added.items()}, limits=(-furthest, furthest))

# %% [markdown]
# Training can make the weights agree, and the pixel loss wants it to. The same measure on the
# trained networks, in the upper left of the example, the real photo beside it:

# %%
corner = np.s_[8:72, 8:72]
for name, image in {**shown_runs, "normal": normal}.items():
    print(f"{name:18} every second pixel {checkerboard(image[corner]):.1e}")

# %% [markdown]
# ## Try it: epochs and λ
#
# The saved epochs of each run, on the example. Watch when detail appears, and when it changes
# without coming nearer to the truth. The picture below is the starting point of the sliders.

# %%
saved = {k: list(training.saved_epochs(folder / p).values()) for k, (p, *_) in plans.items()}
views: dict = {}

# %% [markdown]
# The sliders call a function with their positions; `views` remembers its pictures, so that none is
# computed twice. A run with fewer epochs than the slider shows its last one.


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
# The enhancer is the generator of the last λ, its averaged weights, in 32 bits. Without dropout and
# with normalisation over the photo, if any, the same photo always gives the same result; the
# paper keeps both random and says so. The discriminator has done its work and is left behind.

# %%
final = unet(width, levels, norm, upsampling, dropout)
final.set_weights(gan.generator.get_weights())

# %% [markdown]
# The card says how the network came about, so that whoever finds the file need not ask.

# %%
facts = {"data": source, "pairs": len(train_pairs), "precision": precision}
facts |= {"width": width, "levels": levels, "norm": norm, "dropout": dropout}
facts |= {"grow": upsampling, "judge_width": discriminator_width}  # keys of the first cards
facts |= {"pixel_weight": lambdas[-1], "ssim_weight": ssim_weight}
facts |= {"warm_stages": warm_stages, "warm_rate": warm_rate, "begin": begin}
facts |= {"judge_rate": discriminator_rate}

# %% [markdown]
# Saved, loaded again as a user would, and asked twice about the same photo:

# %%
card = run.card(about, train_pairs.licence, **facts)
trained = load_enhancer(save_enhancer(final, folder / "pix2pix", card))
again = [trained.enhance(low) for _ in range(2)]
print("the same twice:", np.array_equal(*again))

# %% [markdown]
# ## What came of it
#
# The example by two curves that know nothing of networks, by what was just trained, and by what the
# project ships. The sentence below is computed from the scores. One photo is an example, no
# test: the record above has the shipped one on LOL's photos, and the simulated camera is not LOL's.

# %%
learnt = {"trained here": trained.enhance(low)}
learnt["shipped"] = load_enhancer("pix2pix").enhance(low)
plain = {name: enhancers.BASELINES[name](low) for name in ("gamma", "auto_gamma")}
pictures, sentence = evaluation.outcome(low, normal, plain, learnt)
display.show_images(pictures, columns=3)

# %%
print(f"After {run.total_steps} steps here: {sentence}")

# %% [markdown]
# Does the brightness of the result follow that of the photo? The same scene well lit and dark, each
# also with a quarter of its light. Two wishes meet here. An exposure that is missing should be made
# up for, and instance normalisation does that. But not every scene should end at one brightness.
# Each line has the mean before and after.

# %%
reached = {}
for name, photo in {"normal": normal, "low": low}.items():
    for share in (1.0, 0.25):
        seen = photo * np.float32(share)
        reached[name, share] = float(trained.enhance(seen).mean())
        print(f"{share:.2f} of {name:6}: {seen.mean():.3f} -> {reached[name, share]:.3f}")

# %% [markdown]
# Is the order of the two photos, with all of their light, still that of what came in?

# %%
order = "brighter" if reached["normal", 1.0] > reached["low", 1.0] else "no brighter"
print(f"the well-lit photo comes out {order} than the dark one")

# %% [markdown]
# ## Where it fails
#
# **A photo that needs nothing.** The generator has only seen dark photos and does to a good one
# what it does to all. **Other noise, other light.** Beyond its training it repeats what it
# knows. **Below the noise** whatever it paints is a guess, and nothing in the picture says where.

# %%
good = core.to_float(data.sample_scenes()["coffee"])[::2, ::2]
night = data.darken(good, 0, data.Camera(exposure=0.01, photons=1000, read_noise=0.004))
pictures = {"well exposed": good, "and enhanced": trained.enhance(good)}
pictures |= {"a hundredth of the light": night, "enhanced": trained.enhance(night)}
display.show_images(pictures, columns=2)

# %% [markdown]
# ## Exercises
#
# **1.** The tutorial does not halve $L_D$. How much does that change a step of Adam? (*Hint:* train
# two equal discriminators for one step, one of them with a doubled loss.)
#
# <details><summary>Solution</summary>Adam divides the gradient by its own size, so a factor
# cancels, but for the small number that it adds to the divisor: gradients that are not large beside
# it move a little less. With clipping or plain gradient descent nothing would cancel.</details>


# %% tags=["solution"]
def move_of_a_step(factor, seed):
    """Return how a small discriminator moves in one step of Adam with its loss times a factor."""
    keras.utils.set_random_seed(seed)
    discriminator = patch_gan(8, "none")
    before = discriminator.get_weights()
    discriminator.compile(
        keras.optimizers.Adam(1e-3, beta_1=0.5),
        lambda y, logits: factor * training.cross_entropy(1.0, logits),
        **core.compile_options(),
    )
    discriminator.train_on_batch([dark, bright], np.ones((len(dark), 1)))
    after = discriminator.get_weights()
    return np.concatenate([(a - b).ravel() for a, b in zip(after, before, strict=True)])


# %% tags=["solution"]
half, full = (move_of_a_step(factor, seed) for factor in (0.5, 1.0))
print(f"largest move {np.abs(full).max():.1e}, largest difference {np.abs(full - half).max():.1e}")

# %% [markdown]
# **2.** Keep dropout on when enhancing, as the paper does, and enhance the example eight times. How
# much do the results differ from pixel to pixel?
#
# <details><summary>Solution</summary>Call the network with `training=True`. The paper observes
# only minor differences between such results; compare the deviation with the error.</details>

# %% tags=["solution"]
random = unet(width, levels, "none" if norm == "none" else "instance", upsampling, 0.5)
random.set_weights(final.get_weights())
several = [ops.convert_to_numpy(random(padded[None], training=True))[0] for _ in range(8)]
print(f"deviation between runs {np.std(several, axis=0).mean():.4f}, ", end="")
print(f"mean error {np.abs(again[0] - normal).mean():.4f}")

# %% [markdown]
# **3.** How large is the receptive field of a discriminator with one level less? Build it and
# probe.
#
# <details><summary>Solution</summary>34×34: from the last layer backwards the field grows as
# (n − 1) · stride + 4, with strides 1, 1, 2, 2.</details>


# %% tags=["solution"]
def smaller_discriminator(width=8):
    """Build a discriminator with two strided levels."""
    low, bright = (keras.Input((None, None, 3)) for _ in range(2))
    x = encode(encode(layers.Concatenate()([low, bright]), width, "none"), width, "none")
    x = leaky()(layers.Conv2D(width, 4)(x))
    return keras.Model([low, bright], layers.Conv2D(1, 4)(x))


# %% tags=["solution"]
side = np.ptp(np.nonzero(receptive_field(smaller_discriminator()))[0]) + 1
expected = 1
for stride in (1, 1, 2, 2):
    expected = (expected - 1) * stride + 4
print(f"measured {side}, by the formula {expected}")

# %% [markdown]
# ## What was learnt
#
# - The bottom of a U-Net sees the whole photo; skips carry detail past it.
# - A discriminator of patches judges texture; the pixel loss keeps brightness and place.
# - Gradients for chosen variables train two networks without freezing any.
# - Sharper is not truer: a discriminator can raise the strength of fine detail without bringing it
#   closer to the real photo. Measure both, beside a run without the discriminator.
# - Transposed convolutions leave a grid unless training removes it: measure, do not trust.
#
# The next notebook takes another generator apart, and shows how such training breaks.

# %%
print(core.versions())
