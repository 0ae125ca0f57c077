"""Kinds of study: validated as a whole when they are loaded, selected by every name, listed."""

import importlib.util

import msgspec
import pytest
from support.pages import module

from harness.core.shell.parameters import split_names
from harness.errors import UsageError
from harness.learning.study import kinds
from harness.learning.study.kinds import extras_of, require_extras, validate
from harness.learning.study.variants import Design, StudyOptions
from harness.spec import QuickForm, Range, StudyKind, StudyVariant
from harness_tasks.studies import STUDIES as KINDS

KIND = StudyKind(
    name="widths",
    question="How wide?",
    summary="widths",
    noun="width",
    tasks=("mlp", "cnn"),
    variants=(StudyVariant("as it is"), StudyVariant("half", ("width=0.5",))),
)


def changed(**changes):
    return msgspec.structs.replace(KIND, **changes)


def with_variant(*given, **more):
    return changed(variants=(KIND.variants[0], StudyVariant(*given, **more)))


@pytest.mark.parametrize("name", KINDS)
def test_every_included_kind_is_valid(name):
    validate(KINDS[name])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (changed(sections=("efects",)), "unknown section 'efects'.*'effects'"),
        (changed(quantities=("scores",)), "unknown quantity 'scores'.*'score'"),
        (changed(tasks=("mpl",)), "unknown task 'mpl' of the study widths. Did you mean 'mlp'"),
        (
            with_variant("fast", ("lr=1",)),
            "unknown option 'lr' of variant 'fast' of the study widths. Did you mean 'learning_rate'",
        ),
        (
            with_variant("fast", (), "", (Range("learning_rat", 0.1, 1.0),)),
            "unknown option 'learning_rat' .* Did you mean 'learning_rate'",
        ),
        (with_variant("none", (), "", (Range("width", -1.0, 1.0, log=False),)), "width=-1: width takes"),
        (
            with_variant("none", ("width=wide",)),
            "variant 'none' of the study widths: width=wide: width takes",
        ),
        (with_variant("none", ("width",)), "'width' is no assignment; write OPTION=VALUE"),
        (
            with_variant("both", ("width=2",), "", (Range("width", 0.1, 1.0),)),
            "width is set and tuned",
        ),
        (with_variant("a, b", ("width=2",)), "a name has no ,"),
        (with_variant("a=b", ("width=2",)), "a name has no ="),
        (with_variant("none", ("width=2",), epochs=0.0), "expected a factor above 0"),
        (with_variant("none", ("width=2",), objectives=("regresion",)), "'regresion'.*'regression'"),
        (with_variant("none", ("nesterov=true", "momentum=0", "optimizer=sgd")), "fits none of its tasks"),
        (changed(variants=KIND.variants[:1]), "one variant; a study compares two"),
        (changed(seeds=0), "has 0 seeds"),
        (changed(quick=QuickForm(dataset="digitz")), "unknown data set 'digitz' of quick .*'digits'"),
        (changed(quick=QuickForm(assignments=("widht=1",))), "unknown option 'widht' of quick .*'width'"),
    ],
)
def test_a_mistake_in_a_kind_is_named_with_the_nearest_right_name(kind, message):
    validate(KIND)
    with pytest.raises(UsageError, match=message):
        validate(kind)


@pytest.mark.parametrize("name", KINDS)
def test_every_variant_can_be_selected_by_its_name(name):
    kind = KINDS[name]
    for task in kind.tasks:
        every = Design(StudyOptions(kind=kind, task=task, backends=[]))
        names = [variant.name for variant in every.variants]
        assert split_names(None, None, (",".join(names),)) == names
        assert split_names(None, None, names) == names
        chosen = Design(StudyOptions(kind=kind, task=task, backends=[], chosen=names))
        assert [variant.name for variant in chosen.variants] == names


@pytest.mark.parametrize("name", KINDS)
def test_short_forms_have_as_many_seeds_and_trials_as_a_verdict_needs(name):
    design = Design(StudyOptions(kind=KINDS[name], task=KINDS[name].tasks[0], backends=[], quick=True))
    tuned = any(variant.ranges for variant in design.variants)
    assert design.seeds >= 8
    assert design.trials >= (8 if tuned else 0)


@pytest.mark.parametrize(
    ("kind", "task", "message"),
    [
        (
            "federated",
            "gan",
            "federated does not apply to task gan: even .* no option clients; it applies to mlp",
        ),
        ("imbalance", "gan", "imbalance does not apply to task gan: the task has no option imbalance"),
        ("losses", "gan", "losses does not apply to task gan"),
    ],
)
def test_a_task_that_does_not_fit_is_refused_with_those_that_do(kind, task, message):
    with pytest.raises(UsageError, match=message):
        Design(StudyOptions(kind=KINDS[kind], task=task, backends=[]))


def test_a_kind_needs_the_extras_of_its_parts_and_page():
    assert extras_of(KINDS["optimizers"]) == ["report"]
    assert extras_of(KINDS["privacy"]) == ["privacy", "report"]
    assert extras_of(KINDS["data"]) == ["report"]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ({"optuna"}, r'"tune": pip install "dl-harness\[tune\]"'),
        ({"optuna", "vl_convert"}, r'"tune" and "report": pip install "dl-harness\[tune,report\]"'),
    ],
)
def test_all_missing_extras_are_installed_by_one_command(missing, message, monkeypatch):
    _lack(missing, monkeypatch)
    with pytest.raises(UsageError, match=message):
        require_extras(["tune", "report"])


def test_without_the_extra_of_the_page_a_study_runs_and_says_so(monkeypatch):
    assert require_extras(["tune", "report"]) is None
    _lack({"vl_convert"}, monkeypatch)
    assert 'pip install "dl-harness[report]"' in require_extras(["tune", "report"])


def _lack(modules, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in modules else kinds.__spec__)


def test_the_kinds_of_a_plugin_file_are_listed(harness):
    code = module("docs/how-to/add-a-kind-of-study.md", "my_study")
    (harness.folder / "my_study.py").write_text(code)
    done = harness.ok("study", "--list", "--plugin", "my_study.py")
    assert "harness study widths: How wide must the network be?" in done.stdout
    assert "harness study optimizers" in done.stdout


def test_a_plugin_file_with_a_mistake_is_named_before_anything_runs(harness):
    code = module("docs/how-to/add-a-kind-of-study.md", "my_study").replace("width=0.5", "widht=0.5")
    (harness.folder / "my_study.py").write_text(code)
    listed = harness("study", "--list", "--plugin", "my_study.py")
    assert (listed.returncode, "study widths is left out: unknown option 'widht'" in listed.stderr) == (
        2,
        True,
    )
    run = harness("study", "widths", "--backend", "faulty:ok", "--plugin", "my_study.py")
    assert (run.returncode, "Did you mean 'width'?" in run.stderr, run.stdout) == (2, True, "")
    assert harness.records() == []
