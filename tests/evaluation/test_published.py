"""Published scores: each says where it was read, and the two tables do not mix."""

import tomllib

from lle_utils.core.paths import data_dir


def test_every_row_has_scores_in_range_and_a_source_of_its_table():
    tables = tomllib.loads((data_dir() / "published.toml").read_text(encoding="utf-8"))
    assert set(tables) == {"blind", "told"}
    for table in tables.values():
        names = [row["method"] for row in table["rows"]]
        assert len(set(names)) == len(names) > 5
        for row in table["rows"]:
            assert 7 < row["psnr"] < 30, row
            assert 0.1 < row["ssim"] < 1, row
    blind, told = ({r["method"]: r["psnr"] for r in tables[part]["rows"]} for part in tables)
    both = blind.keys() & told.keys()
    assert len(both) >= 4
    assert all(told[name] > blind[name] for name in both)
