"""The targets that name a user's own model, and the files that are read."""

import os

import pytest

from harness.errors import UsageError
from harness.tracing.user_code import described, split_target, user_module


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "large"])
def test_a_file_that_python_would_read_without_end_is_refused(kind, tmp_path):
    path = tmp_path / "model.py"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.touch()
        os.truncate(path, 2**36)  # a hole
    with pytest.raises(UsageError, match="is not a Python file"):
        user_module(str(path))


@pytest.mark.parametrize(
    "target", ["/dev/zero:x", "a\0.py:x", "a:b c", "a:", ":b", "a..b:c", "a.b", "1a:b", "a.py:b-c"]
)
def test_another_form_names_no_model(target):
    with pytest.raises(UsageError, match="names no callable"):
        split_target(target)


@pytest.mark.parametrize(
    "target", ["a b/model.py:make", "../m-1.py:A.b", "package.module:make", "paquet_é:créer"]
)
def test_files_and_modules_name_models(target):
    assert ":".join(split_target(target)) == target


KERAS = "Exception encountered when calling Block.call().\n\n\x1b[1mshapes (3,)\nand (4,)\x1b[0m\n\nArguments"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("first\nsecond", "ValueError: first"),
        ("", "ValueError"),
        (
            KERAS,
            "ValueError: Exception encountered when calling Block.call(). shapes (3,) and (4,)",
        ),
    ],
)
def test_an_exception_is_one_line_with_the_reason_that_keras_gives_below(text, words):
    assert described(ValueError(text)) == words
