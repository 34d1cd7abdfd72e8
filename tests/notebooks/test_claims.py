"""Sentences that a run once contradicted do not come back; every method ends on a picture."""

from pathlib import Path

import pytest
import yaml

from lle_utils.notebook_tools.cells import read_cells, source_path

CLAIMS = yaml.safe_load(Path(__file__).with_name("claims.yml").read_text("utf-8"))

# Each was false, or could be with another seed: what the output showed stands beside it.
ONCE_FALSE = {
    "00_start_here": [
        "middling brightness",  # 0.449 became 0.291
        "only brighter",  # the photo got darker
    ],
    "01_data": ["is lower than it should be"],  # files that were cut off scored higher
    "02_metrics": [
        "spread over more decibels than lie",
        "whoever misses the brightness most is given most",  # gamma misses more, equalize gets more
        "local methods pay",  # equalize is not local and changes the order most
        "more noise makes NIQE worse",
        "it is worth more decibels than the dimmed one",
    ],
    "03_zero_dce": [
        "Dark regions get strong curves",  # the maps were flat
        "smoothness of the maps rises from zero",
        "has its own share of the work",  # all eight maps were alike
        "are pulled towards the exposure target",  # 0.791 became 0.843, the target being 0.48
    ],
    "04_mirnet": [
        "is known to pass 21 dB",  # in no record
        "most of its loss comes from",  # not ablated
        "With the maximum they turn white",  # into stripes
        "noise is learnt sooner",
        "pays with longer training",  # in no record
    ],
    "05_pix2pix": [
        "What is well lit should come out brighter",  # 0.506 against 0.529
        "Nothing to speak of",  # 17 %
    ],
    "06_resnet_gan": [
        "no path leads around its blocks",  # a skip does
        "with three copies of itself",  # never computed
        "neither has learnt much",
    ],
    "07_shed_light": ["weights are those of the paper"],  # 0.2 and 0.1 against 2 and 2
    "08_compare": [
        "that the other metric is sure",
        "with enough light it does harm",  # lumen helps
        "Forty photos settle large leads, not small ones",
    ],
    "09_deploy": [
        "same in each frame, so averaging",  # flicker of 11 became 29
        "Small copies",  # of which nothing was left to see
        "colour everywhere that it has none",  # the map of lumen shows both
        "and brightening enlarges that",  # mirnet made 7.5 of a flicker of 8.4
        "no step becomes quicker by it",  # 308 ms became 220 ms, by chance
    ],
    "14_copies": [
        "averages about 88",  # for errors of one size; from 25 to 106 for others
        "to about three divided by their number",  # 0.020 to 0.091 against 0.047
        "means nothing",
    ],
    "15_runtimes": [
        "draws another picture",  # 39 dB against float: it looks the same
        "can only make one slower",
    ],
}


@pytest.mark.parametrize("name", ONCE_FALSE)
def test_what_was_false_does_not_come_back(name):
    text = source_path(name).read_text(encoding="utf-8").replace("\n# ", " ")
    assert [phrase for phrase in ONCE_FALSE[name] if phrase.lower() in text.lower()] == []


@pytest.mark.parametrize(
    "name", ["03_zero_dce", "04_mirnet", "05_pix2pix", "06_resnet_gan", "07_shed_light"]
)
def test_a_method_ends_on_a_picture_and_a_computed_sentence(name):
    path = source_path(name)
    cells = read_cells(path, path.read_text(encoding="utf-8"))
    code = [cell.source for cell in cells if cell.kind == "code"]
    (place,) = [i for i, text in enumerate(code) if "evaluation.outcome(" in text]
    assert "display.show_images(pictures" in code[place]
    assert '"trained here"' in code[place]
    assert "shipped" in code[place]
    assert "sentence" in code[place + 1]


@pytest.mark.parametrize("name", CLAIMS)
def test_what_is_checked_after_a_run_is_still_said(name):
    text = source_path(name).read_text(encoding="utf-8").replace("\n# ", " ")
    assert [phrase for phrase in CLAIMS[name] if phrase not in text] == []
