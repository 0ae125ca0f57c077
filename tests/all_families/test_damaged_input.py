"""Suites, certificates, references and option values of any content: read, or refused in words."""

import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.damage import VALUES, damaged, flipped, places
from support.fuzzing import fuzzing

from harness.core.certify.certificate import Certificate
from harness.core.certify.references import reference_of
from harness.core.machine.cache import read_cached, write_cached
from harness.core.plugins.definition import define_task
from harness.core.plugins.options import parse_options
from harness.errors import HarnessError, UsageError
from harness.timing.environments.suite import Benchmark
from harness.timing.environments.suite_file import benchmark_of, read_suite
from harness_tasks import TASKS

SUITE = b"""
false_alarms = "5%"
step = "5%"

[benchmarks.cnn]
backend = "torch"
task = "cnn"
dataset = "digits"
options = { width = 0.5, optimizer = "adam" }
threads = 1
precision = "float32"
memory = "off"
"""
TASK_NAMES = sorted(TASKS)
CERTIFICATE = Certificate(certified=True, worst=1e-15)


@fuzzing(60)
@given(data=st.data())
def test_a_suite_of_any_bytes_is_read_or_refused(data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "gate.toml"
    path.write_bytes(flipped(SUITE, data.draw))
    with contextlib.suppress(UsageError):
        read_suite(path)


@fuzzing(60)
@given(data=st.data())
def test_a_benchmark_of_any_values_is_read_or_refused(data):
    table = {"backend": "torch", "task": "cnn", "options": {"width": 0.5}, "threads": 1, "step": "5%"}
    place = data.draw(st.sampled_from([*places(table), *((name,) for name in Benchmark.__struct_fields__)]))
    changed = damaged(table, place, data.draw(st.sampled_from(VALUES)))
    with contextlib.suppress(UsageError):
        benchmark_of("cnn", changed, {}, "gate.toml")


@fuzzing(60)
@given(data=st.data())
def test_a_kept_certificate_of_any_bytes_is_the_same_or_none(data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "certificate.json"
    write_cached(path, CERTIFICATE)
    path.write_bytes(flipped(path.read_bytes(), data.draw))
    assert read_cached(path, Certificate) in (CERTIFICATE, None)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b"\xff", b"", b"{}"])
def test_a_kept_certificate_that_is_deep_or_empty_is_none(content, tmp_path):
    path = tmp_path / "certificate.json"
    path.write_bytes(content)
    assert read_cached(path, Certificate) is None
    write_cached(path, msgspec.Raw(b'{"certified":true,"deep":' + b"[" * 50_000 + b"]" * 50_000 + b"}"))
    assert read_cached(path, Certificate) in (None, Certificate(certified=True))


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"task": ' + b"[" * 100_000, b"\xff", b"", b"{}"])
def test_a_reference_that_cannot_be_read_is_refused_in_words(content, tmp_path):
    path = tmp_path / "reference.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=f"the reference {path} cannot be read"):
        reference_of(msgspec.structs.replace(TASKS["mlp"], reference=path))


NUMBERS = st.floats().map(str) | st.integers().map(str)
TEXTS = st.text(max_size=12) | NUMBERS | st.sampled_from(["true", "1e999", "-0", "0x1", "1_000", "٣", "sgd"])


@pytest.mark.parametrize("name", TASK_NAMES)
@fuzzing(15)
@given(data=st.data())
def test_option_values_of_any_text_are_taken_or_refused(name, data):
    definition = TASKS[name]
    fields = [field.name for field in msgspec.structs.fields(definition.options)]
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(fields) | TEXTS, TEXTS), min_size=1, max_size=3))
    with contextlib.suppress(HarnessError):
        options = parse_options(definition, [f"{key}={value}" for key, value in pairs])
        json.dumps(msgspec.to_builtins(options), allow_nan=False)
        define_task(definition, options)
