"""Scores, their intervals, records and tables."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "behavior": [
            "LIMITS",
            "Limit",
            "behavior_table",
            "load_behavior",
            "measure_behavior",
            "misses",
            "save_behavior",
            "verdict",
        ],
        "bootstrap": ["bootstrap_interval", "paired_difference"],
        "curve_choice": ["CURVES", "choose_fixed_curve"],
        "outcomes": ["Outcome", "outcome", "standing"],
        "records": ["RecordError", "check_record", "load_records", "save_records"],
        "scoring": ["TOLD", "evaluate", "join_records"],
        "tables": [
            "difference_text",
            "LEADERBOARD",
            "RANKED_BY",
            "change_text",
            "cross_table",
            "leaderboard",
            "ranking",
            "table",
        ],
    },
)
