"""Time Zero-DCE++ on 12 megapixels in PyTorch and here, in turns, and write the record.

``python tests/benchmarks/measure_pytorch.py PYTHON`` on a quiet machine, PYTHON being one that has
PyTorch. A photo of 8 bits goes in and one comes out, in memory; of PyTorch the network alone, from
float32 to float32, is timed too.
"""

import json
import subprocess
import sys
from statistics import median

HEIGHT, WIDTH = 3000, 4000
TURNS, REPEATS = 3, 5
METHOD = "zero_dce_pp"


def in_pytorch() -> dict:
    """Time the network of Li, Guo and Loy, PAMI 2021, section 3.2: with weights by chance."""
    import torch
    from torch import nn
    from torch.nn import functional

    def separable(before: int, after: int) -> nn.Module:
        depthwise = nn.Conv2d(before, before, 3, padding=1, groups=before)
        return nn.Sequential(depthwise, nn.Conv2d(before, after, 1))

    class Curves(nn.Module):
        def __init__(self, scale: int = 12, width: int = 32) -> None:
            super().__init__()
            self.scale = scale
            self.down = nn.ModuleList(separable(w, width) for w in (3, *[width] * 3))
            self.up = nn.ModuleList(separable(2 * width, w) for w in (width, width, 3))

        def forward(self, photo):
            small = functional.interpolate(photo, scale_factor=1 / self.scale, mode="bilinear")
            seen = [small]
            for layer in self.down:
                seen.append(functional.relu(layer(seen[-1])))
            _, first, second, third, x = seen
            for layer, skip in zip(self.up[:2], (third, second), strict=True):
                x = functional.relu(layer(torch.cat([skip, x], 1)))
            maps = torch.tanh(self.up[2](torch.cat([first, x], 1)))
            maps = functional.interpolate(maps, size=photo.shape[2:], mode="bilinear")
            for _ in range(8):
                photo = photo + maps * (photo * photo - photo)
            return photo

    network = Curves().eval()
    photo = torch.randint(0, 60, (HEIGHT, WIDTH, 3), dtype=torch.uint8)
    in_floats = photo.permute(2, 0, 1)[None].float() / 255

    def enhance():
        result = network(photo.permute(2, 0, 1)[None].float() / 255)
        return (255 * result[0].clamp(0, 1)).round().byte().permute(1, 2, 0).contiguous()

    with torch.no_grad():
        alone = timed(lambda: network(in_floats))["seconds"]
        return {"version": torch.__version__, "alone": alone} | timed(enhance)


def here() -> dict:
    """Time the shipped enhancer as `lle enhance` runs it."""
    from lle_utils.benchmarks.speed import dark_photo
    from lle_utils.enhancers.factory import load_method

    method, photo = load_method(METHOD), dark_photo(HEIGHT, WIDTH)
    return timed(lambda: method(photo))


def timed(run) -> dict:
    """Time some runs after one that is not timed, and measure the memory of the process."""
    import resource
    from time import perf_counter

    run()
    seconds = []
    for _ in range(REPEATS):
        start = perf_counter()
        run()
        seconds.append(perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "peak_bytes": peak}


def in_process(python: str, part: str) -> dict:
    words = [python, __file__, "--part", part]
    answer = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def main(python: str) -> None:
    from lle_utils.core.environment import machine
    from lle_utils.core.paths import data_dir, write_json

    record = {"kind": "pytorch", "schema": 1, "machine": machine(), "method": METHOD}
    record |= {"photo": [HEIGHT, WIDTH]}
    turns = [
        (in_process(python, "in_pytorch"), in_process(sys.executable, "here")) for _ in range(TURNS)
    ]
    for name, parts in zip(("pytorch", "ours"), zip(*turns, strict=True), strict=True):
        record[name] = {
            "median": median(s for part in parts for s in part["seconds"]),
            "peak_bytes": max(part["peak_bytes"] for part in parts),
            "runs": [part["seconds"] for part in parts],
        }
    record["pytorch"]["version"] = turns[0][0]["version"]
    record["pytorch"]["median_alone"] = median(s for turn in turns for s in turn[0]["alone"])
    print({name: record[name] for name in ("pytorch", "ours")})
    print(write_json(data_dir() / "results" / "pytorch.json", record))


if __name__ == "__main__":
    if sys.argv[1] == "--part":
        print(json.dumps({"in_pytorch": in_pytorch, "here": here}[sys.argv[2]]()))
    else:
        main(sys.argv[1])
