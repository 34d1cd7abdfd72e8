"""`lle enhance` over worker processes, from and to a real S3 server on this machine."""

import json

import numpy as np
import pytest
from archives import contents, killed_archive, put_all, s3_server, write_photos
from PIL import Image
from plan_files import read

from lle_utils.cli import main
from lle_utils.core.addresses import AddressError, fetch, push
from lle_utils.core.paths import data_dir
from lle_utils.data.pack_writer import pack_pairs
from lle_utils.data.pairs import find_pairs
from lle_utils.data.sources import load
from lle_utils.enhancers import archive
from lle_utils.enhancers.batch import settings_text
from lle_utils.enhancers.enhancer import EnhancerError
from lle_utils.enhancers.targets import plan_anywhere
from lle_utils.experiments import planning, running
from lle_utils.experiments.archives import BATCH

for module in ("distributed", "s3fs", "moto", "flask_cors"):
    pytest.importorskip(module, reason="needs the extras remote and test")


@pytest.fixture
def s3(tmp_path):
    with s3_server(tmp_path / "s3.log"):
        yield


def enhance(*words):
    return main.main(["enhance", *map(str, words), "--method", "gamma"])


def work(**changes):
    wanted = {"method": "gamma", "level": None, "quality": 95}
    settings = settings_text(*wanted.values())
    rest = {"runtime": "auto", "memory": 10**9, "at_once": 2, "overwrite": False}
    return archive.Work(**wanted | rest | {"settings": settings, "photos": 4} | changes)


@pytest.mark.slow
def test_killed_workers_lose_nothing_and_do_nothing_twice_but_the_batch_in_work(tmp_path):
    found = killed_archive(tmp_path, 60, 2, "gamma")
    assert found["whole"] == 60
    assert found["others"] == 0
    assert found["twice"] <= 2 * BATCH


def test_the_record_is_of_an_archive_of_which_nothing_was_lost():
    record = json.loads((data_dir() / "results" / "faults_archive.json").read_text("utf-8"))
    assert (record["photos"], record["kills"]) == (500, 5)
    assert (record["whole"], record["others"]) == (500, 0)
    assert record["twice"] <= record["kills"] * BATCH


def test_a_batch_is_skipped_fails_and_is_written_as_files_are(s3, tmp_path):
    write_photos(tmp_path / "photos", 3)
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no photo")
    Image.new("RGB", (32, 24), (9, 9, 9)).save(tmp_path / "photos" / "a.bmp")
    (tmp_path / "photos" / "notes.txt").write_text("no photo either")
    put_all(tmp_path / "photos", "s3://photos/in")
    push(tmp_path / "photos" / "000.png", "s3://photos/in/below/b.png")
    targets = plan_anywhere(["s3://photos/in/"], "s3://bright/out/", recursive=True)
    assert targets["s3://bright/out/below/b_enhanced.png"] == "s3://photos/in/below/b.png"
    batch = list(plan_anywhere(["s3://photos/in"], "s3://bright/out").items())
    assert len(batch) == 5
    ended = {e.photo: e for e in archive.enhance_batch(batch, work())}
    wrong = ended.pop("s3://photos/in/broken.jpg")
    assert wrong.error.startswith("s3://photos/in/broken.jpg")
    assert all(e.written and not e.error for e in ended.values())
    assert enhance(tmp_path / "photos", "-o", tmp_path / "plain") == 1
    made = contents("s3://bright/out")
    assert made == {path.name: path.read_bytes() for path in (tmp_path / "plain").iterdir()}

    again = {e.photo: e for e in archive.enhance_batch(batch, work())}
    assert not any(e.written for e in again.values())
    Image.fromarray(np.full((24, 32, 3), 7, np.uint8)).save(tmp_path / "new.png")
    push(tmp_path / "new.png", "s3://photos/in/001.png")
    changed = [e.photo for e in archive.enhance_batch(batch, work()) if e.written]
    assert changed == ["s3://photos/in/001.png"]
    assert sum(e.written for e in archive.enhance_batch(batch, work(overwrite=True))) == 4


@pytest.mark.slow
def test_folders_over_worker_processes_are_as_on_one(tmp_path, capsys):
    write_photos(tmp_path / "photos", 20)
    for name, words in (("plain", ()), ("shared", ("--processes", "2"))):
        assert enhance(tmp_path / "photos", "-o", tmp_path / name, *words) == 0
    plain = {path.name: path.read_bytes() for path in (tmp_path / "plain").iterdir()}
    assert {p.name: p.read_bytes() for p in (tmp_path / "shared").iterdir()} == plain
    capsys.readouterr()
    assert enhance(tmp_path / "photos", "-o", tmp_path / "shared", "--processes", "1") == 0
    assert "0 enhanced; 20 done before" in capsys.readouterr().out


def test_what_will_not_do_is_refused_before_any_worker_starts(s3, tmp_path, capsys):
    for words, message in (
        (["s3://none/"], "s3://none/: "),
        (["s3://photos/"], "s3://photos/: no photo of a known kind"),
        (["zzz://photos/"], "Protocol not known: zzz"),
        (["a.png", "--processes", "0"], "--processes is 0; expected 1 or more"),
        (["-", "--processes", "1"], "- stands for a stream"),
        (["a.png", "--processes", "1", "-o", "s3://bright/b.png"], "is one file; name a folder"),
        (["a.png", "b/a.png", "-o", "s3://bright"], "would both be written to s3://bright/a_enh"),
    ):
        assert enhance(*words) == 1
        assert message in capsys.readouterr().err


def test_an_upload_that_fails_leaves_nothing(s3, tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"1" * 100)

    def broken(*_):
        raise OSError("the line is cut")

    monkeypatch.setattr("shutil.copyfileobj", broken)
    with pytest.raises(AddressError, match=r"s3://bright/a\.png: the line is cut"):
        push(tmp_path / "a.png", "s3://bright/a.png")
    assert contents("s3://bright") == {}
    with pytest.raises(OSError, match=r"s3://bright/a\.png: no such file"):
        fetch("s3://bright/a.png", tmp_path / "b.png")


def test_a_pack_at_an_address_is_copied_once_and_again_when_it_has_changed(
    s3, tmp_path, monkeypatch
):
    monkeypatch.setenv("LLE_PACK_DIR", str(tmp_path / "packs"))
    rng = np.random.default_rng(0)
    for count in (6, 7):
        for index in range(count):
            photo = rng.integers(0, 255, (24, 32, 3), np.uint8)
            for side, divisor in (("low", 6), ("normal", 1)):
                path = tmp_path / f"pairs{count}" / side / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(photo // divisor).save(path)
        pairs = find_pairs(tmp_path / f"pairs{count}" / "low", tmp_path / f"pairs{count}/normal")
        push(pack_pairs(pairs, tmp_path / f"{count}.npz"), "s3://photos/pack.npz")
        for _ in range(2):
            found = [load("s3://photos/pack.npz", split) for split in ("train", "val", "test")]
            assert sum(map(len, found)) == count
    kept = sorted(path.stat().st_size for path in (tmp_path / "packs").iterdir())
    assert kept == [(tmp_path / f"{count}.npz").stat().st_size for count in (6, 7)]
    with pytest.raises(FileNotFoundError, match=r"s3://photos/none\.npz: no such file"):
        load("s3://photos/none.npz", "train")


@pytest.mark.slow
def test_results_are_pushed_and_what_is_there_is_not_done_again(s3, project, tmp_path):
    experiment = read(project, "notebook: 01_count\nset: {steps: 1}\nseeds: 2\n")
    store, folders = "s3://bright/count", [tmp_path / name for name in ("one", "two")]
    found = [running.run_experiment(experiment, f, 1, root=project, store=store) for f in folders]
    assert found[0] == found[1]
    assert [result["error"] for result in found[0]] == [None, None]
    assert not list(folders[1].glob("*/01_count"))  # the second had nothing to run
    assert sorted(contents(store)) == ["01_count.ipynb", "experiment.json", "result.json"]
    other = read(project, "notebook: 01_count\nset: {steps: 2}\nseeds: 2\n")
    with pytest.raises(planning.ExperimentError, match=r"s3://bright/count/experiment\.json is of"):
        running.run_experiment(other, tmp_path / "three", 1, root=project, store=store)


def test_a_worker_with_other_weights_is_refused():
    with pytest.raises(EnhancerError, match="A worker has another gamma"):
        archive.enhance_batch([("b.png", "a.png")], work(settings="gamma 1234; level its own"))
