"""The house: which folder of the package may import from which. ``make house`` prints it.

Floors from the bottom up; a file imports from its own folder and from lower floors only.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "lle_utils"
FLOORS = (
    ("core",),
    ("nn",),
    ("data", "metrics", "display"),
    ("training", "enhancers", "evaluation", "notebook_tools"),
    ("serving", "benchmarks", "experiments"),
    ("cli",),
)
FLOOR_OF = {folder: number for number, floor in enumerate(FLOORS, 1) for folder in floor}


def imported_modules(text: str, inside: Path, package: Path = PACKAGE) -> set[str]:
    """Return the modules of the package that a source imports, anywhere in it, as dotted names.

    Args:
        text: Python source.
        inside: Its folder, which relative imports start from.
        package: Folder of the package.
    """
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                start = inside
                for _ in range(node.level - 1):
                    start = start.parent
                parts = start.relative_to(package.parent).parts
                base = ".".join([*parts, *([base] if base else [])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == package.name}


def arrows(package: Path = PACKAGE) -> dict[tuple[str, str], list[str]]:
    """Return the arrows between folders: (from, to) -> the imports behind it."""
    found: dict[tuple[str, str], list[str]] = {}
    for path in sorted(package.rglob("*.py")):
        own = path.relative_to(package).parts[0]
        for name in sorted(
            imported_modules(path.read_text(encoding="utf-8"), path.parent, package)
        ):
            parts = name.split(".")
            folder = parts[1] if len(parts) > 1 else ""
            if (package / folder).is_dir() and folder and folder != own:
                found.setdefault((own, folder), []).append(f"{path.relative_to(package)}: {name}")
    return found


def file_circles(package: Path = PACKAGE) -> list[list[str]]:
    """Return circles of imports among files, each as the files it passes."""
    files = {
        ".".join([package.name, *path.relative_to(package).with_suffix("").parts]): path
        for path in package.rglob("*.py")
    }
    files = {name.removesuffix(".__init__"): path for name, path in files.items()}
    graph = {}
    for name, path in files.items():
        wanted = imported_modules(path.read_text(encoding="utf-8"), path.parent, package)
        graph[name] = {n if n in files else n.rpartition(".")[0] for n in wanted} & set(files)
    state: Counter = Counter()
    circles: list[list[str]] = []

    def visit(name: str, trail: list[str]) -> None:
        state[name] = 1
        for other in sorted(graph[name] - {name}):
            if state[other] == 1:
                circles.append([*trail[trail.index(other) :], other])
            elif not state[other]:
                visit(other, [*trail, other])
        state[name] = 2

    for name in sorted(graph):
        if not state[name]:
            visit(name, [name])
    return circles


def problems(package: Path = PACKAGE) -> list[str]:
    """Return a sentence for every folder without a floor, wrong arrow and circle."""
    folders = {path.name for path in package.iterdir() if (path / "__init__.py").is_file()}
    said = [
        f"{folder}/ is on no floor of tests/project/house.py." for folder in folders - set(FLOOR_OF)
    ]
    for (own, other), imports in arrows(package).items():
        if FLOOR_OF.get(own, 99) <= FLOOR_OF.get(other, 99) and own in folders:
            said.append(f"{own} must not import from {other}: {'; '.join(imports)}")
        elif own not in folders:
            said.append(f"a file beside the folders imports: {'; '.join(imports)}")
    return said + [f"circle: {' -> '.join(circle)}" for circle in file_circles(package)]


def summary(package: Path = PACKAGE) -> str:
    """Count floors, folders, files and arrows in a sentence."""
    files = [p for p in package.rglob("*.py") if p.name != "__init__.py"]
    return (
        f"{len(FLOORS)} floors, {len(FLOOR_OF)} folders, {len(files)} files, "
        f"{len(arrows(package))} arrows between folders, {len(file_circles(package))} circles"
    )


if __name__ == "__main__":
    for number, floor in reversed(list(enumerate(FLOORS, 1))):
        print(f"{number}  {', '.join(floor)}")
    for own, other in sorted(arrows()):
        print(f"   {own} -> {other}")
    print("\n".join([*problems(), summary()]))
