"""Certificates: what their cache goes by, how long one may take, and what is told of a worker that falls."""

import importlib
import time
from types import SimpleNamespace

import msgspec
import pytest

from harness.errors import HarnessError
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.testing import certificate_cache
from harness.testing.cases import cases
from harness.testing.certify import check
from harness.testing.parity import TOLERANCE, Finding
from harness.worker import session
from harness.worker.examiner import Examiner

MLP = registry.task("mlp")
SIDE = Configuration("torch", "eager", "auto", 1)


def kept_in(side=SIDE):
    return certificate_cache._cache_path(side, MLP).name


@pytest.mark.parametrize("name", ["XLA_FLAGS", "NVIDIA_TF32_OVERRIDE", "CUDA_VISIBLE_DEVICES"])
def test_a_variable_that_bears_on_results_makes_another_certificate(monkeypatch, name):
    monkeypatch.delenv(name, raising=False)
    before = kept_in()
    assert before == kept_in()
    monkeypatch.setenv(name, "0")
    assert kept_in() != before


def test_so_does_any_other_side(monkeypatch):
    others = [("keras", "fit", "auto", 1), ("torch", "compile", "auto", 1), ("torch", "eager", "cpu", 1)]
    assert len({kept_in(), *(kept_in(Configuration(*other)) for other in others)}) == 4
    assert kept_in(msgspec.structs.replace(SIDE, precision="bfloat16")) != kept_in()


def test_so_does_another_processor_or_gpu(monkeypatch):
    before = kept_in()
    with monkeypatch.context() as patched:
        patched.setattr(certificate_cache, "_gpus", lambda: ["/dev/nvidia7"])
        assert kept_in() != before
    monkeypatch.setattr(certificate_cache, "cpu_model", lambda: "another")
    assert kept_in() != before


def test_so_does_another_version_of_anything_installed(tmp_path, monkeypatch):
    certificate_cache._installed.cache_clear()
    before = kept_in()
    (tmp_path / "jaxlib-99.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    certificate_cache._installed.cache_clear()
    assert kept_in() != before
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
    before = kept_in()
    (tmp_path / beside).write_text("FASTER = True")
    assert kept_in() != before


@pytest.fixture
def faulty(harness):
    """A side of a backend in NumPy that deviates from everything."""
    names = ("PYTHONPATH", "HARNESS_DATA_DIR")
    variables = tuple((name, harness.environment[name]) for name in names)
    return Configuration("faulty", "ok", "cpu", 1, environment=variables)


def test_each_certification_of_a_worker_has_the_whole_time(faulty, monkeypatch):
    passed = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0])
    monkeypatch.setattr(session, "time", clock)
    with Examiner(faulty, limit_seconds=100) as examiner:
        for _ in range(3):
            assert check(examiner, MLP)
            passed[0] += 70


def test_what_a_worker_said_before_it_fell_at_its_start_is_told(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho the last words >&2\nexit 1\n")
    python.chmod(0o755)
    side = msgspec.structs.replace(SIDE, python=str(python))
    with Examiner(side) as examiner, pytest.raises(HarnessError, match="exited with code 1 the last words"):
        examiner.observe(cases(MLP)[0])


@pytest.mark.parametrize(("worst", "tried"), [(0.0, 1), (1.0, 2)], ids=["certified", "deviates"])
def test_what_deviates_is_tried_anew_and_what_is_certified_is_not(monkeypatch, tmp_path, worst, tried):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    found = Finding("plain", worst, "the losses deviate", TOLERANCE)
    calls = []
    monkeypatch.setattr(certificate_cache, "check", lambda *asked: calls.append(asked) or [found])
    examiner = SimpleNamespace(side=SIDE)
    for _ in range(2):
        assert certificate_cache.certificate(examiner, MLP).certified is not bool(worst)
    assert len(calls) == tried


@pytest.mark.parametrize("broken", [b"", b'{"certified": tr', b'{"certified": true, "reason": "\xff"}'])
def test_a_kept_certificate_that_cannot_be_read_is_made_anew(monkeypatch, tmp_path, broken):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    found = Finding("plain", 0.0, "", TOLERANCE)
    monkeypatch.setattr(certificate_cache, "check", lambda *_: [found])
    examiner = SimpleNamespace(side=SIDE)
    made = certificate_cache.certificate(examiner, MLP)
    (kept,) = tmp_path.glob("certificates/*.json")
    whole = kept.read_bytes()
    kept.write_bytes(broken)
    assert certificate_cache.certificate(examiner, MLP) == made
    assert kept.read_bytes() == whole


@pytest.mark.parametrize(
    "side",
    [
        Configuration("torch", "eager", "auto", 1, environment=(("HARNESS_PLUGIN_FILES", "mine.py"),)),
        Configuration("theirs", "plain", "auto", 1, python="/other/python"),
    ],
    ids=["another file", "another interpreter"],
)
def test_a_side_whose_code_is_elsewhere_is_tried_each_time(monkeypatch, tmp_path, side):
    """Of a backend, too, that this interpreter does not have."""
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    calls = []
    found = Finding("plain", 0.0, "", TOLERANCE)
    monkeypatch.setattr(certificate_cache, "check", lambda *asked: calls.append(asked) or [found])
    for _ in range(2):
        assert certificate_cache.certificate(SimpleNamespace(side=side), MLP).certified
    assert len(calls) == 2
    assert not list(tmp_path.iterdir())
