"""Artifacts: whole or not there, and every altered byte is found."""

from pathlib import Path

import pytest

from runtime.artifact import MANIFEST, PARTIAL, SCRATCH, open_manifest, read_json, scratch, write_json, writing
from runtime.errors import DataError, UsageError


def write(path, *, text="one two three", **fields):
    with writing(path, kind="things", version=2, fields=fields) as folder:
        (folder / "part").mkdir()
        (folder / "a.txt").write_text(text)
        (folder / "part" / "b.bin").write_bytes(bytes(range(256)))


def opened(path, *, kind="things", version=2):
    return open_manifest(path, kind=kind, version=version, flag="--things")


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "artifact", size=3)
    return tmp_path / "artifact"


def test_manifest_has_the_fields_and_every_file(folder):
    manifest = opened(folder)
    assert manifest["size"] == 3
    assert {name: file["bytes"] for name, file in manifest["files"].items()} == {"a.txt": 13, "part/b.bin": 256}


def test_fields_may_be_filled_while_writing(tmp_path):
    fields = {}
    with writing(tmp_path / "x", kind="things", version=2, fields=fields):
        fields["rows"] = 5
    assert opened(tmp_path / "x")["rows"] == 5


def test_truncated_file(folder):
    file = folder / "part" / "b.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"b\.bin: 255 bytes, 256 were written: truncated or altered; write the things"):
        opened(folder)


@pytest.mark.parametrize("bit", [0, 1000, 2047])
def test_one_bit_altered(folder, bit):
    file = folder / "part" / "b.bin"
    content = bytearray(file.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"b\.bin: checksum does not match its manifest: altered; write the things"):
        opened(folder)


def test_missing_file(folder):
    (folder / "a.txt").unlink()
    with pytest.raises(DataError, match=r"a\.txt: missing; write the things again"):
        opened(folder)


@pytest.mark.parametrize(
    ("kind", "version", "message"),
    [("others", 2, "holds 'things', not 'others'"), ("things", 3, "format 2, .* reads 3")],
)
def test_another_kind_or_version(folder, kind, version, message):
    with pytest.raises(UsageError, match=f"--things=.*{message}"):
        opened(folder, kind=kind, version=version)


def test_a_folder_that_is_no_artifact(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UsageError, match=f"--things={path}: no things here"):
            opened(path)


@pytest.mark.parametrize("text", ["", '{"kind": "thi', "\xff\xfe"])
def test_a_broken_manifest(folder, text):
    (folder / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match="not valid JSON"):
        opened(folder)


def test_a_failure_leaves_nothing_and_keeps_what_was_there(folder):
    with pytest.raises(NotADirectoryError), writing(folder, kind="things", version=2, fields={}) as half:
        (half / "a.txt" / "b.txt").write_text(str((half / "a.txt").write_text("half")))
    assert opened(folder)["size"] == 3
    assert [path.name for path in folder.parent.iterdir()] == ["artifact"]


def test_half_written_is_not_accepted_and_does_not_hinder(tmp_path):
    half = tmp_path / "artifact.partial"  # what a killed process leaves
    half.mkdir()
    (half / "old.txt").write_text("old")
    for path in (half, tmp_path / "artifact"):
        with pytest.raises(UsageError, match="no things here"):
            opened(path)
    write(tmp_path / "artifact")
    assert sorted(opened(tmp_path / "artifact")["files"]) == ["a.txt", "part/b.bin"]


def test_writing_again_replaces_all(folder):
    (folder / "left over").write_text("x")
    write(folder, text="four", size=4)
    assert opened(folder)["size"] == 4
    assert not (folder / "left over").exists()


def test_a_folder_that_is_there_stays(tmp_path, monkeypatch):
    # A mount point cannot be renamed, a link not replaced by a folder, and one's own folder is not to vanish.
    target, link = tmp_path / "target", tmp_path / "link"
    target.mkdir()
    link.symlink_to(target)
    before = target.stat().st_ino
    write(link, size=3)
    monkeypatch.chdir(target)
    write(".", text="four", size=4)
    assert target.stat().st_ino == before
    assert link.is_symlink()
    assert opened(".")["size"] == opened(link)["size"] == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "target"]
    assert sorted(path.name for path in target.iterdir()) == ["a.txt", MANIFEST, "part"]


def test_a_file_or_a_link_to_nothing_in_the_way_is_named(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nothing")
    for name in ("file", "link"):
        with pytest.raises(FileExistsError) as error:
            write(tmp_path / name)
        assert error.value.filename == str(tmp_path / name)


def test_only_the_folder_itself_needs_to_be_writable(tmp_path, monkeypatch):
    target = tmp_path / "target"
    target.mkdir()
    mkdir = Path.mkdir

    def within(path, *arguments, **options):
        if path.parent == tmp_path and not path.exists():
            raise PermissionError(path)
        mkdir(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", within)
    write(target, size=3)
    assert opened(target)["size"] == 3


def test_what_was_cut_short_inside_a_folder_does_not_hinder(folder):
    (folder / PARTIAL / "part").mkdir(parents=True)  # what a killed process leaves
    (folder / MANIFEST).unlink()
    write(folder, text="four", size=4)
    assert opened(folder)["size"] == 4
    assert not (folder / PARTIAL).exists()


@pytest.mark.parametrize("is_there", [False, True])
def test_scratch_is_on_the_artifacts_disk_and_gone_afterwards(tmp_path, is_there):
    """Beside it, or in its folder where there is one, such as a mounted disk; whatever a killed process left in it."""
    path = tmp_path / "artifact"
    if is_there:
        path.mkdir()
    left = path / SCRATCH if is_there else tmp_path / f"artifact{SCRATCH}"
    left.mkdir()
    (left / "old").write_text("old")
    with scratch(path) as place:
        assert place == left
        assert not place.exists()
        place.mkdir()
        (place / "rows").write_text("rows")
        write(path, size=3)
        assert (place / "rows").exists()
    assert opened(path)["size"] == 3
    assert not left.exists()

    def fails():
        with scratch(path) as place:
            place.mkdir()
            place.mkdir()

    with pytest.raises(FileExistsError):
        fails()
    assert not (path / SCRATCH).exists()


def test_json_is_replaced_in_one_step(tmp_path):
    write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"a": object()})
    assert read_json(tmp_path / "x.json") == {"a": 1}
    with pytest.raises(DataError, match=r"y\.json: no such file; run the stage"):
        read_json(tmp_path / "y.json")
