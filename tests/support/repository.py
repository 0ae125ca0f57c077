"""Git repositories of the tests, and suites in them."""

import subprocess

TWO = '[benchmarks.a]\nbackend = "torch"\ntask = "cnn"\n[benchmarks.b]\nbackend = "torch"\ntask = "mlp"\n'
ONE = '[benchmarks.a]\nbackend = "torch"\ntask = "cnn"\n'


def git(top, *words) -> str:
    """Call git in a folder, as an author of the tests; what it prints."""
    author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    done = subprocess.run(["git", "-C", top, *author, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def add_commit(top, files, title="one") -> str:
    """Commit these files (None: removed) and what else has changed; the hash.

    The first commit makes the repository.
    """
    if not (top / ".git").exists():
        top.mkdir(exist_ok=True)
        git(top, "init", "-q", "-b", "main")
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    git(top, "add", "-A")
    git(top, "commit", "-qm", title, "--allow-empty")
    return git(top, "rev-parse", "HEAD")
