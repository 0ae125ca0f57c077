"""Downloads from servers that work, send wrong data, break off or never respond; all on this machine."""

import contextlib
import gc
import hashlib
import http.server
import socket
import threading

import pytest
from support import data_files

from harness.errors import DataError
from harness_tasks.datasets import SOURCES, batches, cifar10, download

CIFAR10 = SOURCES["cifar10"]


# A connection that the harness gave up on is closed by whoever collects it, which Python warns about.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _nothing_goes_on_after_a_test():
    yield
    for thread in threading.enumerate():
        if thread.name == "download":
            thread.join(60)


@pytest.fixture(autouse=True, scope="module")
def _connections_are_closed_in_this_module():
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def _in_a_new_place(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(batches, "ROWS", data_files.ROWS)


@pytest.fixture
def archive(tmp_path):
    return data_files.write_tar(tmp_path / "archive", data_files.python_files()).read_bytes()


@contextlib.contextmanager
def serving(content, *, claimed_length=None, status=200):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(claimed_length or len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/cifar-10-python.tar.gz"
        server.shutdown()


def fetch(monkeypatch, url, content):
    monkeypatch.setattr(cifar10, "URL", url)
    monkeypatch.setattr(cifar10, "MD5", hashlib.md5(content).hexdigest())  # noqa: S324
    reports = []
    CIFAR10.fetch(lambda *report: reports.append(report))
    return reports


def left_over(tmp_path):
    return [path for path in (tmp_path / "data").rglob("*") if path.is_file() and path.name != ".lock"]


def test_fetch_stores_the_same_as_an_import_of_the_archive(archive, tmp_path, monkeypatch):
    with serving(archive) as url:
        reports = fetch(monkeypatch, url, archive)

    fetched = CIFAR10.load().fingerprint
    assert ("downloading cifar-10-python.tar.gz", len(archive), len(archive)) in reports
    assert all(done <= total or not total for _, done, total in reports)
    assert len(left_over(tmp_path)) == 5, "four arrays and the description, no archive"
    assert CIFAR10.import_from(tmp_path / "archive").fingerprint == fetched
    assert fetch(monkeypatch, "http://127.0.0.1:9/", archive) == [], "what is here is not fetched again"


def test_fetch_replaces_a_damaged_copy(archive, tmp_path, monkeypatch):
    good = CIFAR10.import_from(tmp_path / "archive").fingerprint
    (path,) = (tmp_path / "data").rglob("test_targets.npy")
    path.unlink()
    with serving(archive) as url:
        fetch(monkeypatch, url, archive)
    assert CIFAR10.load().fingerprint == good


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ({"content": b"another file"}, "hash"),
        ({"content": b"half", "claimed_length": 1000}, "could not be downloaded"),
        ({"content": b"gone", "status": 404}, "404"),
    ],
)
def test_a_wrong_download_leaves_nothing(server, message, archive, tmp_path, monkeypatch):
    with serving(**server) as url, pytest.raises(DataError, match=message) as caught:
        fetch(monkeypatch, url, archive)
    assert "harness data import cifar10 PATH" in str(caught.value)
    assert str(caught.value).count("\n") == 1
    assert left_over(tmp_path) == []
    assert not CIFAR10.is_ready()


def test_a_server_that_never_responds(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "FIRST_ANSWER_SECONDS", 0.3)
    silent, refused = socket.create_server(("127.0.0.1", 0)), r"no response within 0.3 s"
    with silent, pytest.raises(DataError, match=refused):
        fetch(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}/a", archive)
    assert left_over(tmp_path) == []


def test_a_name_server_that_never_responds(archive, monkeypatch):
    monkeypatch.setattr(download, "FIRST_ANSWER_SECONDS", 0.3)
    release = threading.Event()

    def silent(*_args, **_kwargs):
        release.wait(60)
        raise socket.gaierror("never")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    with pytest.raises(DataError, match="no response"):
        fetch(monkeypatch, "http://nowhere.invalid/a", archive)
    release.set()


def test_a_late_response_is_not_downloaded(archive, tmp_path, monkeypatch):
    """What runs by then would be timed beside it."""
    monkeypatch.setattr(download, "FIRST_ANSWER_SECONDS", 0.3)
    look_up, late = socket.getaddrinfo, threading.Event()

    def slowly(*arguments, **settings):
        late.wait(60)
        return look_up(*arguments, **settings)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    fetched = []
    monkeypatch.setattr(download._Bar, "update", lambda _, count: fetched.append(count))
    with serving(archive) as url:
        with pytest.raises(DataError, match="no response"):
            fetch(monkeypatch, url, archive)
        late.set()
        (thread,) = (each for each in threading.enumerate() if each.name == "download")
        thread.join(60)
    assert fetched == []
    assert left_over(tmp_path) == []


def test_the_time_limits_are_short():
    assert download.CONNECT_SECONDS <= 5
    assert download.FIRST_ANSWER_SECONDS <= 10
