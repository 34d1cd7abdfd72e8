"""What is known of an enhancer's faults reaches whoever uses it: card, command, help and page."""

import json
import shutil

import pytest

from lle_utils.cli import command, main
from lle_utils.core.images import save_image
from lle_utils.core.paths import data_dir
from lle_utils.data.synthetic import synthetic_pairs
from lle_utils.enhancers import storage
from lle_utils.serving import service

MISSES = ["colour in a grey photo: 65 levels (limit ≤ 2 levels)"]


@pytest.fixture
def enhancers(tmp_path, monkeypatch):
    """Copy two shipped enhancers; one is known to tint grey photos, the other to be safe."""
    for name, misses in {"zero_dce_pp": MISSES, "zero_dce": []}.items():
        folder = tmp_path / "pretrained" / name
        shutil.copytree(data_dir() / "pretrained" / name, folder)
        storage.record_behavior(folder, "four photos", misses)
    monkeypatch.setattr(service, "data_dir", lambda: tmp_path)
    monkeypatch.setattr(storage, "data_dir", lambda: tmp_path)
    monkeypatch.setattr(command, "data_dir", lambda: tmp_path)
    command._with_care.cache_clear()
    return tmp_path / "pretrained"


def test_the_card_keeps_what_it_held_and_tells_the_misses(enhancers):
    card = json.loads((enhancers / "zero_dce_pp" / "card.json").read_text("utf-8"))
    assert card["method"] == "Zero-DCE++"
    assert card["behavior"] == {"data": "four photos", "misses": MISSES}
    assert storage.caution(card) == f"Look at the result: {MISSES[0]}."
    assert storage.caution(storage.load_card(enhancers / "zero_dce")) == ""
    assert storage.caution({}) == ""


def test_the_page_tells_it_of_the_method_that_has_it(enhancers):
    told = {method["name"]: method["caution"] for method in service.offered_methods()}
    assert MISSES[0] in told.pop("zero_dce_pp")
    assert set(told.values()) == {""}


def test_help_names_those_to_look_well_at(enhancers, capsys):
    with pytest.raises(SystemExit):
        main.main(["enhance", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "look well at what these make of a photo: zero_dce_pp --level" in said


def test_the_command_says_it_after_its_work(tmp_path, capsys):
    photo = save_image(tmp_path / "photo.png", synthetic_pairs(1, (32, 40)).low[0])
    for name in ("zero_dce_pp", "gamma"):
        assert main.main(["enhance", str(photo), "--method", name, "--overwrite"]) == 0
        known = storage.list_enhancers()
        card = storage.load_card(data_dir() / "pretrained" / name) if name in known else {}
        said = capsys.readouterr().out
        warning = storage.caution(card)
        assert ("Look at the result" in said) == bool(warning)
        assert warning in said
