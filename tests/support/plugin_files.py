"""Distributions with plugins in a folder, as if they were installed there."""

from pathlib import Path


def install(folder: Path, name: str, modules, version="1.0", **points) -> Path:
    """Write the metadata of a distribution, and its modules by their names.

    ``points`` are entry points by kind: ``backends={"mine": "my_module"}``.
    """
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for kind, targets in points.items():
        lines += [f"[harness.{kind}]", *(f"{key} = {target}" for key, target in targets.items())]
    (info / "entry_points.txt").write_text("\n".join([*lines, ""]))
    for module, text in modules.items():
        path = folder / f"{module.replace('.', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder
