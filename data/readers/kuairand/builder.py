"""KuaiRand as a TensorFlow Datasets builder: registry, versions, the download and its checksum, splits.

    python -m data.prepare --config=configs/data.py:kuairand_pure --download --data=DIR --workdir=DIR

or, in Python, `tfds.builder("kuai_rand/pure", data_dir=...)` once this module is imported. A record is one log *file*:
its place, size and number of rows. The rows themselves stay in the CSV files, which `layout` reads by the column: one
tf.Example for each of 322 million would take nine hours.

Importing this module imports tensorflow_datasets; building imports TensorFlow.
"""

import hashlib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import tensorflow_datasets as tfds

from data.readers.kuairand import layout
from runtime.errors import DataError, UsageError

RECORD = "https://zenodo.org/records/10439422"
# md5 as the record lists it.
MD5 = {
    "pure": "0820331067a3784d9691136f772b35a7",
    "1k": "6b0b9c8222d67fcd4c676218edca3f1f",
    "27k": "3e3c799a24e2d23a4d2c757fbf9adf59",
}
_CITATION = """@inproceedings{gao2022kuairand,
  title = {KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly Exposed Videos},
  author = {Chongming Gao and Shijun Li and Yuan Zhang and Jiawei Chen and Biao Li and Wenqiang Lei and Peng Jiang
            and Xiangnan He},
  booktitle = {Proceedings of the 31st ACM International Conference on Information and Knowledge Management},
  year = {2022}, pages = {3953--3957}, doi = {10.1145/3511808.3557624}
}"""


def archive(version: str) -> str:
    """The file name of a version's archive."""
    return f"{layout.FOLDERS[version]}.tar.gz"


def url(version: str) -> str:
    """Where a version's archive is downloaded from."""
    return f"{RECORD}/files/{archive(version)}"


class KuaiRand(tfds.core.GeneratorBasedBuilder):
    """One config a version; the splits are `standard` and, where it is there, `random` (randomly exposed videos)."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "The archives of Zenodo record 10439422."}
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name=name, description=folder) for name, folder in layout.FOLDERS.items()
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"Optional: the archive from {RECORD}, or what it unpacks to."

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {"path": tfds.features.Text(), "bytes": np.int64, "rows": np.int64},
            ),
            homepage=RECORD,
            citation=_CITATION,
            license="CC BY-SA 4.0",
            metadata=tfds.core.MetadataDict(folder=""),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        version = self.builder_config.name
        folder = self._unpacked(dl_manager, version)
        self.info.metadata["folder"] = str(folder)  # written with the dataset, so that a later run finds it
        logs = [path for path in layout.source_files(folder, version) if path.name.startswith("log_")]
        splits = {kind: [path for path in logs if f"_{kind}_" in path.name] for kind in ("standard", "random")}
        return {kind: self._generate_examples(files) for kind, files in splits.items() if files}

    def _generate_examples(self, files: list[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
        for path in files:
            rows = pl.scan_csv(path, infer_schema=False, glob=False).select(pl.len()).collect(engine="streaming").item()
            yield path.name, {"path": str(path), "bytes": path.stat().st_size, "rows": rows}

    def _unpacked(self, dl_manager: tfds.download.DownloadManager, version: str) -> Path:
        try:
            given = Path(dl_manager.manual_dir)
        except AssertionError:  # none was given
            given = None
        if given and (given / archive(version)).is_file():
            downloaded = given / archive(version)
        elif given and has_logs(given, version):
            return given
        else:
            # Asked once before: the downloader itself retries for minutes where there is no network.
            request = urllib.request.Request(url(version), method="HEAD")
            urllib.request.urlopen(request, timeout=30).close()
            downloaded = Path(dl_manager.download(url(version)))
        with open(downloaded, "rb") as file:
            md5 = hashlib.file_digest(file, "md5").hexdigest()
        if md5 != MD5[version]:
            if given is None or downloaded.parent != given:
                downloaded.unlink()  # or the next run would take it for done
            raise DataError(
                f"{downloaded}: md5 {md5}, the record lists {MD5[version]}: cut short or altered; fetch it again"
            )
        return Path(dl_manager.extract(downloaded))


def has_logs(folder: Path, version: str) -> bool:
    """True where `folder` holds the official layout of a version."""
    try:
        return bool(layout.source_files(folder, version))
    except DataError:
        return False


def download(folder: Path, version: str, **options: Any) -> Path:
    """Where the logs of a version (`pure`, `1k`, `27k`) lie: in `folder`, or below it once it is fetched.

    `folder` may hold the archive already; nothing is downloaded then.
    """
    del options
    if has_logs(folder, version):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    builder = KuaiRand(config=version, data_dir=folder / "tfds", file_format="array_record")
    settings = tfds.download.DownloadConfig(manual_dir=folder, try_download_gcs=False)
    try:
        builder.download_and_prepare(download_config=settings)
    except (OSError, tfds.download.DownloadError) as error:
        raise UsageError(
            f"--download: {url(version)} cannot be fetched ({error}); put {archive(version)} into {folder} by hand"
        ) from None
    return Path(builder.info.metadata["folder"])
