"""The page of a commit on the web, by the address of the remote."""

import pytest
from support.repository import add_commit, git

from harness.timing.environments.git import commit_texts


@pytest.mark.parametrize(
    ("remote", "site"),
    [
        ("https://github.com/me/net.git", "https://github.com/me/net/commit/"),
        ("https://user:token@git.example.org:8443/a/b/net", "https://git.example.org/a/b/net/commit/"),
        ("git@gitlab.com:group/sub/net.git", "https://gitlab.com/group/sub/net/commit/"),
        ("ssh://git@bitbucket.org/me/net.git", "https://bitbucket.org/me/net/commits/"),
        ("/srv/git/net.git", ""),
        ("../net", ""),
        ('https://github.com/me/"><script>', ""),
    ],
)
def test_a_remote_on_the_web_gives_commits_an_address(tmp_path, remote, site):
    add_commit(tmp_path, {"file": "1\n"}, "a title")
    git(tmp_path, "remote", "add", "origin", remote)
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    texts = commit_texts(tmp_path, [head, "0" * 40, "HEAD", "-1"])
    assert {name: tuple(text) for name, text in texts.items()} == {
        head: ("a title", f"{site}{head}" if site else "")
    }


def test_without_a_repository_or_a_remote_there_is_no_address(tmp_path):
    assert commit_texts(tmp_path, ["0" * 40]) == {}
    add_commit(tmp_path, {"file": "1\n"}, "a title")
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    assert commit_texts(tmp_path, [head])[head] == ("a title", "")
