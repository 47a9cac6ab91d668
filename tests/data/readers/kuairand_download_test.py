import hashlib
import tarfile
from pathlib import Path

import pytest

tfds = pytest.importorskip("tensorflow_datasets")

from data.readers.kuairand import builder as kuairand_builder  # noqa: E402
from data.readers.kuairand import layout  # noqa: E402
from runtime.errors import DataError, UsageError  # noqa: E402

LOG = "user_id,video_id\n1,2\n3,4\n"


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A small archive of the official layout, in the folder of a user who has fetched it by hand."""
    source, folder = tmp_path / "source", tmp_path / "logs"
    source.mkdir()
    folder.mkdir()
    names = ("log_standard_4_08_to_4_21_1k", "log_standard_4_22_to_5_08_1k", "log_random_4_22_to_5_08_1k")
    for name in (*names, "user_features_1k", "video_features_basic_1k"):
        (source / f"{name}.csv").write_text(LOG)
    path = folder / "KuaiRand-1K.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(source, "KuaiRand-1K/data")
    monkeypatch.setitem(kuairand_builder.MD5, "1k", hashlib.md5(path.read_bytes()).hexdigest())
    return path


def test_an_archive_is_checked_unpacked_and_registered(archive):
    found = kuairand_builder.download(archive.parent, "1k")
    names = [path.name for path in layout.source_files(found, "1k")]
    assert names[2:] == [
        "log_standard_4_08_to_4_21_1k.csv",
        "log_standard_4_22_to_5_08_1k.csv",
        "log_random_4_22_to_5_08_1k.csv",
    ]
    builder = tfds.builder("kuai_rand/1k", data_dir=archive.parent / "tfds")
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {"standard": 2, "random": 1}
    # A second run finds it without unpacking again.
    archive.unlink()
    assert kuairand_builder.download(archive.parent, "1k") == found


def test_a_record_is_a_file(tmp_path):
    path = tmp_path / "log_standard_4_22_to_5_08_1k.csv"
    path.write_text(LOG)
    builder = kuairand_builder.KuaiRand(config="1k", data_dir=tmp_path)
    records = list(builder._generate_examples([path]))
    assert records == [(path.name, {"path": str(path), "bytes": len(LOG), "rows": 2})]


def test_an_altered_archive_is_refused_and_kept(archive):
    archive.write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"KuaiRand-1K\.tar\.gz: md5 .* the record lists"):
        kuairand_builder.download(archive.parent, "1k")
    assert archive.exists()


def test_unpacked_logs_are_used_where_they_lie(tmp_path):
    for name in ("log_standard_4_22_to_5_08_pure", "user_features_pure", "video_features_basic_pure"):
        (tmp_path / f"{name}.csv").write_text(LOG)
    assert kuairand_builder.download(tmp_path, "pure") == tmp_path
    assert not (tmp_path / "tfds").exists()


def test_without_a_network_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(kuairand_builder, "RECORD", "http://127.0.0.1:9/records/1")
    with pytest.raises(UsageError, match=r"--download: http.*cannot be fetched .*; put KuaiRand-27K\.tar\.gz into"):
        kuairand_builder.download(tmp_path, "27k")


def test_every_version_has_a_config_and_a_checksum():
    assert set(kuairand_builder.KuaiRand.builder_configs) == set(layout.FOLDERS) == set(kuairand_builder.MD5)
    assert kuairand_builder.url("27k") == "https://zenodo.org/records/10439422/files/KuaiRand-27K.tar.gz"
    assert Path(kuairand_builder.url("pure")).name == "KuaiRand-Pure.tar.gz"
