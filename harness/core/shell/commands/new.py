"""``harness new``: the skeleton of a plugin as a package, which runs before anything is changed."""

import functools
import keyword
import re
from importlib import resources
from pathlib import Path
from string import Template

import click

from harness.core.documents.files import refuse_foreign_folder
from harness.core.plugins import registry
from harness.core.plugins.loading import GROUPS, LABELS, Kind
from harness.core.shell.features import GROUP, Skeleton, present
from harness.core.shell.main import commands
from harness.core.shell.paths import OutputFolder
from harness.core.shell.printing import echo
from harness.errors import UsageError

#: Names that are valid for a distribution (PEP 508), an entry point and the command line alike.
_NAME = re.compile(r"[a-z][a-z0-9]*([._-][a-z0-9]+)*\Z")


def _plugin(kind: Kind, summary: str, first: str, *further: str) -> Skeleton:
    templates, names = f"harness.core.shell:skeletons/{kind}", functools.partial(registry.names, kind)
    return Skeleton(LABELS[kind], summary, templates, GROUPS[kind], first, names, further)


#: The skeletons of the core, by KIND; features add others.
_SKELETONS = {
    "backend": _plugin(
        "backend",
        "a backend that declines every task",
        "harness check {name} --task mlp --cases",
        "layers",
        "program",
    ),
    "task": _plugin("task", "logistic regression", "harness run --backend torch --task {name}"),
    "dataset": _plugin(
        "dataset", "2,000 pictures of a bright bar among noise, 32x32x3", "harness data verify {name}"
    ),
    "command": Skeleton(
        "command",
        "a command that times matrix products in NumPy",
        "harness.core.shell:skeletons/command",
        GROUP,
        "harness {name}",
        commands,
        ("record", "command", "page"),
        "FEATURE",
    ),
}


def skeletons() -> dict[str, Skeleton]:
    """Return the skeletons by KIND: those of the core, then those of features."""
    return _SKELETONS | present("skeletons")


@click.command()
@click.argument("kind", metavar="KIND", type=click.Choice([*skeletons()]))
@click.argument("name")
@click.option(
    "--to",
    "folder",
    type=OutputFolder(),
    metavar="DIR",
    help="Folder of the package: a new one, or one that has hidden files alone. Default: a folder named "
    "harness-NAME here.",
)
def command(kind: str, name: str, folder: Path | None) -> None:
    """Write the skeleton of a plugin: a package with a module, its entry point and tests.

    KIND is backend, task, dataset, command or study. NAME is its name on the command line, such as tinygrad.
    The skeleton runs at once: a backend declines every task, a task trains on handwritten digits, a data set
    is generated, a command records times of NumPy and shows them as a page, a study compares three widths of
    a network.

    \b
      harness new backend tinygrad
      harness new task wide-mlp --to plugins/wide-mlp
      harness new command matmul
      harness new study widths

    Exit code: 0, or 2 if the name is invalid or taken, or the folder has files.
    """  # noqa: D301  click's mark for lines that it must not wrap
    made = skeletons()[kind]
    _require_free(made, name)
    texts = files_of(made, kind, name)
    folder = folder or Path(f"harness-{name}")
    refuse_foreign_folder(folder)
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with (folder / path).open("x", encoding="utf-8") as file:
            file.write(text)
        echo(f"wrote {folder / path}")
    echo(f'\nInstall it:  pip install -e "{folder}[test]"')
    echo(f"Try it:      {made.first.format(name=name)}")


def files_of(skeleton: Skeleton, kind: str, name: str) -> dict[str, str]:
    """Return the files of a plugin's package, by their paths in it."""
    package, _, path = skeleton.templates.partition(":")
    templates = resources.files(package) / path
    words = name.replace("-", " ").replace(".", " ").replace("_", " ").split()
    module = "harness_" + "_".join(words)
    modules = [module, *(f"{module}_{part}" for part in skeleton.further)]
    fields = {
        "kind": kind,
        "name": name,
        "distribution": f"harness-{name}",
        "module": module,
        "identifier": "_".join(words),
        "class_name": "".join(word.capitalize() for word in words),
        "summary": skeleton.summary,
        "group": skeleton.group,
        "target": ":".join(filter(None, [module, skeleton.attribute])),
        "modules": ", ".join(f'"{each}.py"' for each in modules),
    }
    sources = {
        "pyproject.toml": resources.files("harness.core.shell") / "skeletons" / "pyproject.toml.template",
        "README.md": templates / "README.md.template",
        f"{module}.py": templates / "module.py.template",
        **{f"{module}_{part}.py": templates / f"{part}.py.template" for part in skeleton.further},
        f"tests/test_{module}.py": templates / "test.py.template",
    }
    return {
        path: Template(source.read_text(encoding="utf-8")).substitute(fields)
        for path, source in sources.items()
    }


def _require_free(skeleton: Skeleton, name: str) -> None:
    label = skeleton.label
    if not _NAME.match(name) or keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} is not a valid name of a {label}; use lower-case letters and digits, with single "
            "hyphens, underscores or dots between them, such as my-numpy."
        )
    if name in skeleton.taken():
        raise UsageError(f"a {label} named {name!r} is already installed; choose another name.")
