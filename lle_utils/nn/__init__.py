"""Layers, losses, and what a network costs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "complexity": ["bytes_per_pixel", "multiply_adds"],
        "frozen_layers": [
            "FrozenMean",
            "FrozenNormalization",
            "FrozenPReLU",
            "MeanAndVariance",
            "PlainConvTranspose2x",
            "RowwiseNormalization",
        ],
        "layers": [
            "BlurPool",
            "ConvTranspose2x",
            "EncodeLight",
            "CropLike",
            "Expose",
            "FadeIn",
            "ScalarPReLU",
            "TowardsMean",
            "UpsampleBilinear",
            "UpsampleNearest",
        ],
        "reconstruction_losses": ["charbonnier_loss", "ms_ssim_loss", "ssim_loss"],
        "zero_reference_losses": [
            "WEIGHTS",
            "color_constancy_loss",
            "exposure_control_loss",
            "illumination_smoothness_loss",
            "spatial_consistency_loss",
        ],
    },
)
