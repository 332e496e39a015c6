"""A record that a power cut catches while it is written: at every byte, and with a real process that is killed."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.schema import RecordFault
from experiments.spec import Record
from tests.processes import REPOSITORY, kill
from tests.small_repository import make_record, make_repository, open_repository
from tests.test_drills import repeated

NAME = "tiny-z2-s0"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "root")


def test_a_record_cut_off_at_any_byte_is_refused(root: Path) -> None:
    text = make_record(root, NAME).to_text()
    assert len(text) > 1000 and text.isascii()
    read = []
    for length in range(len(text) - 1):  # Less its last line break, a record is still whole.
        try:
            read.append(Record.from_text(text[:length], "cut.json"))
        except RecordFault as fault:
            assert fault.place == "cut.json"
    assert read == []


@pytest.mark.parametrize("byte", [b"\0", b" ", b"7"])
def test_a_record_with_a_block_that_never_reached_the_disk_is_refused(root: Path, byte: bytes) -> None:
    """After a power cut, some file systems leave zeros, or an older file's bytes, where the data should be."""
    whole = make_record(root, NAME).to_text().encode()
    for start in range(0, len(whole), 97):
        block = whole[start : start + 64]
        torn = whole[:start] + byte * len(block) + whole[start + 64 :]
        if torn == whole:
            continue
        with pytest.raises(RecordFault):
            Record.from_text(torn.decode(), "torn.json")


def test_what_was_being_written_beside_the_record_is_no_record(root: Path) -> None:
    """For every length of the temporary file there is the old record, or none; never half of the new one."""
    plan, ledger = open_repository(root)
    text = make_record(root, NAME).to_text()
    ledger.records_folder.mkdir()
    temporary = ledger.records_folder / f".{NAME}-abcdefgh.tmp"
    for length in range(0, len(text) + 1, 53):
        temporary.write_text(text[:length])
        assert ledger.load(plan) == []
    ledger.save(make_record(root, NAME))
    assert [record.run for record in ledger.load(plan)] == [NAME]


WRITER = """
import sys
sys.path.insert(0, {repository!r})
from dataclasses import replace
from pathlib import Path
from tests.small_repository import make_record, open_repository
root = Path({root!r})
ledger, record = open_repository(root)[1], make_record(root, {name!r})
for number in range(10**9):
    ledger.save(replace(record, cost={{**record.cost, "attempts": number + 1}}), force=True)
    if number == 0:
        print("ready", flush=True)
"""


@repeated
def test_a_writer_that_is_killed_leaves_a_whole_record(root: Path, seed: int) -> None:
    program = WRITER.format(repository=str(REPOSITORY), root=str(root), name=NAME)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "ready\n"
        time.sleep(random.Random(seed).uniform(0.05, 0.5))
        kill(writer.pid)
    plan, ledger = open_repository(root)
    (record,) = ledger.load(plan)
    written = json.loads(ledger.record_path(NAME).read_text())["cost"]["attempts"]
    assert record == make_record(root, NAME, cost=record.cost)
    assert record.cost["attempts"] == written >= 1
