"""The comparison from Python: of callables, or of texts as on the command line."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.core.models.reading import SideSpec
from harness.errors import UsageError
from harness.port.comparison import check_models
from harness.port.record import Findings, PortOptions
from harness.tracing.calls import InputShape

Model = str | Callable[..., Any]
Shape = InputShape | Sequence[int]


def check(a: Model, b: Model, inputs: Sequence[Shape], **options: Any) -> Findings:
    """Compare two models, each in a process of its own; see :class:`harness.port.record.PortOptions`.

    ``a`` and ``b`` are functions of a module or file that return a model, or ``FILE.py:CALLABLE`` or
    ``package.module:CALLABLE``. ``inputs`` are shapes without the batch, channels last.
    """
    shapes = [each if isinstance(each, InputShape) else InputShape(tuple(each)) for each in inputs]
    return check_models(SideSpec(_target(a)), SideSpec(_target(b)), shapes, PortOptions(**options))


def _target(model: Model) -> str:
    if isinstance(model, str):
        return model
    name = getattr(model, "__qualname__", "")
    try:
        file = inspect.getsourcefile(model)
    except TypeError:
        file = None
    if file is None or not name.isidentifier():
        raise UsageError(
            f"{model!r} cannot be made in a process of its own: give a function at the top of a file, or its "
            "name as FILE.py:CALLABLE"
        )
    return f"{Path(file)}:{name}"


def assert_same_model(a: Model, b: Model, inputs: Sequence[Shape], **options: Any) -> Findings:
    """Fail with the causes unless two models are equal up to harmless causes; see :func:`check`."""
    findings = check(a, b, inputs, **options)
    if not findings.equal:
        from harness.port.page import described

        lines = [f"{findings.a.target} and {findings.b.target} are {findings.verdict}"]
        lines += [described(cause) for cause in findings.causes if not cause.harmless]
        lines += findings.notes
        raise AssertionError("\n".join(lines))
    return findings
