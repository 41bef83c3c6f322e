"""A sentence encoder that can be trained: texts of a fixed table to unit vectors, with gradients.

The mean of the last layer over the tokens of a text, scaled to length 1, as the models of the MiniLM family define it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

TOKENS_PER_CHUNK = 2048


class TableEncoder(nn.Module):
    """Both towers of `TwoTowers`, and one network. Texts longer than `longest` tokens are cut off.

    low_precision runs the matrix products in bfloat16 (weights and sums stay float32).
    """

    def __init__(self, folder: Path, texts: Sequence[str], longest: int = 32, low_precision: bool = True) -> None:
        super().__init__()
        from sentence_transformers import SentenceTransformer

        # the whole pipeline is kept, to be saved in the form everybody else reads
        pipeline = SentenceTransformer(
            str(folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
        )
        transformer: Any = pipeline[0]
        self.pipeline = pipeline
        self._network: Any = transformer.auto_model
        self._tokenizer: Any = pipeline.tokenizer
        self._texts, self._longest = texts, longest
        self._padding = int(getattr(pipeline.tokenizer, "pad_token_id", None) or 0)
        self._low_precision = low_precision

    def request_vectors(self, rows: Tensor) -> Tensor:
        return self(rows)  # type: ignore[no-any-return]

    def item_vectors(self, rows: Tensor) -> Tensor:
        return self(rows)  # type: ignore[no-any-return]

    def forward(self, rows: Tensor) -> Tensor:
        """float[n, D] for rows int64[n] of the table. Texts of like length share a pass, so little is padding."""
        lines = self._tokenised([self._texts[row] for row in rows.tolist()])
        order = sorted(range(len(lines)), key=lambda at: len(lines[at]))
        chunks, start = [], 0
        while start < len(order):
            stop = start + 1
            while stop < len(order) and (stop + 1 - start) * len(lines[order[stop]]) <= TOKENS_PER_CHUNK:
                stop += 1
            chunks.append(self._chunk([lines[at] for at in order[start:stop]]))
            start = stop
        vectors = torch.cat(chunks)  # [n, D], by length
        back = torch.empty(len(order), dtype=torch.int64)
        back[torch.tensor(order)] = torch.arange(len(order))
        return vectors[back]

    def _chunk(self, tokens: list[list[int]]) -> Tensor:
        width = max(len(line) for line in tokens)
        ids = torch.full((len(tokens), width), self._padding)
        mask = torch.zeros(len(tokens), width)
        for number, line in enumerate(tokens):
            ids[number, : len(line)] = torch.tensor(line)
            mask[number, : len(line)] = 1
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._low_precision):
            hidden = self._network(input_ids=ids, attention_mask=mask.long()).last_hidden_state  # [n, width, D]
        pooled = (hidden.float() * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)  # [n, D]
        return nn.functional.normalize(pooled, dim=1)

    def encode(self, texts: list[str]) -> np.ndarray:
        """float32[n, D] of any texts, with the weights as they are now."""
        order = np.argsort([len(text) for text in texts], kind="stable")  # texts of like length share a pass
        training, table, self._texts = self.training, self._texts, texts
        self.eval()
        try:
            found = self.vectors(order)
        finally:
            self._texts = table
            self.train(training)
        out = np.empty_like(found)
        out[order] = found
        return out

    def save(self, folder: Path) -> None:
        """As a sentence-transformers folder, weights as safetensors."""
        self.pipeline.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)

    def _tokenised(self, texts: list[str]) -> list[list[int]]:
        lines: list[list[int]] = self._tokenizer(texts, truncation=True, max_length=self._longest)["input_ids"]
        return lines

    @torch.no_grad()
    def vectors(self, rows: np.ndarray, progress: Callable[[int], None] | None = None) -> np.ndarray:
        """float32[n, D] for rows int64[n], without gradients."""
        out = []
        for start in range(0, len(rows), 1024):
            out.append(self(torch.from_numpy(rows[start : start + 1024])).numpy())
            if progress is not None:
                progress(min(start + 1024, len(rows)))
        return np.concatenate(out)
