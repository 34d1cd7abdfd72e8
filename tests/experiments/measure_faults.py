"""Kill workers and scheduler at work, see that nothing is lost, and write the records.

``python tests/experiments/measure_faults.py archive`` (or ``experiment``, ``training``);
minutes each.
"""

import sys
import tempfile
from pathlib import Path

from archives import killed_archive
from faults import TRAINING, killed_experiment

from lle_utils.core.environment import machine
from lle_utils.core.paths import data_dir, write_json

TRIALS = {
    "archive": lambda folder: killed_archive(folder, photos=500, kills=5, method="lumen_tiny"),
    "experiment": lambda folder: killed_experiment(folder, runs=12, workers=3, kills=10),
    "training": lambda folder: killed_experiment(folder, 12, workers=3, kills=10, work=TRAINING),
}


def main(what: str) -> None:
    here = machine()
    with tempfile.TemporaryDirectory() as folder:
        found = TRIALS[what](Path(folder))
    record = {"kind": f"faults_{what}", "schema": 1, "machine": here, **found}
    print(found)
    print(write_json(data_dir() / "results" / f"faults_{what}.json", record))


if __name__ == "__main__":
    main(sys.argv[1])
