"""Certificates: what their cache depends on, their time limit, and what is reported of a worker that dies."""

import importlib
import time
from types import SimpleNamespace

import msgspec
import pytest
from support.command import script
from support.records import make_record

from harness.core.certify import certify, kept_findings
from harness.core.certify.cases import cases
from harness.core.certify.certificate import Certificate
from harness.core.certify.certificates import certificate
from harness.core.certify.certify import Selection, check
from harness.core.certify.dropout import DropoutTests
from harness.core.certify.long_calls import LONG_CALLS
from harness.core.certify.page import certificate_label
from harness.core.certify.parity import TOLERANCE, Finding
from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.runs.words import certificate_cell
from harness.core.worker import session
from harness.core.worker.examiner import Examiner
from harness.errors import Declined, HarnessError

MLP = registry.task("mlp")
TORCH = Configuration("torch", "eager", "auto", 1)


def cache_name(configuration=TORCH):
    return kept_findings._digest(configuration, MLP)


@pytest.fixture
def _installed_again(monkeypatch):
    kept_findings._installed.cache_clear()
    yield
    monkeypatch.undo()
    kept_findings._installed.cache_clear()


def install_another(patch, folder):
    (folder / "jaxlib-99.0.dist-info").mkdir()
    patch.syspath_prepend(folder)
    kept_findings._installed.cache_clear()


@pytest.mark.usefixtures("_installed_again")
@pytest.mark.parametrize(
    "change",
    [
        lambda patch, _: patch.setenv("XLA_FLAGS", "0"),
        lambda patch, _: patch.setenv("NVIDIA_TF32_OVERRIDE", "0"),
        lambda patch, _: patch.setenv("CUDA_VISIBLE_DEVICES", "0"),
        lambda patch, _: patch.setattr(kept_findings, "_gpus", lambda: ["/dev/nvidia7"]),
        lambda patch, _: patch.setattr(kept_findings, "cpu_model", lambda: "another"),
        install_another,
    ],
    ids=["XLA", "TF32", "devices", "GPU", "processor", "version"],
)
def test_what_influences_results_makes_another_certificate(monkeypatch, tmp_path, change):
    for name in ("XLA_FLAGS", "NVIDIA_TF32_OVERRIDE", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    before = cache_name()
    assert before == cache_name()
    change(monkeypatch, tmp_path)
    assert cache_name() != before


def test_so_does_another_configuration():
    others = [("keras", "fit", "auto", 1), ("torch", "compile", "auto", 1), ("torch", "eager", "cpu", 1)]
    assert len({cache_name(), *(cache_name(Configuration(*other)) for other in others)}) == 4
    assert cache_name(msgspec.structs.replace(TORCH, precision="bfloat16")) != cache_name()


@pytest.mark.parametrize(
    ("module", "beside"),
    [("of_one_file", "its_kernels.py"), ("of_a_space.inner", "of_a_space/inner_kernels.py")],
    ids=["file", "namespace package"],
)
def test_so_does_a_change_of_what_a_plugin_imports(tmp_path, monkeypatch, module, beside):
    file = tmp_path / f"{module.replace('.', '/')}.py"
    file.parent.mkdir(exist_ok=True)
    (tmp_path / beside).touch()
    file.write_text(f"import {beside.removesuffix('.py').replace('/', '.')}\nclass Mine: pass")
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
    monkeypatch.setattr(session, "time", clock)
    with Examiner(faulty, limit_seconds=100) as examiner:
        for _ in range(3):
            assert check(examiner, MLP, selection=Selection(frozenset({"sgd"})))
            passed[0] += 70


def test_the_last_lines_of_a_worker_that_dies_at_its_start_are_reported(tmp_path):
    python = script(tmp_path / "python", "echo the last words >&2\nexit 1")
    configuration = msgspec.structs.replace(TORCH, python=python)
    reason = r"exited with code 1 \[the last words\]"
    with Examiner(configuration) as examiner, pytest.raises(HarnessError, match=reason):
        examiner.examine(certify.ALL_STEPS, cases(MLP)[0])


class Examined:
    """An examiner that never starts a worker: its cases have the deviations of ``worst``, others none."""

    def __init__(self, monkeypatch, worst=None, tests=None, configuration=TORCH):
        self.configuration = configuration
        self._worst, self._tests, self.cases = worst or {}, tests, []
        monkeypatch.setattr(certify, "examine", self._examine)
        monkeypatch.setattr(certify, "examine_losses", self._examine_losses)

    def begin(self):
        pass

    def _examine(self, _examiner, definition, selection):
        for name in certify.check_names(definition, "float64", selection):
            if name != certify.DROPOUT:
                yield (
                    next((case for case in cases(definition) if case.name == name), None),
                    self._finding(name),
                )

    def _examine_losses(self, _examiner, _definition, precision):
        return self._finding(f"first losses in {precision}")

    def _finding(self, name):
        self.cases.append(name)
        worst = self._worst.get(name, 1e-15)
        return Finding(name, worst, "the losses deviate" * (worst > TOLERANCE))

    def examine(self, *_):
        self.cases.append("dropout")
        return self._tests


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))


def of_mlp(**options):
    return MLP.define(msgspec.convert(options, MLP.options))


def test_what_a_run_needs_is_compared_once(monkeypatch):
    examiner = Examined(monkeypatch)
    made = certificate(examiner, MLP)
    assert made.certified
    assert set(made.cases) == {"sgd", "default", "first losses in float32"}
    assert certificate(examiner, MLP) == made
    assert sorted(examiner.cases) == sorted(made.cases)
    examined = []
    with_rmsprop = certificate(
        examiner, MLP, of_mlp(optimizer="rmsprop"), lambda cases, of: examined.append((cases, of))
    )
    assert examined == [(2, 3), (3, 3)], "one case of three was missing"
    assert set(with_rmsprop.cases) == {"sgd", "rmsprop, l2", "first losses in float32"}
    assert examiner.cases[len(made.cases) :] == ["rmsprop, l2"], "the others are kept"


def test_a_rule_that_a_run_does_not_use_does_not_matter_to_it(monkeypatch):
    examiner = Examined(monkeypatch, worst={"rmsprop, l2": 1.0})
    assert certificate(examiner, MLP).certified
    assert not certificate(examiner, MLP, of_mlp(optimizer="rmsprop")).certified


def test_a_deviation_is_not_kept(monkeypatch):
    examiner = Examined(monkeypatch, worst={"nesterov, l2": 1.0})
    run = of_mlp(optimizer="sgd", l2=0.01)
    made = certificate(examiner, MLP, run)
    assert not made.certified
    assert made.reason == "case 'nesterov, l2': the losses deviate"
    examiner.cases.clear()
    assert not certificate(examiner, MLP, run).certified
    assert "nesterov, l2" in examiner.cases
    assert "sgd" not in examiner.cases


def test_a_case_that_another_run_would_need_may_be_declined(monkeypatch):
    class Partial(Examined):
        def _finding(self, name):
            return Declined("no RMSprop") if name == "rmsprop, l2" else super()._finding(name)

    examiner = Partial(monkeypatch)
    assert certificate(examiner, MLP).certified
    assert "no RMSprop" in certificate(examiner, MLP, of_mlp(optimizer="rmsprop")).reason


def test_calls_of_any_length_are_compared_where_a_run_may_not_verify_them(monkeypatch):
    monkeypatch.setattr(registry, "is_third_party", lambda _: True)
    assert LONG_CALLS in certificate(Examined(monkeypatch), MLP).cases


@pytest.mark.parametrize("broken", [b"", b'{"certified": tr', b'{"certified": true, "reason": "\xff"}'])
def test_an_unreadable_finding_is_made_anew(monkeypatch, tmp_path, broken):
    examiner = Examined(monkeypatch)
    made = certificate(examiner, MLP)
    kept = sorted(tmp_path.glob("cache/certificates/*.json"))
    assert len(kept) == len(made.cases)
    whole = kept[0].read_bytes()
    kept[0].write_bytes(broken)
    assert certificate(examiner, MLP) == made
    assert kept[0].read_bytes() == whole
    assert len(examiner.cases) == len(made.cases) + 1


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
    examiner = Examined(monkeypatch, configuration=configuration)
    made = [certificate(examiner, MLP) for _ in range(2)]
    assert made[0].certified
    assert len(examiner.cases) == 2 * len(made[0].cases)
    assert not list(tmp_path.iterdir())


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
    monkeypatch, tests, rate, certified, dropout
):
    examiner = Examined(monkeypatch, tests=tests)
    for _ in range(2):
        made = certificate(examiner, MLP, of_mlp(dropout=rate))
        assert (made.certified, made.dropout, made.worst) == (certified, dropout, made.worst)
    assert ("the seed is ignored" in made.reason) is not certified
    assert examiner.cases.count("dropout") == (0 if dropout is None else 1 if certified else 2)
    assert certificate(examiner, MLP).certified, "runs without dropout are not affected"


@pytest.mark.parametrize(
    ("certificate", "label"),
    [
        (Certificate(certified=True, dropout=False), "certified without dropout"),
        (Certificate(certified=True, dropout=True), "certified"),
        (Certificate(certified=True), "certified"),
        (Certificate(certified=False, dropout=True), "not certified"),
        (None, "not certified"),
    ],
)
def test_a_certificate_without_dropout_says_so(certificate, label):
    assert certificate_label(certificate) == label
    cells = {"certified": "yes", "not certified": "no"}
    assert certificate_cell(make_record(certificate=certificate)) == cells.get(label, "without dropout")
    assert certificate_cell(make_record(certificate=certificate, status="failed")) == "no"
