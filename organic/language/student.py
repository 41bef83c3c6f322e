"""A small student of a text encoder for request time: a table of word pieces and pairs of neighbours, no network.

    student(text) = sum over its n word pieces, and pairs of neighbours, f of E[f] / n, scaled to length 1

E solves a ridge regression on the teacher's vectors Y of the texts it is fitted on (A: rows of 1 / n at the features of
a text; E0: the teacher's vectors of single pieces, zero for pairs), by a fixed number of conjugate gradient steps:

    minimise |A E - Y|^2 + ridge |E - E0|^2        (A'A + ridge) (E - E0) = A' (Y - A E0)

It knows the vocabulary of those texts only, and of word order what pairs say.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from tokenizers import Tokenizer

from market.artefacts import MANIFEST, open_artefact, writing
from market.errors import ArtefactError, ConfigError, UserError
from market.text import Progress, TextEncoder, clean_text

KIND, FORMAT = "text-student", 2
ROWS_PER_STEP = 4096
SUMMED_ONE_BY_ONE = 6  # texts; for more a sparse product is faster
FEW_TEXTS = 64  # up to here other threads are not worth waiting for: a request's texts are read in its own


@dataclass(frozen=True)
class StudentConfig:
    """ridge counts in texts: a piece that is the whole of so many texts moves half the way from E0 to them."""

    ridge: float = 0.3
    steps: int = 30
    pair_seen: int = 2  # in that many texts at least, to be a feature
    held_out: int = 20  # one text in that many is not fitted but measured

    def __post_init__(self) -> None:
        if not (self.ridge > 0 and self.steps >= 1 and self.held_out >= 2 and self.pair_seen >= 1):
            raise ConfigError(
                f"ridge {self.ridge}, steps {self.steps}, held_out {self.held_out}, pair_seen {self.pair_seen}; "
                "expected above 0, from 1, from 2, from 1"
            )


@dataclass(frozen=True)
class Features:
    """Rows of the table: pieces int64[v] ascending, then neighbours int64[q] ascending, each first << 32 | second."""

    pieces: np.ndarray
    neighbours: np.ndarray

    def shares(self, bags: Sequence[np.ndarray]) -> Any:
        """Sparse float32[n, v + q]: 1 / length at each known piece and pair of a text, in the order of the text."""
        lengths = np.array([len(bag) for bag in bags], np.int64)
        flat = np.concatenate([np.zeros(0, np.int64), *bags])
        text = np.repeat(np.arange(len(bags)), lengths)
        weight = (1 / np.maximum(lengths, 1)).astype(np.float32)[text]
        follows = np.flatnonzero(text[1:] == text[:-1])
        pairs = flat[follows] << 32 | flat[follows + 1]
        rows, columns, values = [], [], []
        for keys, known, at, offset in (
            (flat, self.pieces, np.arange(len(flat)), 0),
            (pairs, self.neighbours, follows, len(self.pieces)),
        ):
            if len(known):
                place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
                met = known[place] == keys
                rows.append(text[at[met]])
                columns.append(place[met] + offset)
                values.append(weight[at[met]])
        shape = (len(bags), len(self.pieces) + len(self.neighbours))
        cells = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return scipy.sparse.csr_matrix(cells, shape=shape)

    def sum(self, bag: np.ndarray, table: np.ndarray) -> np.ndarray:
        """float32[d]: shares([bag]) @ table bit for bit, at a sixth of the time for one text."""
        keys = [(bag, self.pieces, 0), (bag[:-1] << 32 | bag[1:], self.neighbours, len(self.pieces))]
        share = np.float32(1 / max(len(bag), 1))
        weights: dict[int, np.float32] = {}
        for wanted, known, offset in keys:
            if len(known) and len(wanted):
                place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
                for row in (place[known[place] == wanted] + offset).tolist():
                    weights[row] = weights.get(row, np.float32(0)) + share
        total = np.zeros(table.shape[1], np.float32)
        for row in sorted(weights):  # the order in which a sparse product adds up
            total += weights[row] * table[row]
        return total


class StaticEncoder:
    """A fitted student. What it never met is skipped; a text without any known piece is a row of zeros."""

    def __init__(self, tokenizer: str, features: Features, table: np.ndarray) -> None:
        """tokenizer is the text of a tokenizer.json; table float32[v + q, d], in the order of the features."""
        self._tokenizer, self._features, self._table = tokenizer, features, table
        self._split = _splitter(tokenizer)

    @property
    def dimension(self) -> int:
        return int(self._table.shape[1])

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32[n, dimension], row i for texts[i], of length 1 or 0. A row does not depend on the others."""
        if isinstance(texts, str):
            raise UserError("expected a list of texts, got one str; pass [text]")
        out = np.zeros((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), ROWS_PER_STEP):
            bags = _pieces(self._split, texts[start : start + ROWS_PER_STEP])
            if len(bags) <= SUMMED_ONE_BY_ONE:
                means = np.stack([self._features.sum(bag, self._table) for bag in bags])  # [rows, d]
            else:
                means = self._features.shares(bags) @ self._table
            lengths = np.sqrt(np.einsum("nd,nd->n", means, means))
            known = lengths > 1e-9
            out[start : start + len(bags)][known] = means[known] / lengths[known, None]
        return out

    def save(self, path: Path, config: StudentConfig, inputs: dict[str, str], metrics: dict[str, Any]) -> None:
        from safetensors.numpy import save_file

        with writing(path, KIND, FORMAT, config=asdict(config), inputs=inputs, metrics=metrics) as folder:
            arrays = {"pieces": self._features.pieces, "neighbours": self._features.neighbours, "table": self._table}
            save_file(arrays, folder / "student.safetensors")
            (folder / "tokenizer.json").write_text(self._tokenizer, encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> StaticEncoder:
        from safetensors.numpy import load_file

        open_artefact(path, KIND, (FORMAT,))
        arrays = load_file(Path(path) / "student.safetensors")
        tokenizer = (Path(path) / "tokenizer.json").read_text(encoding="utf-8")
        return cls(tokenizer, Features(arrays["pieces"], arrays["neighbours"]), arrays["table"])


def is_student(path: Path) -> bool:
    """Whether a folder holds a student rather than a sentence-transformers model."""
    try:
        return bool(json.loads((path / MANIFEST).read_text(encoding="utf-8")).get("kind") == KIND)
    except (OSError, ValueError, AttributeError):
        return False


def fit_student(
    texts: Sequence[str],
    teacher: TextEncoder,
    config: StudentConfig | None = None,
    progress: Progress | None = None,
) -> tuple[StaticEncoder, dict[str, Any]]:
    """A student of the teacher on these texts, and how close it comes: {"cosine", "cosine_n", "fitted", "pieces"}.

    cosine is the mean between student and teacher over texts that were held out (None when there are none). Which ones
    is decided by the digest of the text, so the same texts in any order give the same student.
    """
    config = config or StudentConfig()
    known = sorted({clean_text(text) for text in texts})
    held = [text for text in known if _digest(text) % config.held_out == 0]
    fitted = [text for text in known if _digest(text) % config.held_out]
    tokenizer = _tokenizer_of(teacher)
    split = _splitter(tokenizer)
    bags = _pieces(split, fitted)
    pieces = np.unique(np.concatenate([np.zeros(0, np.int64), *bags]))  # [v]
    if not len(pieces):
        raise UserError(f"{len(known)} texts without a single word can not teach anything; give texts of jobs")
    features = Features(pieces, _neighbours(bags, config.pair_seen))

    shares = features.shares(bags)  # [n, v + q]
    targets = teacher.encode(fitted, progress=progress)  # [n, d]
    start = np.zeros((shares.shape[1], targets.shape[1]), np.float32)
    spelled = [str(split.id_to_token(piece)).removeprefix("##") for piece in pieces.tolist()]
    start[: len(pieces)] = teacher.encode(spelled)
    table = _ridge(shares, targets, start, config)
    student = StaticEncoder(tokenizer, features, table)

    cosines = (student.encode(held) * teacher.encode(held)).sum(1)
    metrics = {
        "cosine": float(cosines.mean()) if held else None,
        "cosine_n": len(held),
        "fitted": len(fitted),
        "pieces": len(pieces),
        "neighbours": len(features.neighbours),
    }
    return student, metrics


def _ridge(shares: Any, targets: np.ndarray, start: np.ndarray, config: StudentConfig) -> np.ndarray:
    """E of the module's docstring, [features, d] in the type of `start`; the d columns are solved side by side."""
    transposed = shares.T.tocsr()
    left = transposed @ (targets - shares @ start)  # [v, d], what is still unexplained
    change, direction = np.zeros_like(left), left.copy()
    size = (left * left).sum(0)  # [d]
    for _ in range(config.steps):
        image = transposed @ (shares @ direction) + config.ridge * direction
        step = size / np.maximum((direction * image).sum(0), 1e-30)
        change += step * direction
        left -= step * image
        before, size = size, (left * left).sum(0)
        direction = left + size / np.maximum(before, 1e-30) * direction
    solved: np.ndarray = start + change
    return solved


def _neighbours(bags: Sequence[np.ndarray], seen: int) -> np.ndarray:
    """int64[q] ascending: neighbouring pieces, first << 32 | second, of at least `seen` texts."""
    pairs = [np.unique(bag[:-1] << 32 | bag[1:]) for bag in bags]
    found, counts = np.unique(np.concatenate([np.zeros(0, np.int64), *pairs]), return_counts=True)
    kept: np.ndarray = found[counts >= seen]
    return kept


def _pieces(split: Tokenizer, texts: Sequence[str]) -> list[np.ndarray]:
    """Per text its word pieces, int64[length], in order."""
    found: list[np.ndarray] = []
    for start in range(0, len(texts), ROWS_PER_STEP):
        part = [clean_text(text) for text in texts[start : start + ROWS_PER_STEP]]
        if len(part) <= FEW_TEXTS:
            lines = [split.encode(text, add_special_tokens=False) for text in part]
        else:
            lines = split.encode_batch(part, add_special_tokens=False)
        found += [np.array(line.ids, np.int64) for line in lines]
    return found


def _splitter(tokenizer: str) -> Tokenizer:
    split = Tokenizer.from_str(tokenizer)
    split.no_padding()
    split.no_truncation()
    return split


def _tokenizer_of(teacher: TextEncoder) -> str:
    path = teacher.folder / "tokenizer.json"
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        raise ArtefactError(f"{path} is missing: a student needs a teacher with a fast tokenizer") from None


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
