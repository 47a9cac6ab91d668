import contextlib
import functools
import hashlib
import http.server
import importlib.util
import shutil
import threading
import zipfile

import pytest

from data.raw import download
from data.raw.download import Digest
from data.readers.movielens import layouts as movielens
from data.readers.vk_lsvd import layout as vk_lsvd
from data.readers.yambda import layout as yambda
from runtime.errors import DataError, UsageError
from tests.logs import official_logs


@contextlib.contextmanager
def served(folder):
    """The address of a server of the files in `folder`; a query after a name is ignored."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            del args

    class Patient(http.server.ThreadingHTTPServer):
        def handle_error(self, *args):
            del args  # whoever has seen enough hangs up

    server = Patient(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


CONTENT = bytes(range(256)) * 9_000  # more than one block


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "a.zip").write_bytes(CONTENT)
    (folder / "pointer").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(CONTENT).hexdigest()}\nsize 9\n"
    )
    with served(folder) as address:
        yield address


def test_a_file_is_fetched_once_and_has_the_published_digest(site, tmp_path):
    path = tmp_path / "here/a.zip"
    assert download.fetch(f"{site}/a.zip", path, lambda: download.git_lfs(f"{site}/pointer")) == path
    assert path.read_bytes() == CONTENT
    # Nothing is fetched where it is there already.
    md5 = Digest("md5", hashlib.md5(CONTENT).hexdigest(), "me")
    assert download.fetch("https://nowhere.invalid/a.zip", path, lambda: md5) == path
    assert [p.name for p in path.parent.iterdir()] == ["a.zip"]


def test_an_altered_file_is_refused_and_not_kept(site, tmp_path):
    path = tmp_path / "a.zip"
    with pytest.raises(DataError, match=r"a\.zip: md5 [0-9a-f]{32}, me says 00: cut short or altered"):
        download.fetch(f"{site}/a.zip", path, lambda: Digest("md5", "00", "me"))
    assert not path.exists()
    assert not list(tmp_path.glob("*.partial"))
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match="cut short or altered; remove it"):
        download.fetch(f"{site}/a.zip", path, lambda: download.git_lfs(f"{site}/pointer"))
    assert path.exists()


@pytest.mark.parametrize("missing", ["file", "pointer"])
def test_what_cannot_be_fetched_is_for_the_user_to_put_there(site, tmp_path, missing):
    digest = (lambda: Digest("md5", "", "")) if missing == "file" else lambda: download.git_lfs(f"{site}/b.pointer")
    with pytest.raises(UsageError, match=rf"--download: {site}/b\.zip cannot be fetched .*404.*; put b\.zip into"):
        download.fetch(f"{site}/b.zip", tmp_path / "b.zip", digest)


def test_only_https(tmp_path):
    with pytest.raises(ValueError, match="no https"):
        download.fetch("http://example.org/a", tmp_path / "a", lambda: Digest("md5", "", ""))


def test_a_disk_that_is_too_small_is_told_before(site, tmp_path, monkeypatch):
    usage = type("", (), {"free": 1000})
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UsageError, match=r"a\.zip has 2,304,000 bytes, .* 1,000 free; make room"):
        download.fetch(f"{site}/a.zip", tmp_path / "a.zip", lambda: Digest("md5", "", ""))


def test_movielens_is_fetched_checked_and_unpacked(tmp_path, monkeypatch):
    official_logs.movielens_1m(tmp_path / "made")
    site, here = tmp_path / "site", tmp_path / "here"
    site.mkdir()
    with zipfile.ZipFile(site / "ml-1m.zip", "w") as packed:
        for path in (tmp_path / "made/ml-1m").iterdir():
            packed.write(path, f"ml-1m/{path.name}")
    with served(site) as address:
        monkeypatch.setattr(movielens, "URL", address)
        with pytest.raises(DataError, match="TensorFlow Datasets says a6898adb"):
            movielens.download(here, "ml-1m")
        sha256 = hashlib.sha256((site / "ml-1m.zip").read_bytes()).hexdigest()
        monkeypatch.setitem(movielens.SHA256, "ml-1m", sha256)
        found = movielens.download(here, "ml-1m")
    assert [path.name for path in movielens.source_files(found, "ml-1m")] == ["ratings.dat", "movies.dat", "users.dat"]
    # Where it lies is enough.
    (here / "ml-1m.zip").unlink()
    movielens.source_files(movielens.download(here, "ml-1m"), "ml-1m")


def test_movielens_digests_are_those_of_tensorflow_datasets():
    tfds = importlib.util.find_spec("tensorflow_datasets")
    if tfds is None or tfds.origin is None:
        pytest.skip("no tensorflow_datasets")
    lines = (download.Path(tfds.origin).parent / "url_checksums/movielens.txt").read_text().splitlines()
    known = {line.split("\t")[0]: line.split("\t")[2] for line in lines}
    for archive, sha256 in movielens.SHA256.items():
        assert known[f"{movielens.URL}/{archive}.zip"] == sha256


def test_yambda_is_fetched_from_hugging_face(tmp_path, monkeypatch):
    official_logs.yambda(tmp_path / "made", "50m")
    site = tmp_path / "site/yandex/yambda"
    for name in ("flat/50m/multi_event.parquet", "artist_item_mapping.parquet"):
        content = (tmp_path / "made" / name).read_bytes()
        for part, served_content in (
            ("resolve", content),
            ("raw", f"oid sha256:{hashlib.sha256(content).hexdigest()}\n".encode()),
        ):
            (site / part / "main" / name).parent.mkdir(parents=True, exist_ok=True)
            (site / part / "main" / name).write_bytes(served_content)
    with served(tmp_path / "site") as address:
        monkeypatch.setattr(download, "HUGGING_FACE", address)
        found = yambda.download(tmp_path / "here", "50m", user_share=1.0)
        assert len(yambda.source_files(found, "50m")) == 2
        # What is missing is fetched, and nothing else.
        shutil.rmtree(site / "raw/main/flat")
        (found / "artist_item_mapping.parquet").unlink()
        yambda.download(found, "50m", user_share=0.5)
    assert len(yambda.source_files(found, "50m")) == 2


def test_vk_lsvd_is_fetched_week_by_week(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(vk_lsvd, "hugging_face", lambda dataset, names, folder: asked.append((dataset, list(names))))
    vk_lsvd.download(tmp_path, subsample="up0.001_ip0.001", user_share=1.0)
    ((dataset, names),) = asked
    assert dataset == "deepvk/VK-LSVD"
    assert names[0] == "subsamples/up0.001_ip0.001/train/week_00.parquet"
    assert names[24:27] == [
        "subsamples/up0.001_ip0.001/train/week_24.parquet",
        "subsamples/up0.001_ip0.001/validation/week_25.parquet",
        "subsamples/up0.001_ip0.001/test/week_26.parquet",
    ]
    assert names[27:] == ["metadata/items_metadata.parquet", "metadata/users_metadata.parquet"]
    (tmp_path / "train").mkdir()  # a subsample's own folder
    vk_lsvd.download(tmp_path)
    assert len(asked) == 1
