"""What is private is removed from records, wherever it stands; what only looks alike stays."""

import json

import msgspec
import pytest
from support.made_bundles import HOST, PRIVATE, TOKEN, USER, private_record

from harness.core.documents.kinds import encode_document
from harness.core.runs.store import RUNS
from harness.sharing.bundle.private import Private, is_secret


def document_of(record):
    return json.loads(msgspec.json.encode(record))


@pytest.fixture
def document(tmp_path):
    return document_of(msgspec.structs.replace(private_record(tmp_path), folder=str(tmp_path)))


def removed(document, variables=None, moved=None):
    return Private([document], variables or {}).removed(document, moved or {})


def test_no_private_text_is_left_and_the_record_can_still_be_read(document, tmp_path):
    clean = removed(document)
    text = json.dumps(clean)
    assert [each for each in (*PRIVATE, str(tmp_path)) if each in text] == []
    assert clean["machine"]["host"] is None
    assert clean["process"] is None
    path = tmp_path / f"{clean['id']}.json"
    path.write_bytes(encode_document(clean))
    record = RUNS.read(path)
    assert record.inherited_variables == {"TORCH_TOKEN": "[secret]", "TORCH_LOGS": "+dynamo"}
    assert record.command[-1] == "https://[secret]@[host]"
    assert record.failure.message == "it failed on [host]"


def test_servers_that_a_command_names_are_removed(document):
    words = [
        "--address",
        "ray://head.corp.internal:10001",
        "--track-uri=http://mlflow.corp:5000",
        "node7:6379",
    ]
    document["command"] = [*words, "git+https://ghp_abcdef@github.com/x", "torch:eager", "net.py:make"]
    assert removed(document)["command"] == [
        *("--address", "ray://[host]:10001", "--track-uri=http://[host]:5000", "[host]:6379"),
        *("git+https://[secret]@[host]/x", "torch:eager", "net.py:make"),
    ]


def test_files_in_the_folder_of_the_command_get_relative_paths(document, tmp_path):
    (model,) = removed(document)["task"]["description"]["networks"]["model"]["layers"][0]["models"]
    assert model["target"] == "net.py:make"


def test_moved_files_get_their_places(document, tmp_path):
    document["command"] = ["run", "--model", "/srv/lib/net.py:make", "--loss", "../lib/loss.py:focal"]
    moved = {"/srv/lib/net.py": "outside/srv/lib/net.py", "../lib/loss.py": "outside/lib/loss.py"}
    assert removed(document, moved=moved)["command"] == [
        "run",
        "--model",
        "outside/srv/lib/net.py:make",
        "--loss",
        "outside/lib/loss.py:focal",
    ]


def test_a_user_named_like_an_optimizer_does_not_damage_the_record(tmp_path):
    document = document_of(private_record(tmp_path))
    document["command"] = ["run", "--set", "optimizer=adam"]
    document["task"]["options"]["optimizer"] = "adam"
    document["failure"]["message"] = "adam may not write to /srv/adam/x"
    clean = removed(document, {"USER": "adam"})
    assert clean["command"] == document["command"]
    assert clean["task"]["options"]["optimizer"] == "adam"
    assert clean["failure"]["message"] == "[user] may not write to /srv/[user]/x"


def test_the_value_of_a_secret_of_this_environment_is_removed_wherever_it_stands(document):
    document["failure"]["last_lines"] = ["connecting with abcdef123456", "X_API_KEY=k1 is wrong"]
    clean = removed(document, {"MY_PASSWORD": "abcdef123456", "X_API_KEY": "k1"})
    assert clean["failure"]["last_lines"] == ["connecting with [secret]", "X_API_KEY=[secret] is wrong"]


def test_variables_of_a_configuration_are_pairs(document):
    document["configuration"]["variables"] = [["HF_TOKEN", "abc"], ["OMP_NUM_THREADS", "1"]]
    clean = removed(document)
    assert clean["configuration"]["variables"] == [["HF_TOKEN", "[secret]"], ["OMP_NUM_THREADS", "1"]]


@pytest.mark.parametrize(
    "name",
    ["HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY", "DB_PASSWORD", "GH_PAT", "SSH_KEY", "PGPASSWORD"],
)
def test_names_of_secrets(name):
    assert is_secret(name)


@pytest.mark.parametrize(
    "name", ["PWD", "OMP_NUM_THREADS", "KEYBOARD", "XLA_FLAGS", "TORCH_LOGS", "KERAS_HOME"]
)
def test_names_of_other_variables(name):
    assert not is_secret(name)


def test_private_texts_in_code_are_named_by_line():
    private = Private([], {"MY_TOKEN": TOKEN, "USER": USER, "HOME": "/srv/homes/me"})
    code = f"import os\nkey = '{TOKEN}'\nroot = '/srv/homes/me/data'\n# by {USER}\nother = '/home/else/x'\n"
    found = [(each.line, each.what, each.secret) for each in private.found_in(code.encode())]
    assert found == [
        (2, "the value of MY_TOKEN", True),
        (3, "a home folder", False),
        (4, "the name of a user", False),
        (5, "a home folder", False),
    ]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("net.py", "net.py"),
        ("/projects/mine/data/x.npz", "data/x.npz"),
        (f"/home/{USER}/lib/net.py", "outside/lib/net.py"),
        ("/srv/lib/net.py", "outside/srv/lib/net.py"),
        ("../../../../tmp/x/data.csv", "outside/tmp/x/data.csv"),
    ],
)
def test_places_of_files(path, place):
    assert Private([], {"USER": HOST}).place_of(path, "/projects/mine") == place
