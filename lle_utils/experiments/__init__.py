"""One notebook, run many times with other parameters, seeds and folds, over many workers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "planned": ["run_planned"],
        "planning": ["Experiment", "PlannedRun", "read_experiment"],
        "records": ["experiment_records"],
        "running": ["read_results", "run_experiment"],
        "results": ["experiment_page", "group_records", "results_table"],
        "values": ["ExperimentError"],
    },
)
