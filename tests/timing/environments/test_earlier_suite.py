"""The benchmarks that base's suite had and head's lacks, wherever the suite was in base."""

from pathlib import Path

import pytest
from support.repository import ONE, TWO, add_commit

from harness.errors import UsageError
from harness.timing.environments import git
from harness.timing.environments.earlier_suite import suite_in_force, suite_of_commit, suite_of_file
from harness.timing.environments.suite_file import read_suite


def missing(project, path, *where, base=None, at_base=None):
    """The names of what a suite lacks of base's, or None; ``at_base`` is what base's file has instead."""
    top, call = project
    with git.checkout(top, base or call("rev-parse", "HEAD")) as tree:
        if at_base is not None:
            (tree / "gate.toml").write_text(at_base)
        suite = read_suite(path)
        found = suite_in_force(suite, suite_of_commit(suite, top, tree, *where), None).vanished
    return found and [each.name for each in found]


def test_benchmarks_that_only_the_commit_has_are_found(project):
    top, _ = project
    (top / "gate.toml").write_text(ONE)
    assert missing(project, top / "gate.toml") == ["b"]


@pytest.mark.parametrize(
    ("now", "changed"),
    [
        ('task = "cnn"', []),
        ('task = "cnn"\nthreads = 1\nseeds = 9', []),
        ('task = "mlp"', ["a"]),
        ('task = "cnn"\nset = { dropout = 0.3 }', ["a"]),
        ('task = "cnn"\nbatch_size = 7', ["a"]),
    ],
)
def test_other_work_under_a_name_hides_nothing(project, now, changed):
    top, _ = project
    file = top / "gate.toml"
    file.write_text(f'[benchmarks.a]\nbackend = "torch"\n{now}\n')
    before = top / "before.toml"
    before.write_text('[benchmarks.a]\nbackend = "torch"\ntask = "cnn"\nmax_slowdown = "9%"\n')
    in_force = suite_in_force(read_suite(file), suite_of_file(before), None)
    assert [earlier.name for earlier in in_force.vanished or ()] == changed


def test_a_suite_that_is_found_first_hides_nothing_of_what_was_found_before(project):
    top, _ = project
    table = '[tool.harness.gate.benchmarks.{}]\nbackend = "torch"\ntask = "cnn"\n'
    add_commit(top, {"sub/pyproject.toml": table.format("old") + table.format("a")})
    (top / "sub" / "gate.toml").write_text(ONE)
    assert missing(project, top / "sub" / "gate.toml", Path("sub")) == ["old"]
    assert missing(project, top / "sub" / "gate.toml") is None  # it was asked for by name


def test_a_suite_beside_the_one_that_stayed_need_not_have_what_that_has(project, tmp_path):
    for other in (project[0] / "nightly.toml", tmp_path / "quick.toml"):
        other.write_text(ONE)
        assert missing(project, other) is None


def test_what_base_asked_for_may_be_refused_today_and_still_vanishes(project):
    top, _ = project
    (top / "gate.toml").write_text(ONE)
    later = TWO + "seeds = 1\nlater_key = true\n"
    assert missing(project, top / "gate.toml", at_base=later) == ["b"]


def test_a_suite_that_was_moved_still_has_to_have_what_it_had(project, tmp_path):
    top, _ = project
    (top / "gate.toml").unlink()
    for moved in (top / "ci" / "suite.toml", tmp_path / "outside.toml"):
        moved.parent.mkdir(exist_ok=True)
        moved.write_text(ONE)
        assert missing(project, moved) == ["b"]


def test_a_suite_of_another_name_that_was_moved_is_found_by_git(project):
    top, call = project
    (top / "bench").mkdir()
    call("mv", "gate.toml", "bench/nightly.toml")
    call("commit", "-qam", "two")
    base = call("rev-parse", "HEAD")
    call("mv", "bench/nightly.toml", "bench/weekly.toml")
    (top / "bench" / "weekly.toml").write_text(ONE)
    assert missing(project, top / "bench" / "weekly.toml", base=base) == ["b"]


def test_where_the_commit_has_no_suite_nothing_is_known(project):
    assert missing(project, project[0] / "gate.toml", at_base="not = [toml") is None


STRICT = '[benchmarks.a]\nstep = "bench.py:make"\n'
LOOSE = """\
max_slowdown = "100%"
false_alarms = "0.1%"
source = "elsewhere"
[benchmarks.a]
step = "bench.py:make"
values = "differ"
compare_calls = 3
tolerance = 0.5
max_speedup = "off"
max_memory_growth = "2%"
seed = "own"
threads = 3
"""


def in_force(folder, base, head, suite_from=None):
    for name, text in {"base.toml": base, "gate.toml": head}.items():
        (folder / name).write_text(text)
    return suite_in_force(read_suite(folder / "gate.toml"), suite_of_file(folder / "base.toml"), suite_from)


def test_the_suite_of_base_judges_and_names_what_head_loosens(tmp_path):
    asked = in_force(tmp_path, STRICT, LOOSE + '[benchmarks.new]\nstep = "bench.py:new"\n')
    strict, new = asked.suite.benchmarks
    (tmp_path / "alone.toml").write_text(STRICT)
    assert strict == read_suite(tmp_path / "alone.toml").benchmarks[0]
    assert (asked.suite.false_alarms, asked.suite.source) == (0.01, "")
    assert (new.limits.max_slowdown, asked.comparison.new) == (1.0, ["new"])  # which base cannot judge
    changed = {each.key: (each.base, each.head, each.loosens) for each in asked.comparison.changes}
    assert changed == {
        "false_alarms": (0.01, 0.001, True),
        "source": ("", "elsewhere", True),
        "max_slowdown": (0.05, 1.0, True),
        "max_speedup": (0.5, None, True),
        "values": ("equal", "differ", True),
        "compare_calls": (20, 3, True),
        "tolerance": (None, 0.5, True),
        "seed": (0, "own", True),
        "max_memory_growth": (0.1, 0.02, False),
        "threads": (None, 3, False),
    }
    assert [each.loosens for each in asked.comparison.changes] == [True] * 8 + [False] * 2


def test_what_head_tightens_is_not_called_loosened(tmp_path):
    changes = in_force(tmp_path, LOOSE, STRICT).comparison.changes
    # Head's limit of memory is the usual one, and two settings have no order.
    assert {each.key for each in changes if each.loosens} == {"max_memory_growth", "source", "tolerance"}


def test_head_judges_where_it_is_asked_for_or_base_cannot_be_read(tmp_path):
    asked = in_force(tmp_path, STRICT, LOOSE, "head")
    assert (asked.suite.benchmarks[0].values, asked.comparison.in_force) == ("differ", "head")
    assert len(asked.comparison.changes) == 10
    later = in_force(tmp_path, STRICT + "later_key = true\n", LOOSE)
    assert (later.suite.benchmarks[0].values, later.comparison.in_force) == ("differ", "head")
    assert "later_key" in later.comparison.unreadable
    with pytest.raises(UsageError, match=r"later_key.*--suite-from head"):
        in_force(tmp_path, STRICT + "later_key = true\n", LOOSE, "base")
    with pytest.raises(UsageError, match="base has no suite"):
        suite_in_force(read_suite(tmp_path / "gate.toml"), None, "base")


def test_a_default_that_is_written_out_takes_no_limit_of_head(tmp_path):
    """Other words for the same work: the environment decides if it is, and base's limits hold."""
    head = ONE + 'dataset = "digits"\nmax_slowdown = "100%"\n'
    asked = in_force(tmp_path, ONE, head)
    assert [each.name for each in asked.vanished or ()] == ["a"]
    assert (asked.suite.benchmarks[0].limits.max_slowdown, asked.suite.benchmarks[0].dataset) == (
        0.05,
        "digits",
    )


def test_a_step_instead_of_its_factory_is_other_work(tmp_path):
    assert [each.name for each in in_force(tmp_path, STRICT, STRICT + "call = true\n").vanished or ()] == [
        "a"
    ]


def test_a_link_in_place_of_the_suite_leads_to_the_suite_of_base(project):
    top, _ = project
    (top / "gate.toml").unlink()
    (top / "other.toml").write_text(ONE)
    (top / "gate.toml").symlink_to("other.toml")
    assert missing(project, top / "gate.toml") == ["b"]
