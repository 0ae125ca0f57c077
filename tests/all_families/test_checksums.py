"""Checksums: every kind of record has one, any changed bit is found, and older files are still read."""

import json
import os
import random

import pytest
from support.made_duels import stored_duel
from support.made_gates import mixed_gate
from support.made_study import STUDY
from support.records import make_record

from harness.core.certify.kept_findings import KeptFindings
from harness.core.certify.parity import Finding
from harness.core.machine.checksums import ContentChanged, verify_checksum, with_checksum
from harness.core.runs.store import RUNS
from harness.core.shell.features import records
from harness.learning.study.record import STUDIES
from harness.timing.duel.record import DUELS
from harness.timing.gate.record import GATES

CHANGES = 150


#: What makes a record of each kind.
KINDS = {
    "run": (RUNS, make_record),
    "duel": (DUELS, stored_duel),
    "gate": (GATES, mixed_gate),
    "study": (STUDIES, lambda: STUDY),
}


def flipped(content):
    """Copies with one bit flipped: in drawn places, and at the end, where the checksum is."""
    chance = random.Random(23)  # noqa: S311
    places = [chance.randrange(len(content)) for _ in range(CHANGES - 50)]
    places += [len(content) - 1 - place for place in range(50)]
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << chance.randrange(8)
        yield bytes(changed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_bit_a_cut_and_an_edit_are_found_in_every_kind_of_record(kind, tmp_path, snapshot):
    kind, make = KINDS[kind]
    path = kind.save(make(), tmp_path / kind.folder)
    whole = path.read_bytes()
    document = json.loads(whole)
    assert len(records().read_all(kind, [path])[0]) == 1
    assert "sha256:" in document.pop("checksum")
    edited = [
        whole[: len(whole) // 2],
        whole[:-20],
        whole.replace(b"2", b"3", 1),
        json.dumps(json.loads(whole)).encode(),
        json.dumps(json.loads(whole), indent=4).encode(),
        whole + b" ",
        json.dumps(document).encode(),
    ]
    messages = set()
    for changed in (*flipped(whole), *edited):
        path.write_bytes(changed)
        readable, (message,) = records().read_all(kind, [path])
        assert readable == [], changed[-200:]
        messages.add(message.replace(str(path), "FILE"))
    assert sorted(messages) == snapshot


def test_a_text_that_looks_like_a_checksum_is_none():
    text = json.dumps({"failure": '"checksum": "sha256:0"'}).encode()
    assert not verify_checksum(text)
    assert verify_checksum(with_checksum(text))


@pytest.mark.parametrize("document", [b'{"a":1}', b'{\n "a": 1\n}\n', b'{\n  "a": {\n    "b": 1\n  }\n}'])
def test_the_document_with_a_checksum_is_json_of_the_same_form(document):
    content = with_checksum(document)
    fields = json.loads(content)
    assert list(fields) == [*json.loads(document), "checksum"]
    indents = [len(line) - len(line.lstrip()) for line in content.decode().splitlines()]
    assert indents[-2] == (0 if b"\n" not in document else indents[1])
    assert verify_checksum(content)
    with pytest.raises(ContentChanged):
        verify_checksum(content.replace(b"1", b"2", 1))


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """A finding that is kept: its file, and a function that reads it."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # hundreds of them take long
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    findings = KeptFindings("digest of all that it depends on")
    findings.keep(Finding("sgd", 1e-15, ""))
    (path,) = tmp_path.glob("certificates/*.json")
    assert findings.read("sgd") == Finding("sgd", 1e-15, "")
    return path, lambda: findings.read("sgd")


def test_a_changed_finding_is_not_read(kept):
    path, read = kept
    without = b'{"key":"key","finding":{"case":"sgd","worst":0,"explanation":""}}'
    for changed in (*flipped(path.read_bytes()), b'{"certified": true}', without):
        path.write_bytes(changed)
        assert read() is None


def test_the_finding_of_another_configuration_or_case_is_not_read(kept):
    path, read = kept
    path.write_bytes(with_checksum(b'{"key":"other","finding":{"case":"sgd","worst":0,"explanation":""}}'))
    assert read() is None
    KeptFindings("digest of others").keep(Finding("sgd", 0.0, ""))
    KeptFindings("digest of all that it depends on").keep(Finding("default", 0.0, ""))
    assert read() is None
