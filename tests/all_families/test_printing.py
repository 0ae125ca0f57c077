"""Commands of families print visibly what a terminal or GitHub Actions would obey in records."""

import pytest
from support.hostile_texts import hostile_record, require_visible
from support.made_gates import made_benchmark, made_gate, save
from support.records import make_record, save_runs


@pytest.mark.parametrize(
    "command",
    [
        ("list", "results"),
        ("show", make_record().id),
        ("compare",),
        ("compare", made_gate().id),
        ("history",),
    ],
)
def test_commands_print_hostile_records_visibly(quick, command):
    save_runs(quick.folder / "results", hostile_record())
    save(quick.folder, made_gate(made_benchmark("::error::x", verdicts={"step": "FAIL"})))
    require_visible(quick(*command, GITHUB_ACTIONS="true"))
