"""The base recommender's embeddings: the artifact that starts every other model of this stage (Algorithm 1)."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from data.timelines import Timelines
from runtime import artifact
from runtime.errors import DataError, UsageError

KIND = "base_embeddings"
VERSION = 1


@dataclasses.dataclass(frozen=True)
class BaseEmbeddings:
    """v_u and v_i of Zhang et al., section 4.3.1: `user` [U, D], `item` [N + 1, D], float32; item row 0 is padding."""

    user: NDArray[np.float32]
    item: NDArray[np.float32]

    @property
    def dim(self) -> int:
        """D."""
        return self.item.shape[1]

    def save(self, path: str | os.PathLike[str], timelines: Timelines) -> None:
        """Writes the artifact. Errors: ValueError for shapes that are not `timelines`'.

        DataError where a vector is not finite: the base recommender diverged.
        """
        expected = (timelines.num_users, self.dim), (timelines.num_items + 1, self.dim)
        if (self.user.shape, self.item.shape) != expected:
            raise ValueError(f"user {self.user.shape} and item {self.item.shape} are not {expected[0]}, {expected[1]}")
        for name in ("user", "item"):
            if not np.isfinite(getattr(self, name)).all():
                raise DataError(f"{name} vectors are not finite: train the base recommender at a lower learning rate")
        lineage = {"vocabulary_hash": timelines.manifest["vocabulary_hash"], "dim": self.dim}
        with artifact.writing(path, kind=KIND, version=VERSION, fields=lineage) as folder:
            np.save(folder / "user.npy", self.user.astype(np.float32))
            np.save(folder / "item.npy", self.item.astype(np.float32))

    @classmethod
    def open(cls, path: str | os.PathLike[str], timelines: Timelines, flag: str) -> "BaseEmbeddings":
        """Opens the artifact as read-only memory maps; errors name `flag`, also where it is of other users or items."""
        manifest = artifact.open_manifest(path, kind=KIND, version=VERSION, flag=flag)
        user, item = (np.asarray(np.load(Path(path) / f"{name}.npy", mmap_mode="r")) for name in ("user", "item"))
        if (
            manifest["vocabulary_hash"] != timelines.manifest["vocabulary_hash"]
            or len(item) != timelines.num_items + 1
            or len(user) != timelines.num_users
        ):
            raise UsageError(f"{flag}={path}: made of other timelines than --data={timelines.path}; give its own")
        return cls(user, item)


def mean_vectors(
    item_vectors: NDArray[np.float32], user: NDArray[np.integer], item: NDArray[np.integer], *, num_users: int
) -> NDArray[np.float32]:
    """[U, D]: the mean vector of the items [C] that each user [C] has clicked; zero of those without any."""
    ones = np.ones(len(user), np.float32)
    counts = sp.csr_matrix((ones, (user, item)), shape=(num_users, len(item_vectors)))
    totals = np.maximum(np.bincount(user, minlength=num_users), 1)[:, None]
    return (np.asarray(counts @ item_vectors) / totals).astype(np.float32)
