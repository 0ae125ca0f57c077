"""The option ``--dataset``: the name of a data set, or a file or folder of the user's own."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.core.machine.files import is_folder
from harness.core.plugins import registry
from harness.core.shell import completion
from harness.core.shell.parameters import each_once
from harness.core.shell.printing import print_error_line
from harness.errors import UsageError

_F = TypeVar("_F", bound=Callable[..., Any])

#: Names that end like this are files, whether or not they exist.
_SUFFIXES = {".npz", ".csv", ".parquet"}
_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--dataset",
        shell_complete=completion.DATASETS,
        metavar="NAME|PATH",
        help="Data set, or data of your own: a file .npz (x and y, or x_train …), .csv or .parquet, or a "
        "folder of pictures by class. An error if it cannot be obtained. Default: the task's own, or, with a "
        "notice, a stand-in if that cannot be obtained.",
    ),
    click.option("--target", metavar="COLUMN", help="Column that is predicted, of a .csv or .parquet."),
    click.option("--image-size", metavar="N|HxW", help="Size to which the pictures of a folder are resized."),
    click.option(
        "--set-data",
        multiple=True,
        callback=each_once,
        metavar="NAME=VALUE",
        help="Setting of a data file: labels=classes|numbers|tokens (default: from their type), "
        "inputs=numbers|tokens, test=SHARE (0.2), shuffle=false (the last samples are the test data), "
        "standardize=none|inputs|all (all for tables, otherwise none), drop=COLUMN,COLUMN; repeatable.",
    ),
)


def dataset(function: _F) -> _F:
    """Take ``--dataset`` as the name ``dataset``; a file is read first, and its data set gets a name."""

    @functools.wraps(function)
    def called(*positional: Any, **given: Any) -> Any:
        own = {name: given.pop(name) for name in ("target", "image_size", "set_data")}
        assignments = [
            f"{name}={value}" for name in ("target", "image_size") if (value := own[name]) is not None
        ]
        given["dataset"] = provided(
            given["dataset"], [*assignments, *own["set_data"]], quiet=bool(given.get("quiet"))
        )
        return function(*positional, **given)

    decorated: Any = called
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def provided(text: str | None, assignments: list[str], *, quiet: bool) -> str | None:
    """Return the name of the data set ``text``; a file is read with the settings ``assignments``."""
    if text is None or not is_path(text):
        if assignments:
            raise UsageError(
                "--target, --image-size and --set-data are for a file of your own, such as --dataset data.csv"
            )
        return text
    from harness.core.data_files.providing import provide  # NumPy is behind it
    from harness.core.data_files.settings import parse_settings

    read = provide(Path(text), parse_settings(assignments))
    if not quiet:
        print_error_line(read.sentence)
    return read.dataset.name


def is_path(text: str) -> bool:
    """Check whether ``text`` names a file or folder, and not a data set."""
    path = Path(text)
    if "/" in text or path.suffix.lower() in _SUFFIXES:
        return True
    return text not in registry.names("dataset") and (
        is_folder(text) or (bool(path.suffix) and path.is_file())
    )
