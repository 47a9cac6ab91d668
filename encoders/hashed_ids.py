"""Rows of a table for ids of an open vocabulary: several hashes of each id, whose rows are summed.

A table with a row for each id has to be made anew for every id that comes. Hashed, an id that nobody has heard of has
rows too, those that it shares with others: of n ids and K hashes into M rows K! n (n − 1) / (2 M^K) pairs are expected
to share all of theirs, in whatever order, and so their vector, the sum of the K rows. "Bloom embeddings" (Serrà &
Karatzoglou, RecSys '17).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_OFFSET, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_GOLDEN = 0x9E3779B97F4A7C15


def hashed_rows(ids: ArrayLike, *, rows: int, hashes: int) -> NDArray[np.int32]:
    """K = `hashes` rows of a table of `rows` for each id [n], [n, K]: the same in every log, process and version.

    h_k = mix(FNV-1a(id) + k · golden) mod rows, of the id as it is written, in UTF-8: 64 bits of Fowler, Noll and Vo's
    hash, and the finalizer of SplitMix64 (Steele et al., OOPSLA '14).
    Errors: ValueError where there is no row or no hash.
    """
    if rows < 1 or hashes < 1:
        raise ValueError(f"rows={rows} and hashes={hashes}: at least 1 each")
    digest = _fnv(np.char.encode(np.asarray(ids).astype(str), "utf-8"))  # [n]
    columns = [_mixed(digest + np.uint64(k * _GOLDEN % 2**64)) % np.uint64(rows) for k in range(hashes)]
    return np.stack(columns, axis=1).astype(np.int32)


def _fnv(text: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    # Byte by byte of all texts at once.
    letters = text.view(np.uint8).reshape(len(text), -1)  # [n, longest], zeros after the end
    length = np.char.str_len(text)
    digest = np.full(len(text), _OFFSET)
    for place in range(letters.shape[1]):
        digest = np.where(place < length, (digest ^ letters[:, place].astype(np.uint64)) * _PRIME, digest)
    return digest


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
