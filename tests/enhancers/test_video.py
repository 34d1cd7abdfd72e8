"""Videos: what must stay as it is, what must become steady, and what must not be left behind."""

import functools
import itertools
import re
import signal
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest

from lle_utils.cli import main
from lle_utils.core.images import as_float, luminance, read_uint8, save_image, to_float, to_uint8
from lle_utils.data.synthetic import Camera, darken, sample_scenes
from lle_utils.enhancers.classical import gamma, identity
from lle_utils.enhancers.factory import load_method

av = pytest.importorskip("av", reason="videos need PyAV: pip install 'lle-utils[video]'")
from lle_utils.enhancers import tone_smoothing, video  # noqa: E402  needs PyAV

TICK = Fraction(1, 90_000)  # what phones count in
RATE = 44_100


@functools.cache
def scene_of(name):
    return to_float(sample_scenes()[name])


def pan(count, size=(90, 160), scene="coffee", exposure=0.1, step=2):
    """Yield dark, noisy frames of a camera that moves to the right over a scene."""
    picture = scene_of(scene)
    for index in range(count):
        window = picture[40 : 40 + size[0], index * step : index * step + size[1]]
        shot = Camera(exposure=exposure, photons=1000, read_noise=0.003)
        yield darken(window, [1, index], shot)


def write(
    path, frames, times=None, rotation=None, sound=True, codec="libx264", tags=None, bitrate=None
):
    """Write frames (shown at ``times`` in ticks, 25 per second by default) with a sine tone."""
    frames = [to_uint8(frame) for frame in frames]
    times = [3600 * index for index in range(len(frames) + 1)] if times is None else times
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as container:
        picture = container.add_stream(codec, rate=25, width=width, height=height)
        context = picture.codec_context
        context.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
        context.time_base = picture.time_base = TICK
        if bitrate:
            context.bit_rate = bitrate
        for tag, value in (tags or {}).items():
            setattr(context, tag, value)
        if rotation:
            picture.set_display_rotation(rotation)
        tone = container.add_stream("aac", rate=RATE) if sound else None
        container.metadata["title"] = "a dark pan"
        for image, start, end in zip(frames, times, times[1:], strict=False):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            for tag in ("colorspace", "color_range"):
                setattr(frame, tag, (tags or {}).get(tag, getattr(frame, tag)))
            frame = frame.reformat(format=context.pix_fmt, interpolation=video.EXACT_CONVERSION)
            frame.pts, frame.time_base, frame.duration = start, TICK, end - start
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        if sound:
            _write_tone(container, tone, int(RATE * times[-1] * TICK))
    return path


def _write_tone(container, stream, samples):
    wave = 0.3 * np.sin(2 * np.pi * 440 / RATE * np.arange(samples, dtype=np.float32))
    for start in range(0, samples, 1024):
        part = wave[start : start + 1024]
        frame = av.AudioFrame.from_ndarray(np.stack([part, part]), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def read(path):
    """Decode the frames of a video, as PyAV gives them."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def pixels(frame):
    return frame.to_ndarray(format="rgb24", interpolation=video.EXACT_CONVERSION)


def sound_of(path):
    """Return time and content of each audio packet."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in packets]


def means_of(frames):
    return [luminance(frame).mean() for frame in frames]


def of_floats(method):
    """Return a method for frames, which are of 8 bits, made of one for floats."""
    return lambda low: method(to_float(low))


def jittering():
    """Return a method that brightens more and less in turn, as no method should."""
    exponents = itertools.cycle((0.40, 0.50))
    return lambda low: gamma(as_float(low), next(exponents))


@pytest.fixture(scope="module")
def phone(tmp_path_factory):
    """A video as phones make them: held upright, frames at uneven times, with sound."""
    steps = np.random.default_rng(0).integers(1500, 9000, 24)
    times = np.concatenate([[0], np.cumsum(steps)]).tolist()
    path = tmp_path_factory.mktemp("phone") / "phone.mp4"
    return write(path, pan(24), times, rotation=90)


# What stays


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_times_sound_size_rotation_and_title_stay(phone, tmp_path, suffix):
    target = tmp_path / f"out{suffix}"
    figures = video.enhance_video(phone, target, of_floats(gamma))
    old, new = read(phone), read(target)
    assert figures["frames"] == len(new) == len(old) == 24
    assert {(f.width, f.height, f.rotation) for f in new} == {(160, 90, 90)}
    old_sound, new_sound = sound_of(phone), sound_of(target)
    assert [content for _, content in new_sound] == [content for _, content in old_sound]
    # Matroska counts milliseconds, and from the first packet, here one of sound before zero.
    tolerance = 0.0011 if suffix == ".mkv" else 1e-9
    shift = float(new_sound[0][0] - old_sound[0][0])
    assert abs(shift) < 0.03
    for before, after in zip(old, new, strict=True):
        assert after.time == pytest.approx(before.time + shift, abs=tolerance)
    for (before, _), (after, _) in zip(old_sound, new_sound, strict=True):
        assert float(after) == pytest.approx(float(before) + shift, abs=tolerance)
    assert len({round(b.time - a.time, 3) for a, b in itertools.pairwise(new)}) > 10
    with av.open(str(target)) as container:
        assert container.metadata["title"] == "a dark pan"
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    assert np.mean([pixels(f).mean() for f in new]) > 2 * np.mean([pixels(f).mean() for f in old])


def test_odd_sides_get_one_more_row_and_column(tmp_path):
    frames = [frame[:49, :65] for frame in pan(5)]
    source = write(tmp_path / "odd.mkv", frames, sound=False, codec="ffv1")
    assert {(f.width, f.height) for f in read(source)} == {(65, 49)}
    video.enhance_video(source, tmp_path / "odd.mp4", of_floats(identity))
    new = read(tmp_path / "odd.mp4")
    assert {(f.width, f.height) for f in new} == {(66, 50)}
    difference = luminance(pixels(new[2])[:49, :65] - 255 * frames[2])
    assert np.abs(difference).mean() < 3


def test_a_bare_stream_without_times_is_played_at_its_rate(tmp_path):
    with av.open(str(tmp_path / "bare.h264"), "w") as container:
        picture = container.add_stream("libx264", rate=25, width=64, height=48)
        for index in range(8):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = index
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
    assert {frame.pts for frame in read(tmp_path / "bare.h264")} == {None}
    video.enhance_video(tmp_path / "bare.h264", tmp_path / "out.mp4", of_floats(identity))
    times = [frame.time for frame in read(tmp_path / "out.mp4")]
    np.testing.assert_allclose(times, 0.04 * np.arange(8), atol=1e-4)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"colorspace": 1, "color_range": 1, "color_primaries": 1, "color_trc": 1},  # BT.709
        {"colorspace": 5, "color_range": 2},  # BT.601 in the full range, as phones did
    ],
)
def test_dark_colours_come_back_the_same(tmp_path, tags):
    colours = np.random.default_rng(0).integers(0, 60, (12, 1, 1, 3)) / 255
    frames = np.broadcast_to(colours, (12, 32, 48, 3))
    source = write(tmp_path / "a.mp4", frames, sound=False, tags=tags)
    video.enhance_video(source, tmp_path / "b.mp4", of_floats(identity))
    old, new = read(source), read(tmp_path / "b.mp4")
    errors = [pixels(b).astype(int) - pixels(a) for a, b in zip(old, new, strict=True)]
    assert np.abs(errors).max() <= 4
    assert abs(np.mean(errors)) < 0.5
    assert {(f.colorspace, f.color_range) for f in new} == {
        (f.colorspace, f.color_range) for f in old
    }


def test_the_shipped_default_makes_a_dark_video_brighter(phone, tmp_path, capsys):
    target = tmp_path / "bright.mp4"
    assert main.main(["video", str(phone), str(target)]) == 0
    said = capsys.readouterr().out
    assert f"{target}: 24 frames" in said
    assert "frame by frame" in said
    old, new = (np.mean([pixels(f).mean() for f in read(path)]) for path in (phone, target))
    assert new > 2 * old


# What becomes steady


def smoothed(frames, method, smoothing):
    """Return the results frame by frame, the smoothed ones, and where scenes begin."""
    smooth = tone_smoothing.smoother(smoothing)
    enhanced = [method(frame) for frame in frames]
    results = [smooth(*pair) for pair in zip(frames, enhanced, strict=True)]
    cuts = [index for index, (_, is_cut) in enumerate(results) if is_cut]
    return enhanced, [image for image, _ in results], cuts


def test_the_flicker_of_a_jittering_method_nearly_goes():
    frames = list(pan(30))
    before, after, cuts = smoothed(frames, jittering(), 0.8)
    assert cuts == []
    flicker, left = (tone_smoothing.flicker(means_of(images)) for images in (before, after))
    assert flicker > 10
    # The moving average passes (1 - a) / (1 + a) = 1 / 9 of an alternation.
    assert left < flicker / 7
    assert np.mean(after[10:]) == pytest.approx(np.mean(before[10:]), rel=0.02)


def test_smoothing_zero_changes_nothing():
    frames = list(pan(4))
    before, after, _ = smoothed(frames, jittering(), 0)
    for enhanced, result in zip(before, after, strict=True):
        np.testing.assert_array_equal(result, enhanced)


def test_a_steady_fade_is_left_alone():
    """The curve of a fixed method is the same in every frame, however dark the frame is."""
    window = scene_of("coffee")[:90, :160]
    frames = [darken(window, 0, Camera(exposure=share)) for share in np.linspace(0.5, 0.1, 25)]
    before, after, cuts = smoothed(frames, gamma, 0.9)
    assert cuts == []
    assert means_of(before)[0] - means_of(before)[-1] > 0.15
    for enhanced, result in zip(before, after, strict=True):
        assert np.abs(result - enhanced).mean() < 0.5 / 255
        assert np.abs(result - enhanced).max() < 8 / 255


def test_colours_keep_their_ratios():
    frames = list(pan(3))
    before, after, _ = smoothed(frames, jittering(), 0.8)
    inside = (after[2] < 0.99).all(axis=-1) & (before[2].min(axis=-1) > 0.02)
    ratio = after[2][inside] / before[2][inside]
    assert inside.mean() > 0.5
    np.testing.assert_allclose(ratio, ratio[:, :1] * np.ones(3), rtol=1e-4)
    assert np.abs(ratio - 1).mean() > 0.01


def test_the_curve_starts_again_at_a_cut():
    frames = [*pan(8), *pan(8, scene="stereo_motorcycle", exposure=0.3)]

    def by_brightness(low):  # every network decides by the brightness of the photo
        return gamma(low, 0.3 + luminance(low).mean())

    before, after, cuts = smoothed(frames, by_brightness, 0.9)
    assert cuts == [8]
    np.testing.assert_array_equal(after[8], before[8])
    assert np.abs(after[9] - before[9]).mean() < 0.5 / 255
    assert (
        tone_smoothing.flicker(means_of(after), cuts) < tone_smoothing.flicker(means_of(after)) / 2
    )


def test_flicker_leaves_out_cuts_and_nothing_else():
    means = [0.1, 0.2, 0.3, 0.9, 0.8, 0.7]
    assert tone_smoothing.flicker(means, [3]) == pytest.approx(0, abs=1e-9)
    assert tone_smoothing.flicker(means, [2]) > 10
    assert tone_smoothing.flicker([0.5, 0.6], []) == 0


def test_the_figures_of_a_whole_run(tmp_path, capsys):
    source = write(tmp_path / "in.mp4", pan(20), sound=False)
    figures = video.enhance_video(source, tmp_path / "out.mp4", jittering(), 0.8)
    assert figures["frame_by_frame"] > 10
    assert figures["smoothed"] < figures["frame_by_frame"] / 7
    shown = [pixels(frame) / 255 for frame in read(tmp_path / "out.mp4")]
    # Encoding evens out a part of what is left.
    assert 0.5 < tone_smoothing.flicker(means_of(shown)) / figures["smoothed"] < 1.1


def test_a_quarter_of_the_pixels_is_enough_to_smooth_a_large_frame_by(tmp_path, monkeypatch):
    source, results = write(tmp_path / "in.mp4", pan(12), sound=False), {}
    height, width = next(pan(1)).shape[:2]
    for kind, pixels_measured in {"all": height * width, "few": height * width // 4}.items():
        monkeypatch.setattr(video, "MEASURED_PIXELS", pixels_measured)
        target = tmp_path / f"{kind}.mp4"
        figures = video.enhance_video(source, target, jittering(), 0.8)
        results[kind] = figures["kept"], [pixels(frame).mean() for frame in read(target)]
    (kept, whole), (kept_by_few, by_few) = results["all"], results["few"]
    assert kept_by_few == pytest.approx(kept, rel=0.2)
    assert by_few != whole  # of 255
    np.testing.assert_allclose(by_few, whole, atol=1)


# What goes wrong


def fails_with(capsys, *words):
    """Run a command that must fail and return what it said, one line without a traceback."""
    assert main.main(["video", *map(str, words), "--method", "gamma"]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("lle: ")
    return message


def test_what_cannot_be_done_is_named_and_nothing_is_written(phone, tmp_path, capsys):
    target = tmp_path / "out.mp4"
    (tmp_path / "text.mp4").write_text("no video at all\n" * 99)
    (tmp_path / "text.txt").write_text("no video at all\n" * 99)
    (tmp_path / "empty.mp4").write_bytes(b"")
    save_image(tmp_path / "photo.png", next(iter(pan(1))))
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        _write_tone(container, container.add_stream("aac", rate=RATE), RATE)
    (tmp_path / "link.mp4").symlink_to(phone)
    before = phone.read_bytes()
    for source, words, expected in (
        (tmp_path / "none.mp4", [target], "none.mp4: no such video file"),
        (tmp_path, [target], "no such video file"),
        (tmp_path / "text.mp4", [target], "text.mp4 is not a video"),
        (tmp_path / "text.txt", [target], "text.txt is not a video"),
        (tmp_path / "empty.mp4", [target], "empty.mp4 is not a video"),
        (tmp_path / "photo.png", [target], "photo.png is not a video"),
        (tmp_path / "sound.mp4", [target], "sound.mp4 has no video stream"),
        (phone, [phone], "is the video itself"),
        (phone, [tmp_path / "link.mp4", "--overwrite"], "is the video itself"),
        (phone, [tmp_path / "out.avi"], "use one of .mp4, .mov, .mkv"),
        (phone, [target, "--level", -1], "expected a mean brightness"),
        (phone, [target, "--smoothing", 1], "smoothing is 1; expected 0 (off) to below 1"),
    ):
        assert expected in fails_with(capsys, source, *words)
    assert phone.read_bytes() == before
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith((".partial", "out"))]


def test_sound_that_the_target_cannot_hold_is_named(tmp_path, capsys):
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        picture = container.add_stream("libx264", rate=25, width=64, height=48)
        sound = container.add_stream("tta", rate=RATE, format="s16")
        for index in range(3):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = index
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2 * RATE), np.int16), "s16", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        container.mux([*sound.encode(frame), *sound.encode(None)])
    assert (
        video.enhance_video(tmp_path / "in.mkv", tmp_path / "a.mkv", of_floats(gamma))["frames"]
        == 3
    )
    assert [content for _, content in sound_of(tmp_path / "a.mkv")] == [
        content for _, content in sound_of(tmp_path / "in.mkv")
    ]
    assert "The sound (tta) is copied" in fails_with(
        capsys, tmp_path / "in.mkv", tmp_path / "out.mp4"
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mkv", "in.mkv"]


def test_a_damaged_video_is_dropped_and_the_message_says_where(tmp_path, capsys):
    times = [9000 * index for index in range(31)]  # three seconds
    whole = write(tmp_path / "whole.mp4", pan(30), times)
    content = bytearray(whole.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    (tmp_path / "hole.mp4").write_bytes(content)
    whole = write(tmp_path / "whole.mkv", pan(30), times)
    (tmp_path / "short.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    for name in ("hole.mp4", "short.mkv"):
        said = fails_with(capsys, tmp_path / name, tmp_path / "out.mp4")
        second = float(said.split(" after ")[1].split(" s")[0])
        assert 0.8 < second < 2.2
        assert "damaged" in said
    names = ["hole.mp4", "short.mkv", "whole.mkv", "whole.mp4"]
    assert sorted(p.name for p in tmp_path.iterdir()) == names


def test_a_failing_method_leaves_nothing(phone, tmp_path):
    frames = iter(range(10))

    def breaks(low):
        next(frames)
        return low

    with pytest.raises(StopIteration):
        video.enhance_video(phone, tmp_path / "out.mp4", breaks)
    assert list(tmp_path.iterdir()) == []


def lamps(count=40):
    """Yield frames under light that flickers; a method for each photo evens it out by itself."""
    window = scene_of("coffee")[:90, :160]
    for index in range(count):
        yield window * (0.20 - 0.01 * (index % 2))


def tripod(count=40):
    """Yield frames of a scene at rest, dark and noisy, for an encoder that is given few bits."""
    yield from pan(count, exposure=0.05, step=0)


CLIPS = {
    "lamps": (lamps, {"codec": "ffv1"}, "auto_gamma"),
    "noisy pan": (functools.partial(pan, 40, exposure=0.03), {}, "auto_gamma"),
    "compressed tripod": (tripod, {"bitrate": 40_000}, "zero_dce_pp"),
    "compressed pan": (functools.partial(pan, 40), {"bitrate": 60_000}, "lumen_tiny"),
    "jitter": (functools.partial(pan, 40), {}, jittering),
}


@pytest.mark.parametrize("name", CLIPS)
def test_of_smoothed_and_frame_by_frame_the_steadier_is_kept(name, tmp_path, capsys):
    frames, options, method = CLIPS[name]
    source = write(tmp_path / "in.mkv", frames(), sound=False, **options)
    method = load_method(method) if isinstance(method, str) else method()
    figures = video.enhance_video(source, tmp_path / "out.mp4", method)
    with capsys.disabled():
        print(f"\n{name}: { {k: round(v, 3) for k, v in figures.items()} }")
    best = min(figures["frame_by_frame"], figures["smoothed"])
    worst = max(figures["frame_by_frame"], figures["smoothed"])
    assert figures["kept"] <= best + 0.25 * (worst - best) + 0.03


def test_what_is_kept_is_told(tmp_path, capsys):
    source = write(tmp_path / "in.mkv", lamps(), sound=False, codec="ffv1")
    words = ["video", str(source), str(tmp_path / "out.mp4"), "--method", "auto_gamma"]
    assert main.main(words) == 0
    said = capsys.readouterr().out
    share = int(re.search(r"the smoothed result in (\d+)% of the frames", said)[1])
    assert 0 < share < 50
    assert re.search(r"40 frames in \d+ s, [\d.]+ a second", said)
    assert main.main([*words, "--overwrite", "--smoothing", "0"]) == 0
    assert "Kept is the result frame by frame" in capsys.readouterr().out


def test_a_preview_shows_three_moments_before_and_after(tmp_path, capsys):
    source = write(tmp_path / "in.mp4", pan(40), sound=False)
    look = tmp_path / "look.png"
    words = ["video", str(source), "--preview", str(look), "--method", "gamma"]
    assert main.main(words) == 0
    before, after = np.split(read_uint8(look), 2, axis=1)
    assert before.shape == (3 * 90, 160, 3)
    expected = to_uint8(gamma(to_float(before)))
    np.testing.assert_array_equal(after, expected)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".mp4"] == ["in.mp4"]
    assert main.main(words) == 0
    assert "exists and was skipped" in capsys.readouterr().out
    assert main.main(["video", str(source)]) == 1
    assert "either OUT" in capsys.readouterr().err


def test_what_exists_is_kept_unless_told_otherwise(phone, tmp_path, capsys):
    target = tmp_path / "out.mp4"
    target.write_bytes(b"mine")
    words = ["video", str(phone), str(target), "--method", "gamma"]
    assert main.main(words) == 0
    assert "exists and was skipped" in capsys.readouterr().out
    assert target.read_bytes() == b"mine"
    assert main.main([*words, "--overwrite"]) == 0
    assert len(read(target)) == 24


def test_the_level_is_the_mean_of_every_frame(phone, tmp_path):
    target = tmp_path / "level.mp4"
    words = ["--method", "gamma", "--level", "0.4"]
    assert main.main(["video", str(phone), str(target), *words]) == 0
    means = [pixels(frame).mean() / 255 for frame in read(target)]
    np.testing.assert_allclose(means, 0.4, atol=0.02)


def test_a_level_is_chosen_once_for_every_shot():
    frames = [*pan(4), *pan(4, scene="stereo_motorcycle", exposure=0.3)]
    chosen = []

    def choose(low):
        chosen.append(float(low.mean()))
        return chosen[-1]

    enhance = tone_smoothing.level_per_shot(lambda low, level: level, choose)
    levels = [enhance(frame) for frame in frames]
    assert levels[:4] == 4 * [frames[0].mean()]
    assert levels[4:] == 4 * [frames[4].mean()]
    assert len(chosen) == 2


def test_without_pyav_the_package_to_install_is_named(phone, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "lle_utils.enhancers.video")
    said = fails_with(capsys, phone, tmp_path / "out.mp4")
    assert "needs av: pip install 'lle-utils[video]'" in said


def test_killed_at_any_moment_there_is_a_whole_video_or_none(tmp_path):
    source = write(tmp_path / "in.mp4", pan(60, (180, 320)))
    target = tmp_path / "out" / "out.mp4"
    words = [sys.executable, "-m", "lle_utils.cli.main", "video", source, target]
    words += ["--method", "gamma"]

    def start():
        return subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def partial():
        return list(target.parent.glob(".partial-*"))

    rng = np.random.default_rng()
    killed = 0
    for longest in (0.1, 0.5, 1.0):
        process = start()
        while process.poll() is None and not list(target.parent.glob(f".partial-{process.pid}-*")):
            time.sleep(0.005)
        time.sleep(rng.uniform(0, longest))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        if target.exists():
            assert len(read(target)) == 60
            target.unlink()
    assert killed >= 2, "the runs ended before they could be killed"
    assert start().wait() == 0
    assert len(read(target)) == 60
    assert not partial()
