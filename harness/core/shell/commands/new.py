"""``harness new``: the skeleton of a plugin as a package, which runs before anything is changed."""

import keyword
import re
from importlib import resources
from pathlib import Path
from string import Template

import click

from harness.core.plugins import registry
from harness.core.plugins.loading import Kind
from harness.core.shell.printing import echo
from harness.errors import UsageError

#: Names that are valid for a distribution (PEP 508), an entry point and the command line alike.
_NAME = re.compile(r"[a-z][a-z0-9]*([._-][a-z0-9]+)*\Z")
_SUMMARIES: dict[Kind, str] = {
    "backend": "a backend that declines every task",
    "task": "logistic regression",
    "dataset": "2,000 pictures of a bright bar among noise, 32x32x3",
}
#: Modules beside the first one, by the ends of their names.
_FURTHER: dict[Kind, tuple[str, ...]] = {"backend": ("layers", "program")}
#: A first command that shows the plugin at work.
_FIRST: dict[Kind, str] = {
    "backend": "harness check {name} --task mlp --cases",
    "task": "harness run --backend torch --task {name}",
    "dataset": "harness data verify {name}",
}


@click.command()
@click.argument("kind", metavar="KIND", type=click.Choice(["backend", "task", "dataset"]))
@click.argument("name")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the package. It may exist; no file in it is overwritten. Default: a folder named "
    "harness-NAME here.",
)
def command(kind: Kind, name: str, folder: Path | None) -> None:
    """Write the skeleton of a plugin: a package with a module, its entry point and tests.

    KIND is backend, task or dataset. NAME is its name on the command line, such as tinygrad. The skeleton
    runs at once: a backend declines every task, a task trains on handwritten digits, a data set is
    generated.

    \b
      harness new backend tinygrad
      harness new task wide-mlp --to plugins/wide-mlp

    Exit code: 0, or 2 if the name is invalid or taken, or a file exists.
    """  # noqa: D301  click's mark for lines that it must not wrap
    _require_free(kind, name)
    texts = skeleton(kind, name)
    folder = folder or Path(f"harness-{name}")
    _require_absent(folder, texts)
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with (folder / path).open("x", encoding="utf-8") as file:
            file.write(text)
        echo(f"wrote {folder / path}")
    echo(f'\nInstall it:  pip install -e "{folder}[test]"')
    echo(f"Try it:      {_FIRST[kind].format(name=name)}")


def skeleton(kind: Kind, name: str) -> dict[str, str]:
    """The files of a plugin's package, by their paths in it."""
    templates = resources.files("harness.core.shell") / "skeletons"
    parts = _FURTHER.get(kind, ())
    words = name.replace("-", " ").replace(".", " ").replace("_", " ").split()
    module = "harness_" + "_".join(words)
    fields = {
        "kind": kind,
        "name": name,
        "distribution": f"harness-{name}",
        "module": module,
        "class_name": "".join(word.capitalize() for word in words),
        "summary": _SUMMARIES[kind],
        "modules": ", ".join(f'"{each}.py"' for each in (module, *(f"{module}_{part}" for part in parts))),
    }
    sources = {
        "pyproject.toml": templates / "pyproject.toml.template",
        "README.md": templates / kind / "README.md.template",
        f"{module}.py": templates / kind / "module.py.template",
        **{f"{module}_{part}.py": templates / kind / f"{part}.py.template" for part in parts},
        f"tests/test_{module}.py": templates / kind / "test.py.template",
    }
    return {
        path: Template(source.read_text(encoding="utf-8")).substitute(fields)
        for path, source in sources.items()
    }


def _require_free(kind: Kind, name: str) -> None:
    label = "data set" if kind == "dataset" else kind
    if not _NAME.match(name) or keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} is not a valid name of a {label}; use lower-case letters and digits, with single "
            "hyphens, underscores or dots between them, such as my-numpy."
        )
    if name in registry.names(kind):
        raise UsageError(f"a {label} named {name!r} is already installed; choose another name.")


def _require_absent(folder: Path, texts: dict[str, str]) -> None:
    """Refuse before the first file is written."""
    present = [str(folder / path) for path in texts if (folder / path).exists()]
    if present:
        raise UsageError(f"{', '.join(present)}: exists and is not overwritten; choose another --to DIR.")
