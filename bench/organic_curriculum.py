"""Curriculum of negatives on real text: ESCO and O*NET names, a static encoder, one budget, five seeds

Requests are names kept from training, relevant are the other names of their occupations, the inventory is every name of
either classification. KNN@100 searches all of it; in-batch-2048@10 searches the own names of 2,048 requests. One rate
for all rows is chosen for the first row, on a quarter of the kept names that is not judged and a sixth seed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.judged import one_in
from gpu_index import Index
from market.bootstrap import paired_difference
from market.errors import ConfigError
from market.ranking import mean_ranks
from market.text import default_model_folder
from organic.language.concepts import Concept, read_esco, read_onet, same_name
from organic.language.held_out import HeldName, hold_out
from organic.language.pairs import ConceptPairs, PairConfig
from organic.learning.schedule import Budget, Schedule, Stage, ablation, in_batch
from organic.learning.train import TrainConfig, train_towers

SEEDS = (0, 1, 2, 3, 4)
BUDGET = Budget(steps=200, items=512)
RATES = (1e-3, 3e-3, 1e-2)
K, BATCH, DIMENSION = 100, 2048, 128
PAIRS = PairConfig(noisy_share=0.0, description_share=0.0, skills_share=0.0, noisy_variants=1)


class PieceTowers(nn.Module):
    """The mean of a text's word pieces, of length 1; starts from 128 directions of the encoder's input table."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        super().__init__()
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        folder = default_model_folder()
        table = load_file(str(folder / "model.safetensors"))["embeddings.word_embeddings.weight"]
        self._split = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._split.no_padding()
        self._split.no_truncation()
        self._known = torch.unique(torch.cat(self._cut(list(texts))))  # [v], ascending
        _, _, directions = torch.linalg.svd(table[self._known] - table[self._known].mean(0), full_matrices=False)
        start = table[self._known] @ directions[:DIMENSION].T  # [v, D]
        self.bag = nn.EmbeddingBag.from_pretrained(start, freeze=False, mode="mean")
        self._start = start.clone()
        self._pieces = self._numbered(list(texts))

    def restart(self) -> None:
        """Forget all training."""
        with torch.no_grad():
            self.bag.weight.copy_(self._start)

    def _cut(self, texts: list[str]) -> list[Tensor]:
        return [torch.tensor(line.ids or [0]) for line in self._split.encode_batch(texts, add_special_tokens=False)]

    def _numbered(self, texts: list[str]) -> list[Tensor]:
        """The pieces of each text as rows of the table; one that was never met is left out, unless nothing remains."""
        numbered = []
        for line in self._cut(texts):
            at = torch.searchsorted(self._known, line).clamp(max=len(self._known) - 1)
            met = at[self._known[at] == line]
            numbered.append(met if len(met) else at[:1])
        return numbered

    def _means(self, pieces: list[Tensor]) -> Tensor:
        starts = torch.tensor([0, *(len(line) for line in pieces)]).cumsum(0)[:-1]
        return nn.functional.normalize(self.bag(torch.cat(pieces), starts), dim=1)  # [n, D]

    def request_vectors(self, rows: Tensor) -> Tensor:
        return self._means([self._pieces[row] for row in rows.tolist()])

    item_vectors = request_vectors

    @torch.no_grad()
    def table(self, rows: int) -> np.ndarray:
        """float32[rows, D]: the first texts."""
        vectors: np.ndarray = self.request_vectors(torch.arange(rows)).numpy()
        return vectors

    @torch.no_grad()
    def encode(self, texts: list[str]) -> np.ndarray:
        """float32[n, D]."""
        vectors: np.ndarray = self._means(self._numbered(texts)).numpy()
        return vectors


def run(data: Path | None) -> dict[str, Any]:
    if data is None or not (data / "esco").is_dir():
        raise ConfigError("the curriculum is measured on esco/ and onet/ of the data directory; set HIREGRAPH_DATA")
    kept, held = hold_out([*read_esco(data / "esco"), *read_onet(data / "onet")], 10)
    source = ConceptPairs(kept, PAIRS, seed=0)
    model = PieceTowers(source.texts)
    answerable = _answerable(kept, held)
    chosen_on = {text: wanted for text, wanted in answerable.items() if one_in(4, "curriculum", text)}
    asked = {text: wanted for text, wanted in answerable.items() if text not in chosen_on}
    by_rate = {
        at: _measured(source, model, chosen_on, in_batch(replace(BUDGET, learning_rate=at)), len(SEEDS)) for at in RATES
    }
    rate = max(RATES, key=lambda at: by_rate[at]["knn@100"].mean())
    seen: dict[str, dict[str, list[np.ndarray]]] = {}
    for seed in SEEDS:
        for name, schedule in schedules(replace(BUDGET, learning_rate=rate)).items():
            for metric, values in _measured(source, model, asked, schedule, seed).items():
                seen.setdefault(name, {}).setdefault(metric, []).append(values)
    first = next(iter(seen))
    rows = []
    for name, metrics in seen.items():
        row: dict[str, Any] = {"negatives": name}
        for metric, runs in metrics.items():
            means = [float(values.mean()) for values in runs]
            row[metric] = {"mean": float(np.mean(means)), "seeds": means}
            estimate = paired_difference(
                np.arange(len(runs[0])),
                np.mean(runs, axis=0),
                np.mean(seen[first][metric], axis=0),
                rng=np.random.default_rng(0),
            )
            row[metric] |= {"over_first": estimate.value, "ci95": estimate.ci}
        rows.append(row)
    return {"requests": len(asked), "steps": BUDGET.steps, "items": BUDGET.items, "learning_rate": rate, "rows": rows}


def schedules(budget: Budget) -> dict[str, Schedule]:
    """The published rows, and what pairs of neighbouring occupations in the second stage do instead."""
    rows = ablation(budget)
    first, second = rows["+ hardest half, lower rate, consolidation"]
    near: Stage = replace(second, hardest=None, mined=0.5)
    return {**rows, "+ neighbouring occupations, lower rate, consolidation": (first, near)}


def show(result: dict[str, Any]) -> list[list[str]]:
    table = [["negatives", "KNN@100 (5 seeds: least-most)", "over in-batch", "in-batch-2048@10", "over in-batch"]]
    for row in result["rows"]:
        line = [row["negatives"]]
        for metric in ("knn@100", "in-batch-2048@10"):
            found = row[metric]
            line.append(f"{found['mean']:.4f} ({min(found['seeds']):.4f}-{max(found['seeds']):.4f})")
            low, high = found["ci95"]
            line.append(f"{found['over_first']:+.4f} [{low:+.4f}, {high:+.4f}]")
        table.append(line)
    return table


def _answerable(kept: list[Concept], held: list[HeldName]) -> dict[str, set[str]]:
    """Held name -> the normal forms of all kept names of the concepts that bear it."""
    names = {(c.scheme, c.code): {same_name(name) for name in c.names} for c in kept}
    asked: dict[str, set[str]] = {}
    for name in held:
        asked.setdefault(name.text, set()).update(names[name.scheme, name.code])
    return {text: wanted for text, wanted in sorted(asked.items()) if wanted}


def _measured(
    source: ConceptPairs, model: PieceTowers, asked: dict[str, set[str]], schedule: Schedule, seed: int
) -> dict[str, np.ndarray]:
    """Per request KNN@100 and in-batch-2048@10, after training from the start."""
    model.restart()
    if any(stage.mined for stage in schedule):
        source.neighbourhoods(model.table(source.names))
    train_towers(model, model, source, source, source.inventory, schedule, TrainConfig(), seed)
    row_of = {same_name(text): row for row, text in enumerate(source.texts[: source.names])}
    wanted = [np.array(sorted(row_of[name] for name in names if name in row_of)) for names in asked.values()]
    requests, names = model.encode(list(asked)), model.table(source.names)
    index = Index({"names": names.shape[1]})
    index.upsert(np.arange(source.names), {"names": names}, [[] for _ in range(source.names)])
    found = np.concatenate(
        [index.search(requests[at : at + 512], space="names", k=K).ids for at in range(0, len(requests), 512)]
    )
    knn = np.array([np.isin(rows, line).mean() for rows, line in zip(wanted, found, strict=True)])
    rng = np.random.default_rng(7)  # the same batches for every row of the table
    order, own = rng.permutation(len(wanted)), np.array([rng.choice(rows) for rows in wanted])
    hit = np.full(len(wanted), np.nan)
    for start in range(0, len(order) - BATCH + 1, BATCH):
        rows = order[start : start + BATCH]
        hit[rows] = mean_ranks(requests[rows] @ names[own[rows]].T, np.arange(BATCH)) <= 10
    return {"knn@100": knn, "in-batch-2048@10": hit[~np.isnan(hit)]}
