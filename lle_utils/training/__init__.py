"""Training that can be killed at any moment and goes on as if nothing had happened."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "checkpoints": [
            "Checkpoint",
            "CheckpointError",
            "averaged_weights",
            "best_path",
            "checkpoint_variables",
            "extend",
            "load_checkpoint",
            "save_checkpoint",
            "use_average",
        ],
        "cost": ["estimate_training", "step_cost", "step_seconds"],
        "gan": ["GAN", "cross_entropy", "discriminator_has_won", "fit_gan"],
        "gan_callbacks": ["EpochCheckpoints", "ImageLogger", "saved_epochs"],
        "loop": ["fit"],
        "optimizers": ["make_optimizer"],
        "run": ["Run", "clipped", "describe"],
        "supervised": ["ValidationPsnr", "fit_pairs"],
        "terms": ["WeightedTerms"],
    },
)
