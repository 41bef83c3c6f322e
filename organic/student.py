"""A small student of a text encoder for request time: a table of word pieces and a mean, no network, no torch.

    student(text) = mean over its word pieces p of E[p], scaled to length 1

E solves a ridge regression on the teacher's vectors Y of the texts it is fitted on (A: rows of piece shares, each of
sum 1; E0: the teacher's vectors of single pieces), by a fixed number of conjugate gradient steps:

    minimise |A E - Y|^2 + ridge |E - E0|^2        (A'A + ridge) (E - E0) = A' (Y - A E0)

It knows the vocabulary of those texts only, and no word order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from tokenizers import Tokenizer

from market.artefacts import open_artefact, writing
from market.errors import ArtefactError, ConfigError, UserError
from market.text import Progress, TextEncoder, clean_text

KIND, FORMAT = "text-student", 1
ROWS_PER_STEP = 4096


@dataclass(frozen=True)
class StudentConfig:
    """ridge counts in texts: a piece that is the whole of so many texts moves half the way from E0 to them."""

    ridge: float = 0.3
    steps: int = 30
    held_out: int = 20  # one text in that many is not fitted but measured

    def __post_init__(self) -> None:
        if not (self.ridge > 0 and self.steps >= 1 and self.held_out >= 2):
            raise ConfigError(
                f"ridge {self.ridge}, steps {self.steps}, held_out {self.held_out}; expected above 0, from 1, from 2"
            )


class StaticEncoder:
    """A fitted student. Pieces it never met are skipped; a text without any known piece is a row of zeros."""

    def __init__(self, tokenizer: str, pieces: np.ndarray, vectors: np.ndarray) -> None:
        """tokenizer is the text of a tokenizer.json; pieces int32[v] ascending, vectors float32[v, d]."""
        self._tokenizer, self._pieces, self._vectors = tokenizer, pieces, vectors
        self._split = _splitter(tokenizer)

    @property
    def dimension(self) -> int:
        return int(self._vectors.shape[1])

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32[n, dimension], row i for texts[i], of length 1 or 0. A row does not depend on the others."""
        if isinstance(texts, str):
            raise UserError("expected a list of texts, got one str; pass [text]")
        out = np.zeros((len(texts), self.dimension), np.float32)
        for row, pieces in enumerate(_pieces(self._split, texts)):
            at = np.minimum(np.searchsorted(self._pieces, pieces), len(self._pieces) - 1)
            known = at[self._pieces[at] == pieces]
            total = self._vectors[known].sum(0, dtype=np.float64)  # [d]
            length = float(np.sqrt((total * total).sum()))
            if length > 1e-9:
                out[row] = total / length
        return out

    def save(self, path: Path, config: StudentConfig, inputs: dict[str, str], metrics: dict[str, Any]) -> None:
        from safetensors.numpy import save_file

        with writing(path, KIND, FORMAT, config=asdict(config), inputs=inputs, metrics=metrics) as folder:
            save_file({"pieces": self._pieces, "vectors": self._vectors}, folder / "student.safetensors")
            (folder / "tokenizer.json").write_text(self._tokenizer, encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> StaticEncoder:
        from safetensors.numpy import load_file

        open_artefact(path, KIND, (FORMAT,))
        arrays = load_file(Path(path) / "student.safetensors")
        tokenizer = (Path(path) / "tokenizer.json").read_text(encoding="utf-8")
        return cls(tokenizer, arrays["pieces"], arrays["vectors"])


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

    shares = _shares(bags, pieces)  # [n, v]
    targets = teacher.encode(fitted, progress=progress).astype(np.float64)  # [n, d]
    spelled = [str(split.id_to_token(piece)).removeprefix("##") for piece in pieces.tolist()]
    alone = teacher.encode(spelled)  # [v, d]
    table = _ridge(shares, targets, alone.astype(np.float64), config)
    student = StaticEncoder(tokenizer, pieces.astype(np.int32), table.astype(np.float32))

    cosines = (student.encode(held) * teacher.encode(held)).sum(1)
    metrics = {
        "cosine": float(cosines.mean()) if held else None,
        "cosine_n": len(held),
        "fitted": len(fitted),
        "pieces": len(pieces),
    }
    return student, metrics


def _ridge(shares: Any, targets: np.ndarray, start: np.ndarray, config: StudentConfig) -> np.ndarray:
    """E of the module's docstring, float64[v, d]; the d columns are solved side by side."""
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


def _shares(bags: Sequence[np.ndarray], pieces: np.ndarray) -> Any:
    """Sparse float64[n, v]: the share of each piece in each text."""
    lengths = [len(bag) for bag in bags]
    rows = np.repeat(np.arange(len(bags)), lengths)
    columns = np.searchsorted(pieces, np.concatenate(bags))
    values = np.repeat(1 / np.maximum(lengths, 1), lengths)
    return scipy.sparse.csr_matrix((values, (rows, columns)), shape=(len(bags), len(pieces)))


def _pieces(split: Tokenizer, texts: Sequence[str]) -> list[np.ndarray]:
    """Per text its word pieces, int64[length], in order."""
    found: list[np.ndarray] = []
    for start in range(0, len(texts), ROWS_PER_STEP):
        part = [clean_text(text) for text in texts[start : start + ROWS_PER_STEP]]
        found += [np.array(line.ids, np.int64) for line in split.encode_batch(part, add_special_tokens=False)]
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
