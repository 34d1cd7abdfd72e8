"""What everything stands on: paths, images, files of photos, errors, backend, environment."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "backend": ["CardMemory", "card_memory", "compile_options", "dtype_policy", "set_seed"],
        "environment": [
            "available_memory",
            "machine",
            "processor",
            "resident_memory",
            "usable_cores",
            "versions",
            "watch_memory",
        ],
        "errors": ["is_expected"],
        "exposure": [
            "expose",
            "exposure_gain",
            "linear_to_srgb",
            "mean_brightness",
            "reach",
            "srgb_to_linear",
        ],
        "images": [
            "ImageError",
            "as_float",
            "check_image",
            "convert_like",
            "decode_uint8",
            "load_image",
            "luminance",
            "pad_to_divisor",
            "read_uint8",
            "round_up",
            "save_image",
            "to_float",
            "to_uint8",
        ],
        "markdown": ["markdown_table"],
        "paths": [
            "atomic_path",
            "commit",
            "data_dir",
            "photo_dir",
            "project_root",
            "remove_partial",
            "run_folder",
            "sha256",
            "write_json",
        ],
        "resizing": ["block_mean", "fit_side", "merge_scales", "reduce_to", "resize"],
        "photo_formats": ["Photo", "read_photo", "write_photo"],
        "photo_metadata": ["ORIENTATION", "Metadata", "read_metadata"],
        "resampling": ["enlarge"],
    },
)
