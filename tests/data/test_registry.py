"""The registry of data sets: the real one is sound, and each kind of mistake is named."""

import pytest

from lle_utils.data.download import download_dataset
from lle_utils.data.registry import RegistryError, load_registry

GOOD = """
[lamp]
title = "Lamp"
description = "Photos of a lamp"
source = "https://example.org/lamp"
licence = "CC0"
[[lamp.mirrors]]
kind = "http"
url = "https://example.org/lamp.zip"
"""


def write(tmp_path, text):
    path = tmp_path / "registry.toml"
    path.write_text(text)
    return path


def test_the_project_registry_names_every_set_of_the_sources():
    registry = load_registry()
    drive = {m.id for d in registry.values() for m in d.mirrors if m.kind == "drive"}
    assert {
        "157bjO1_cFuSd0HWDUuAmcHRJDVyWpOxB",
        "1G6fi9Kiu7CDnW2Sh7UQ5ikvScRv8Q14F",
        "1jiO810sQgmkRDMxwRmSWImJOKh9gG3-p",
        "1QjsfY7fODsM_RkJxMO_no9VGachuivhk",
        "1HiLtYiyT9R7dR9DRTLRlUUrAicC4zzWN",
        "16VoHNPAZ5Js19zspjFOsKiGRrfkDgHoN",
    } <= drive
    pages = " ".join(m.page for d in registry.values() for m in d.mirrors)
    for part in ("SID/Sony.zip", "SID/Fuji.zip", "LoL-Dataset", "basu369victor"):
        assert part in pages
    assert registry["lol_v1"].files["eval15/high"] == 15


def test_an_entry_is_read_with_its_defaults(tmp_path):
    lamp = load_registry(write(tmp_path, GOOD))["lamp"]
    assert (lamp.title, lamp.licence, lamp.format, lamp.files) == ("Lamp", "CC0", "zip", {})
    assert lamp.approximate_bytes is None
    assert lamp.mirrors[0].page == "https://example.org/lamp.zip"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('licence = "CC0"\n', "", r"\[lamp\]: missing licence"),
        ('licence = "CC0"', 'license = "CC0"\nlicence = "CC0"', "unknown license"),
        ('title = "Lamp"', "title = 3", "title is int; expected str"),
        ('title = "Lamp"', 'title = "Lamp"\nformat = "tar"', "format is 'tar'"),
        ('title = "Lamp"', 'title = "Lamp"\nimages = "many"', "images is str; expected int"),
        ('kind = "http"', 'kind = "ftp"', "mirror 1: kind is 'ftp'"),
        ('url = "https://', 'id = "https://', "mirror 1: missing url"),
        ('url = "https://example.org/lamp.zip"', 'url = "lamp.zip"', "url is 'lamp.zip'"),
        ("lamp.zip", 'lamp.zip"\nsha256 = "12', "sha256 must be 64"),
        ("lamp.zip", 'lamp.zip"\nmd5 = "12', "mirror 1: unknown md5"),
        ("[[lamp.mirrors]]\nkind", "mirrors = []\nkind", "unknown kind, url"),
        ("[lamp]", "[../lamp]", "not valid TOML"),
        ("[lamp]", '["../lamp"]', "lower-case letters"),
    ],
)
def test_a_mistake_is_named(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(RegistryError, match=message):
        load_registry(write(tmp_path, GOOD.replace(old, new, 1)))


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    registry = load_registry(write(tmp_path, GOOD))
    with pytest.raises(RegistryError, match=r"'lamb'.*Known: lamp"):
        download_dataset("lamb", tmp_path, registry)
