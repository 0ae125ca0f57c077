"""Certificates: what their cache depends on, their time limit, and what is reported of a worker that dies."""

import importlib
import time
from types import SimpleNamespace

import msgspec
import pytest

from harness.errors import HarnessError
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.report.certificate_words import certificate_cell, certificate_label
from harness.testing import certificate_cache
from harness.testing.cases import cases
from harness.testing.certificate import Certificate
from harness.testing.certify import check
from harness.testing.dropout import DropoutTests
from harness.testing.parity import TOLERANCE, Finding
from harness.worker import limits
from harness.worker.examiner import Examiner

MLP = registry.task("mlp")
TORCH = Configuration("torch", "eager", "auto", 1)


def cache_name(configuration=TORCH):
    return certificate_cache._cache_path(configuration, MLP).name


@pytest.mark.parametrize("name", ["XLA_FLAGS", "NVIDIA_TF32_OVERRIDE", "CUDA_VISIBLE_DEVICES"])
def test_a_variable_that_influences_results_makes_another_certificate(monkeypatch, name):
    monkeypatch.delenv(name, raising=False)
    before = cache_name()
    assert before == cache_name()
    monkeypatch.setenv(name, "0")
    assert cache_name() != before


def test_so_does_another_configuration():
    others = [("keras", "fit", "auto", 1), ("torch", "compile", "auto", 1), ("torch", "eager", "cpu", 1)]
    assert len({cache_name(), *(cache_name(Configuration(*other)) for other in others)}) == 4
    assert cache_name(msgspec.structs.replace(TORCH, precision="bfloat16")) != cache_name()


def test_so_does_another_processor_or_gpu(monkeypatch):
    before = cache_name()
    with monkeypatch.context() as patched:
        patched.setattr(certificate_cache, "_gpus", lambda: ["/dev/nvidia7"])
        assert cache_name() != before
    monkeypatch.setattr(certificate_cache, "cpu_model", lambda: "another")
    assert cache_name() != before


def test_so_does_another_version_of_anything_installed(tmp_path, monkeypatch):
    certificate_cache._installed.cache_clear()
    before = cache_name()
    (tmp_path / "jaxlib-99.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    certificate_cache._installed.cache_clear()
    assert cache_name() != before
    certificate_cache._installed.cache_clear()


@pytest.mark.parametrize(
    ("module", "beside"),
    [("of_one_file", "its_kernels.py"), ("of_a_space.inner", "of_a_space/inner_kernels.py")],
    ids=["file", "namespace package"],
)
def test_so_does_a_change_of_a_plugin_beside_its_module(tmp_path, monkeypatch, module, beside):
    file = tmp_path / f"{module.replace('.', '/')}.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text("class Mine: pass")
    monkeypatch.syspath_prepend(tmp_path)
    mine = importlib.import_module(module).Mine()
    monkeypatch.setattr(registry, "backend", lambda _: mine)
    before = cache_name()
    (tmp_path / beside).write_text("FASTER = True")
    assert cache_name() != before


@pytest.fixture
def faulty(harness):
    """A configuration of a NumPy backend that deviates in every case."""
    names = ("PYTHONPATH", "HARNESS_DATA_DIR")
    variables = tuple((name, harness.environment[name]) for name in names)
    return Configuration("faulty", "ok", "cpu", 1, variables=variables)


def test_each_certification_has_the_whole_time_limit(faulty, monkeypatch):
    passed = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0])
    monkeypatch.setattr(limits, "time", clock)
    with Examiner(faulty, limit_seconds=100) as examiner:
        for _ in range(3):
            assert check(examiner, MLP)
            passed[0] += 70


def test_the_last_lines_of_a_worker_that_dies_at_its_start_are_reported(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho the last words >&2\nexit 1\n")
    python.chmod(0o755)
    configuration = msgspec.structs.replace(TORCH, python=str(python))
    reason = r"exited with code 1 \[the last words\]"
    with Examiner(configuration) as examiner, pytest.raises(HarnessError, match=reason):
        examiner.observe(cases(MLP)[0])


@pytest.mark.parametrize(("worst", "tried"), [(0.0, 1), (1.0, 2)], ids=["certified", "deviates"])
def test_a_certificate_is_kept_and_a_deviation_is_not(monkeypatch, tmp_path, worst, tried):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    finding = Finding("plain", worst, "the losses deviate", TOLERANCE)
    calls = []
    monkeypatch.setattr(certificate_cache, "check", lambda *asked: calls.append(asked) or [finding])
    examiner = SimpleNamespace(configuration=TORCH, contract=2)
    for _ in range(2):
        assert certificate_cache.certificate(examiner, MLP).certified is not bool(worst)
    assert len(calls) == tried


@pytest.mark.parametrize("broken", [b"", b'{"certified": tr', b'{"certified": true, "reason": "\xff"}'])
def test_an_unreadable_certificate_is_made_anew(monkeypatch, tmp_path, broken):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    finding = Finding("plain", 0.0, "", TOLERANCE)
    monkeypatch.setattr(certificate_cache, "check", lambda *_: [finding])
    examiner = SimpleNamespace(configuration=TORCH, contract=2)
    made = certificate_cache.certificate(examiner, MLP)
    (kept,) = tmp_path.glob("certificates/*.json")
    whole = kept.read_bytes()
    kept.write_bytes(broken)
    assert certificate_cache.certificate(examiner, MLP) == made
    assert kept.read_bytes() == whole


@pytest.mark.parametrize(
    "configuration",
    [
        Configuration("torch", "eager", "auto", 1, variables=(("HARNESS_PLUGIN_FILES", "mine.py"),)),
        Configuration("theirs", "plain", "auto", 1, python="/other/python"),
    ],
    ids=["another file", "another interpreter"],
)
def test_a_configuration_whose_code_is_elsewhere_is_certified_each_time(monkeypatch, tmp_path, configuration):
    """Even of a backend that this interpreter does not have."""
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    calls = []
    finding = Finding("plain", 0.0, "", TOLERANCE)
    monkeypatch.setattr(certificate_cache, "check", lambda *asked: calls.append(asked) or [finding])
    for _ in range(2):
        assert certificate_cache.certificate(
            SimpleNamespace(configuration=configuration, contract=2), MLP
        ).certified
    assert len(calls) == 2
    assert not list(tmp_path.iterdir())


class Examined:
    """Certified in every case; its tests of dropout give ``tests``."""

    def __init__(self, tests):
        self.configuration, self.contract, self.tests, self.asked = TORCH, 2, tests, 0

    def test_dropout(self, case):
        self.asked += 1
        return self.tests


def dropped(rate):
    return MLP.define(msgspec.convert({"dropout": rate}, MLP.options))


@pytest.mark.parametrize(
    ("tests", "rate", "certified", "dropout"),
    [
        (DropoutTests([], complete=True), 0.5, True, True),
        (DropoutTests([], complete=False), 0.5, True, False),
        (DropoutTests(["the seed is ignored"], complete=True), 0.5, False, True),
        (DropoutTests(["the seed is ignored"], complete=True), 0.0, True, None),
    ],
    ids=["tested", "not tested", "wrong", "unused"],
)
def test_dropout_belongs_to_the_certificate_of_a_run_that_uses_it(
    monkeypatch, tmp_path, tests, rate, certified, dropout
):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    finding = Finding("sgd", 1e-15, "")
    monkeypatch.setattr(certificate_cache, "check", lambda *_: [finding])
    examiner = Examined(tests)
    for _ in range(2):
        made = certificate_cache.certificate(examiner, MLP, dropped(rate))
        assert (made.certified, made.dropout, made.worst) == (certified, dropout, 1e-15)
    assert ("the seed is ignored" in made.reason) is not certified
    assert examiner.asked == (0 if dropout is None else 1 if certified else 2)
    assert certificate_cache.certificate(examiner, MLP).certified, "runs without dropout are not affected"


def test_a_certificate_without_dropout_says_so():
    assert certificate_label(Certificate(certified=True, dropout=False)) == "certified without dropout"
    assert certificate_cell(Certificate(certified=True, dropout=False)) == "without dropout"
    assert certificate_label(Certificate(certified=True, dropout=True)) == "certified"
    assert certificate_label(Certificate(certified=True)) == "certified"
    assert certificate_label(None) == "not certified"
    assert certificate_cell(Certificate(certified=False, dropout=True)) == "no"
