"""How good a photo is, with a reference and without."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "artifacts": [
            "chroma_error",
            "flat_noise",
            "highlight_error",
            "noise_gain",
            "overexposed",
            "residual_noise",
        ],
        "brightness": ["LOL_MEAN", "mean_error", "psnr_constant", "psnr_level"],
        "catalog": ["METRICS", "Metric", "score"],
        "color": ["delta_e"],
        "naturalness": [
            "NiqeModel",
            "asymmetric_gaussian",
            "features",
            "fit_pristine",
            "load_pristine",
            "niqe",
            "save_pristine",
        ],
        "perceptual": ["flip", "loe", "lpips"],
        "pixelwise": [
            "checked_pair",
            "curve_errors",
            "mae",
            "psnr",
            "psnr_best_gamma",
            "psnr_dark",
            "psnr_float",
            "psnr_gray",
            "psnr_gtmean",
            "psnr_gtmean_llflow",
            "psnr_gtmean_rgb",
            "psnr_y",
            "rounded_pair",
        ],
        "side_effects": [
            "brightness_change",
            "chroma_spread",
            "darkened",
            "matching_gamma",
            "neutral_error",
            "newly_black",
            "newly_clipped",
            "noise_over_gamma",
        ],
        "spatial_artifacts": ["border_difference", "glow", "grid_amplitude", "overshoot"],
        "squared_error": [
            "ERROR_PARTS",
            "error_split",
            "mse_brightness",
            "mse_color",
            "mse_structure",
        ],
        "structural": ["ssim", "ssim_gray", "ssim_uniform7"],
    },
)
