"""One notebook, run many times with other parameters, seeds and folds, over many workers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "planning": ["Experiment", "ExperimentError", "PlannedRun", "read_experiment"],
        "running": ["read_results", "run_experiment", "run_planned"],
        "results": ["experiment_page", "group_records", "results_table"],
    },
)
