"""A project with one notebook, whose training takes seconds: it counts."""

NOTEBOOK = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Count
#
# You will count.

# %% tags=["parameters"]
profile = ""
source = "synthetic"
rate = 0.5
steps = 3
style = "plain"
pause = 0.1
validate_every = 1
seed = 0
output_dir = ""

# %%
import json, os, time

from lle_utils.training.progress import tell_history

os.makedirs(output_dir, exist_ok=True)
if rate == 0.25:
    raise ValueError("a quarter will not do")
path = f"{output_dir}/checkpoint.json"
done = json.load(open(path)) if os.path.exists(path) else [seed]
while len(done) <= steps:
    time.sleep(pause)
    done.append(done[-1] * 31 % 1009 + int(1000 * rate))
    with open(path + ".new", "w") as file:
        json.dump(done, file)
    os.replace(path + ".new", path)
    reached = [20 - 20 * abs(rate - 0.6) + 0.1 * epoch for epoch in range(len(done) - 1)]
    tell_history(path, {"loss": done[1:], "val_psnr": reached})
with open(f"{output_dir}/ended.txt", "a") as file:
    file.write("ended\\n")
"""


def make_project(folder):
    """Make the project in a folder, and return that."""
    (folder / "notebooks" / "profiles").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[project.urls]\nRepository = "https://github.com/someone/some-project"\n'
    )
    (folder / "notebooks" / "profiles" / "quick.yml").write_text("01_count:\n  steps: 4\n")
    (folder / "notebooks" / "01_count.py").write_text(NOTEBOOK)
    return folder
