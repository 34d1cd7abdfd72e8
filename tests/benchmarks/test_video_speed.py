"""The measurement of videos."""

import pytest

from lle_utils.benchmarks import video_speed

av = pytest.importorskip("av")


def test_a_short_clip_is_measured_and_the_rate_is_printed():
    record = video_speed.measure_video(["gamma"], (48, 64), 12)
    assert set(record["seconds"]) == {"alone", "gamma"}
    assert min(record["seconds"].values()) > 0
    told = video_speed.report(record | {"seconds": {"alone": 3.0, "gamma": 4.0}})
    assert "| decoded and encoded | 4.0 |\n| gamma | 3.0 |" in told
    assert "12 frames of 64×48" in told


def test_decoding_and_encoding_alone_loses_no_frame(tmp_path):
    clip = video_speed.write_clip(tmp_path / "clip.mp4", (48, 64), 7)
    video_speed.recode(str(clip), str(tmp_path / "again.mp4"))
    with av.open(str(tmp_path / "again.mp4")) as file:
        shapes = [frame.to_ndarray(format="rgb24").shape for frame in file.decode(video=0)]
    assert shapes == 7 * [(48, 64, 3)]
