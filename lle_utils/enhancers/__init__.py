"""Trained networks and classical methods, applied to photos, folders and videos."""

import lazy_loader

DEFAULT_METHOD = "lumen"  # of commands, page and notebooks, for whoever names none

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "batch": ["Outcome", "enhance_photos", "pending"],
        "classical": [
            "BASELINES",
            "FIXED_EXPONENT",
            "auto_gamma",
            "clahe",
            "equalize",
            "fixed_curve",
            "gamma",
            "gamma_clahe",
            "identity",
        ],
        "brightness": ["default_level"],
        "enhancer": ["Enhancer", "EnhancerError", "check_level"],
        "export": ["export_enhancer", "parity"],
        "exported": ["ExportError", "Exported"],
        "illumination": ["lime", "refine_illumination"],
        "factory": ["Method", "load_developer", "load_method"],
        "fixed_statistics": ["normalizes_channels", "with_fixed_statistics"],
        "onnx_export": ["write_onnx"],
        "onnx_form": ["load_onnx"],
        "onnx_network": ["OnnxNetwork"],
        "raw_enhancer": ["RawEnhancer", "chosen_ratio", "glance"],
        "runtimes": ["EXPORT_TARGETS", "RUNTIMES", "quickest", "quickest_runtimes"],
        "sessions": ["import_openvino"],
        "targets": ["Naming", "left_out", "plan"],
        "storage": [
            "is_raw",
            "list_enhancers",
            "load_card",
            "load_enhancer",
            "record_metrics",
            "save_enhancer",
        ],
        "tiling": [
            "DEFAULT_BLEND",
            "DEFAULT_OVERLAP",
            "KERAS_BYTES",
            "MEMORY_LIMIT",
            "MEMORY_SAFETY_FACTOR",
            "MemoryLimitError",
            "enhance_tiles",
            "parse_memory",
            "tile_side",
        ],
        "tone_smoothing": [
            "VideoError",
            "cut_detector",
            "flicker",
            "level_per_shot",
            "scene_distance",
            "smoother",
            "steadier",
            "tone_gain",
            "tone_sums",
        ],
        "video": ["check_paths", "enhance_video", "preview_video"],
    },
)
