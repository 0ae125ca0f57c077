"""The files that base and head imported."""

import pytest
from support.repository import add_commit

from harness.errors import UsageError
from harness.timing.environments.imports import refuse_installed_copy


def test_an_installed_copy_of_the_code_of_a_commit_is_refused(tmp_path):
    top, packages = tmp_path / "top", tmp_path / "lib" / "site-packages"
    add_commit(top, {"python/net/a.py": "A = 1\n", "python/net/__init__.py": "", "b.py": "B = 2\n"})
    (packages / "net").mkdir(parents=True)
    for name, text in {"net/a.py": "A = 1\n", "net/__init__.py": "", "b.py": "B = 1\n"}.items():
        (packages / name).write_text(text)
    others = [str(packages / "net" / "__init__.py"), str(packages / "b.py")]
    refuse_installed_copy("base and head", others, [str(top)])
    with pytest.raises(UsageError, match=r"installed net/a\.py, a copy of python/net/a\.py"):
        refuse_installed_copy("base and head", [*others, str(packages / "net" / "a.py")], [str(top)])
