"""The README and the cards print their numbers from the records."""

import json

import numpy as np
import pytest

from lle_utils.cli import readme_picture
from lle_utils.cli.readme_tables import render_tables
from lle_utils.core.images import read_uint8
from lle_utils.core.paths import data_dir, project_root
from lle_utils.enhancers.storage import list_enhancers, load_card
from lle_utils.evaluation.records import load_records


@pytest.mark.parametrize(
    ("page", "block"), [("README.md", "<!-- leaderboard:lol_val"), ("DEPLOY.md", "<!-- serve")]
)
def test_the_tables_equal_the_records(page, block):
    text = (project_root() / page).read_text(encoding="utf-8")
    assert block in text
    assert render_tables(text) == text


def test_the_web_page_answers_under_load_and_its_memory_is_flat():
    record = json.loads((data_dir() / "results" / "serve.json").read_text(encoding="utf-8"))
    assert (record["clients"], record["seconds"], record["failures"]) == (50, 60, [])
    assert set(record["answers"]) <= {"200", "503"}
    assert record["memory"]["end"] < 1.05 * record["memory"]["early"]


def test_the_cards_of_shipped_enhancers_repeat_their_records():
    records = load_records("lol_val")
    assert list_enhancers()
    for name in list_enhancers():
        card = load_card(data_dir() / "pretrained" / name)
        assert card["metrics"]["summary"] == records[name]["summary"], name
        assert card["metrics"]["protocol"] == records[name]["protocol"], name
        assert card["commit"], name


def test_the_picture_shows_what_the_enhancers_make():
    text = (project_root() / "README.md").read_text(encoding="utf-8")
    assert "(data/pictures/enhanced.jpg)" in text
    shown, made = read_uint8(data_dir() / "pictures" / "enhanced.jpg"), readme_picture.picture()
    assert shown.shape == made.shape
    assert np.abs(shown.astype(int) - made).mean() < 4  # JPEG
