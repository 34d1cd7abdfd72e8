"""What packing and training from a pack take: seconds, and main memory for packs of any size."""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

from lle_utils.benchmarks.speed import run_python
from lle_utils.core.environment import machine
from lle_utils.core.images import save_image
from lle_utils.core.paths import data_dir, write_json
from lle_utils.data.batches import PairStream
from lle_utils.data.npz_dataset import VERSION, open_pack
from lle_utils.data.packing import Origin, prepare
from lle_utils.data.photo_folders import collect

PAIRS, SHAPE = 200, (400, 600, 3)
LARGE_BYTES = 20 * 10**9
CHUNK = 1 << 24
CROP, BATCH, STEPS = 128, 8, 400


def time_packs(target: str | os.PathLike | None = None) -> Path:
    """Measure packing of made-up pairs and training from a large pack; write the record.

    The large pack is a sparse file of black photos: 20 GB to whoever reads it, little on the disk.

    Args:
        target: The file to write, ``data/results/packs.json`` by default.

    Returns:
        The path written.
    """
    record = {"kind": "packs", "schema": 1, "machine": machine()}
    with tempfile.TemporaryDirectory() as folder:
        _write_photos(Path(folder) / "photos")
        record["pack"] = _measured("pack", folder)
        path = write_sparse_pack(Path(folder) / "large.npz", LARGE_BYTES)
        record["train"] = _measured("train", path) | {"pack_bytes": path.stat().st_size}
    print(report(record))
    return write_json(target or data_dir() / "results" / "packs.json", record)


def report(record: dict) -> str:
    """Print a record of `time_packs` in two sentences."""
    pack, train, here = record["pack"], record["train"], record["machine"]
    size, step = train["pack_bytes"] / 1e9, 1000 * train["seconds"] / train["steps"]
    return (
        f"Packing {pack['pairs']} pairs of 600x400, scenes found: {pack['seconds']:.1f} s, at most "
        f"{pack['peak'] / 1e9:.2f} GB of memory. {train['steps']} batches of {BATCH} crops from a "
        f"pack of {size:.0f} GB: {step:.0f} ms each, at most {train['peak'] / 1e9:.2f} GB. "
        f"{here['processor']}, {here['cores']} cores."
    )


def _measured(what: str, path: str | os.PathLike) -> dict:
    output, peak = run_python("-m", "lle_utils.benchmarks.packs", what, path)
    return json.loads(output.splitlines()[-1]) | {"peak": peak}


def _write_photos(folder: Path) -> None:
    for i in range(PAIRS):
        view = np.random.default_rng(i).integers(40, 255, (20, 30, 3), np.uint8)
        photo = np.kron(view, np.ones((20, 20, 1), np.uint8))
        save_image(folder / "normal" / f"{i}.png", photo)
        save_image(folder / "low" / f"{i}.png", photo // 6)


def write_sparse_pack(path: Path, size: int) -> Path:
    """Write a pack of black photos, 600x400, that takes little room on the disk.

    Args:
        path: The ``.npz`` to write.
        size: Bytes that it shall have, about.
    """
    count = max(size // (2 * int(np.prod(SHAPE))), 2)
    names = np.array([str(i) for i in range(count)])
    splits = np.array(["val" if i % 10 == 0 else "train" for i in range(count)])
    meta = np.array(json.dumps({"version": VERSION, "licence": "made up"}))
    texts = {"name": names, "scene": names, "split": splits, "meta": meta}
    with _SparseFile(path, "w") as file, zipfile.ZipFile(file, "w") as archive:
        for key in ("low", "normal"):
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                header = {"descr": "|u1", "fortran_order": False, "shape": (count, *SHAPE)}
                np.lib.format.write_array_header_1_0(member, header)
                left = count * int(np.prod(SHAPE))
                for length in (*[CHUNK] * (left // CHUNK), left % CHUNK):
                    member.write(bytes(length))
        for key, array in (texts | {"hash": np.zeros((count, 8), np.uint8)}).items():
            with archive.open(f"{key}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return path


class _SparseFile(io.FileIO):
    """A file that skips over long stretches of zeros instead of writing them."""

    def write(self, content) -> int:
        if len(content) >= 4096 and not np.frombuffer(content, np.uint8).any():
            self.seek(len(content), os.SEEK_CUR)
            return len(content)
        return super().write(content)


def _main(what: str, path: Path) -> None:
    start = time.perf_counter()
    if what == "pack":
        origin = Origin("photos", (path / "photos",), collect)
        pack = prepare(origin, path / "pack.npz", progress=False)
        found = {"pairs": len(pack)}
    else:
        pack = open_pack(path)
        stream = PairStream(*pack.subset("train"), CROP, BATCH, steps=STEPS)
        total = sum(float(stream[i][0].sum()) for i in range(STEPS))
        found = {"steps": STEPS, "total": total}
    print(json.dumps(found | {"seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]))
