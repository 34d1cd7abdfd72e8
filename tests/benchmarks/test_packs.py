"""The bench of packs: its large pack is a pack, and its record says what was measured."""

import json

import numpy as np

from lle_utils.benchmarks import packs
from lle_utils.core.paths import data_dir
from lle_utils.data.npz_dataset import open_pack


def test_a_sparse_pack_reads_like_any_other(tmp_path):
    path = packs.write_sparse_pack(tmp_path / "p.npz", 10**8)
    pack = open_pack(path)
    assert abs(path.stat().st_size / 1e8 - 1) < 0.05
    assert path.stat().st_blocks * 512 < 1e6  # little of it is on the disk
    assert pack.low.shape == (len(pack), 400, 600, 3)
    assert not np.any(pack.normal[-1])
    with np.load(path) as archive:  # checksums and all
        assert archive["low"].nbytes == pack.low.nbytes


def test_both_cases_are_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(packs, "PAIRS", 4)
    monkeypatch.setattr(packs, "LARGE_BYTES", 10**7)
    record = json.loads(packs.time_packs(tmp_path / "packs.json").read_text("utf-8"))
    assert record["pack"]["pairs"] == 4
    assert record["train"]["total"] == 0
    assert min(record[case]["peak"] for case in ("pack", "train")) > 1e7
    assert "Packing 4 pairs" in capsys.readouterr().out


def test_the_record_is_that_of_a_large_pack():
    record = json.loads((data_dir() / "results" / "packs.json").read_text("utf-8"))
    assert record["train"]["pack_bytes"] > 19e9
    assert record["train"]["peak"] < 2e9
