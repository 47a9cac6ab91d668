"""Checksums of large files: computed once, and again as soon as anything about the file has changed."""

import os
import shutil
import time

import pytest

from runtime import remembered
from runtime.artifact import digest, open_manifest, writing
from runtime.errors import DataError

HOUR = 3600


@pytest.fixture(autouse=True)
def every_file_is_large(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(remembered, "LARGE", 1)
    # As if an hour had passed since a file was written: one written just now is not remembered.
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + HOUR)


@pytest.fixture
def reads():
    """Asks for a file's length, the checksum here, and counts how often it was read."""
    count = []

    def length(path):
        count.append(path)
        return str(len(path.read_bytes()))

    return count, length


def test_a_file_is_read_once(tmp_path, reads):
    count, length = reads
    (tmp_path / "file").write_bytes(b"four")
    assert [remembered.checksum(tmp_path / "file", "length", length) for _ in range(3)] == ["4"] * 3
    os.replace(tmp_path / "file", tmp_path / "moved")  # which changes the file itself on some file systems
    assert remembered.checksum(tmp_path / "moved", "length", length) == "4"
    assert len(count) <= 2
    # Another kind of checksum is another question, and the first is not forgotten by it.
    assert remembered.checksum(tmp_path / "moved", "other", lambda path: "x") == "x"
    assert remembered.checksum(tmp_path / "moved", "length", length) == "4"
    assert len(count) <= 2


def test_a_file_that_was_written_just_now_is_read_again(tmp_path, reads, monkeypatch):
    count, length = reads
    later = time.time()
    monkeypatch.setattr(time, "time", lambda: later - HOUR)
    (tmp_path / "file").write_bytes(b"four")
    for _ in range(2):
        remembered.checksum(tmp_path / "file", "length", length)
    assert len(count) == 2


def test_small_files_are_read_each_time(tmp_path, reads, monkeypatch):
    count, length = reads
    monkeypatch.setattr(remembered, "LARGE", 5)
    (tmp_path / "file").write_bytes(b"four")
    for _ in range(2):
        remembered.checksum(tmp_path / "file", "length", length)
    assert len(count) == 2
    assert not (tmp_path / "cache").exists()


def test_a_copy_that_keeps_the_time_and_a_write_that_puts_it_back_are_read(tmp_path, reads):
    count, length = reads
    file = tmp_path / "file"
    file.write_bytes(b"four")
    remembered.checksum(file, "length", length)
    shutil.copy2(file, tmp_path / "copy")
    remembered.checksum(tmp_path / "copy", "length", length)
    assert count == [file, tmp_path / "copy"]
    before = file.stat()
    file.write_bytes(b"fore")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    remembered.checksum(file, "length", length)
    assert count == [file, tmp_path / "copy", file]


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"file": 3}', b"\xff"])
def test_what_is_remembered_may_be_lost_or_damaged(tmp_path, reads, damage):
    count, length = reads
    (tmp_path / "file").write_bytes(b"four")
    remembered.checksum(tmp_path / "file", "length", length)
    (memory,) = (tmp_path / "cache/heed/checksums").iterdir()
    memory.write_bytes(damage)
    assert remembered.checksum(tmp_path / "file", "length", length) == "4"
    assert len(count) == 2


def test_a_cache_that_cannot_be_written_is_none(tmp_path, reads, monkeypatch):
    count, length = reads
    (tmp_path / "in the way").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "in the way"))
    (tmp_path / "file").write_bytes(b"four")
    assert [remembered.checksum(tmp_path / "file", "length", length) for _ in range(2)] == ["4", "4"]
    assert len(count) == 2


def test_an_artifact_is_checked_once_and_again_where_a_byte_has_changed(tmp_path, monkeypatch):
    with writing(tmp_path / "things", kind="things", version=1, fields={}) as folder:
        (folder / "array").write_bytes(bytes(range(100)))

    def opened():
        return open_manifest(tmp_path / "things", kind="things", version=1, flag="--things")

    opened()
    with monkeypatch.context() as unread:
        unread.setattr("runtime.artifact._crc32", lambda path: pytest.fail(f"{path} is read again"))
        opened()
    content = bytearray((tmp_path / "things/array").read_bytes())
    content[50] ^= 1
    (tmp_path / "things/array").write_bytes(content)
    with pytest.raises(DataError, match="array: checksum does not match"):
        opened()


def test_a_digest_is_that_of_the_content_now(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"a")
    other.write_bytes(b"b")
    before = digest(one)
    assert digest(other) != before
    one.write_bytes(b"b")
    assert digest(one) == digest(other)
