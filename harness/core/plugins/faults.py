"""Exceptions of plugins and frameworks, explained to the reader of a record; output of their code."""

import contextlib
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

_HARNESS = Path(__file__).parents[2]
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "resource_exhausted", "oom when allocating")
_READ_ONLY = ("read-only", "not writeable")
_MESSAGE_CHARACTERS = 4000


def message_of(error: BaseException) -> str:
    """Return the text of an exception: bounded, valid Unicode, and never an exception itself."""
    try:
        text = str(error)
    except Exception as second:  # noqa: BLE001  a plugin's __str__ may raise anything
        text = f"its __str__ raised {type(second).__name__}"
    return bounded(text, _MESSAGE_CHARACTERS)


def bounded(text: str, characters: int) -> str:
    """Escape lone surrogates in a text; keep only the beginning and the end of a longer text."""
    if len(text) > characters:
        half = characters // 2
        text = f"{text[:half]} [... {len(text) - 2 * half:,} characters left out ...] {text[-half:]}"
    return text.encode(errors="backslashreplace").decode()


def memory_ran_out(error: BaseException) -> bool:
    """Check that an error means too little memory of the machine or of a device, as frameworks word it."""
    if type(error).__module__.startswith("harness."):
        return False
    return isinstance(error, MemoryError) or any(sign in message_of(error).lower() for sign in _OUT_OF_MEMORY)


def explain(error: BaseException) -> str:
    """Describe an error in a sentence, with its place in the plugin and, if the cause is known, a remedy."""
    message = message_of(error)
    text = f"{type(error).__name__}: {message}".removesuffix(": ")
    if type(error).__module__.startswith("harness."):
        text = message
    elif memory_ran_out(error):
        text = (
            f"the worker ran out of memory ({text}); use a smaller --batch-size, a smaller width of the "
            "task, or a machine or device with more memory"
        )
    elif isinstance(error, ValueError) and any(sign in text for sign in _READ_ONLY):
        text += "; the data belongs to the harness: a backend that changes it must copy it first"
    if not type(error).__module__.startswith("harness.") and (place := _place(error)):
        text += f" ({place})"
    return text


def plugin_frames(error: BaseException) -> str:
    """Return the frames of the plugin as in a traceback, and the last of a framework; "" without any."""
    called, own = _frames(error)
    shown = own + [frame for frame in called[-1:] if frame not in own]
    return "".join(traceback.format_list(shown)).rstrip()


def _place(error: BaseException) -> str:
    """Name the last frame in the folder of the called code: ``my_backend.py, line 12``."""
    _, own = _frames(error)
    return f"{Path(own[-1].filename).name}, line {own[-1].lineno}" if own else ""


def _frames(error: BaseException) -> tuple[list[traceback.FrameSummary], list[traceback.FrameSummary]]:
    """Return the frames of the code that the harness called, and the frames in the folder of the first."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [number for number, frame in enumerate(frames) if Path(frame.filename).is_relative_to(_HARNESS)]
    called = list(frames[ours[-1] + 1 :] if ours else frames)
    own = [frame for frame in called if Path(frame.filename).parent == Path(called[0].filename).parent]
    return called, own


_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2


class _Redirection:
    """The redirection of standard output, which threads share because it affects the whole process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._restore = contextlib.ExitStack()

    def begin(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._restore.enter_context(contextlib.redirect_stdout(sys.stderr))
                with contextlib.suppress(OSError):  # this process was started without them
                    kept = os.dup(_STANDARD_OUTPUT)
                    self._restore.callback(os.close, kept)
                    os.dup2(_STANDARD_ERROR, _STANDARD_OUTPUT)
                    self._restore.callback(os.dup2, kept, _STANDARD_OUTPUT)

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._restore.close()


_redirection = _Redirection()


@contextlib.contextmanager
def nothing_on_stdout() -> Iterator[None]:
    """Redirect standard output to standard error while a plugin's code runs, to keep JSON documents clean.

    This includes the output of processes that the plugin starts, such as ``unzip``, and of all threads. The
    redirection ends when the last thread has left.
    """
    _redirection.begin()
    try:
        yield
    finally:
        _redirection.end()
