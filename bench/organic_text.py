"""Titles to occupations, judged: MELO usa-en and JobBERT, against character TF-IDF and the encoder as it comes

MELO       633 O*NET titles, 33,809 ESCO surface forms, each judged by itself; MAP and MRR of the first 1,000
JobBERT    15,463 titles of vacancies (validation part), 3,007 occupations by the best of their names; MRR and R@10

Encoders are fitted by `fine_tune` and kept below .cache; the ESCO-O*NET crosswalk is never read. "student" rows read
queries by the static student and the corpus by its teacher, as requests and jobs are read; "both" reads all by it.
"""

from __future__ import annotations

import csv
import gzip
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from market.artefacts import digest_of, digest_of_tree
from market.bootstrap import cluster_bootstrap
from market.errors import ConfigError
from market.ranking import mean_ranks, metrics_by_query, read_qrels
from market.text import TextEncoder, default_model_folder
from organic.language.concepts import names_of, read_esco, read_onet
from organic.language.finetune import FORMAT, FinetuneConfig, fine_tune
from organic.language.student import StaticEncoder, StudentConfig, fit_student
from organic.language.text_rank import NamedTexts, read_named_texts

Encode = Callable[[list[str]], Any]

CACHE = Path(".cache")
SEED = 0
SOURCES = {"fine-tuned on O*NET names": ("onet",), "fine-tuned on O*NET and ESCO names": ("esco", "onet")}


def run(data: Path | None) -> dict[str, Any]:
    if data is None or not (data / "melo_usa_en").is_dir():
        raise ConfigError("titles are judged by melo_usa_en/ and jobbert_titles/; set HIREGRAPH_DATA")
    corpora = {"melo": _melo(data), "jobbert": _jobbert(data)}
    rows = [{"encoder": "character TF-IDF", **_judged(corpora, *_tf_idf(corpora))}]
    plain = TextEncoder(cache_dir=CACHE / "text")
    rows.append({"encoder": "all-MiniLM-L6-v2 as it comes", **_judged(corpora, plain.encode, plain.encode)})
    for name, sources in SOURCES.items():
        tuned = TextEncoder(_fitted(data, FinetuneConfig(sources=sources)), cache_dir=CACHE / "text")
        rows.append({"encoder": name, **_judged(corpora, tuned.encode, tuned.encode)})
    student = _student(data, tuned)
    rows.append({"encoder": "student asks", **_judged(corpora, student.encode, tuned.encode)})
    rows.append({"encoder": "student on both sides", **_judged(corpora, student.encode, student.encode)})
    titles = list(corpora["jobbert"][0].texts)
    return {"rows": rows, "student_titles_per_second": _speed(student, titles)}


def show(result: dict[str, Any]) -> list[list[str]]:
    table = [["encoder", "MELO MAP", "MRR", "JobBERT MRR", "R@10"]]
    for row in result["rows"]:
        cells = [(row["melo"]["map"], row["melo"]["mrr"]), (row["jobbert"]["mrr"], row["jobbert"]["recall@10"])]
        table.append([row["encoder"], *(_cell(found) for pair in cells for found in pair)])
    table.append([f"student: {result['student_titles_per_second']:,.0f} titles a second, one thread", "", "", "", ""])
    return table


def _cell(found: dict[str, Any]) -> str:
    return f"{found['mean']:.3f} [{found['ci95'][0]:.3f}, {found['ci95'][1]:.3f}]"


def _melo(data: Path) -> tuple[NamedTexts, NamedTexts, Any]:
    folder = data / "melo_usa_en"
    queries, corpus = (read_named_texts(folder / f"{name}.tsv.gz") for name in ("queries", "corpus_elements"))
    return queries, corpus, read_qrels(folder / "annotations.tsv.gz")


def _jobbert(data: Path) -> tuple[NamedTexts, NamedTexts, Any]:
    """Labels that this version of ESCO lacks stay in, found by nobody."""
    with gzip.open(data / "jobbert_titles" / "titles.csv.gz", "rt", encoding="utf-8", newline="") as stream:
        lines = [
            (f"t{at:05d}", row["vacancyTitle"], row["conceptUri"]) for at, row in enumerate(csv.DictReader(stream))
        ]
    queries = NamedTexts.of((name, title) for name, title, _ in lines)
    corpus = NamedTexts.of((concept.code, name) for concept in read_esco(data / "esco") for name in concept.names)
    return queries, corpus, {name: {code: 1} for name, _, code in lines}


def _judged(corpora: dict[str, Any], ask: Encode, offer: Encode) -> dict[str, dict[str, Any]]:
    """{"melo": {"map", "mrr"}, "jobbert": {"mrr", "recall@10"}}, each with its interval by query."""
    judged = {}
    for name, (queries, corpus, qrels) in corpora.items():
        offered = offer(list(corpus.texts))
        parts = [_best(ask(list(queries.texts[at : at + 512])), offered, corpus) for at in range(0, len(queries), 512)]
        if name == "melo":
            scores = np.concatenate(parts)
            best = np.argsort(-scores, axis=1, kind="stable")[:, :1000]
            found = {
                query: {corpus.ids[row]: float(line[row]) for row in rows}
                for query, rows, line in zip(queries.ids, best.tolist(), scores, strict=True)
            }
            metrics = metrics_by_query(found, qrels)
            by_query = {metric: metrics[metric] for metric in ("map", "mrr")}
        else:
            place = {code: at for at, code in enumerate(corpus.ids)}
            own = np.array([place.get(next(iter(qrels[query])), -1) for query in queries.ids])
            begins = np.cumsum([0, *(len(part) for part in parts)])
            ranks = np.concatenate(
                [mean_ranks(part, own[at : at + len(part)]) for part, at in zip(parts, begins, strict=False)]
            )
            by_query = {"mrr": 1 / ranks, "recall@10": (ranks <= 10).astype(float)}
        judged[name] = {
            metric: cluster_bootstrap(np.arange(len(values)), values, rng=np.random.default_rng(0)).report()
            for metric, values in by_query.items()
        }
    return judged


def _best(asked: Any, offered: Any, corpus: NamedTexts) -> np.ndarray:
    """float32[queries, ids]: the best cosine among the texts of each id; vectors of either side dense or sparse."""
    cosines = asked @ offered.T
    dense = cosines.toarray() if scipy.sparse.issparse(cosines) else cosines
    best: np.ndarray = np.maximum.reduceat(dense, corpus.starts[:-1], axis=1).astype(np.float32)
    return best


def _tf_idf(corpora: dict[str, Any]) -> tuple[Encode, Encode]:
    """Character n-grams of two to five letters within words, weights fitted on the corpora; sparse rows of length 1."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]

    texts = sorted({text for _, corpus, _ in corpora.values() for text in corpus.texts})
    words = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True).fit(texts)
    return words.transform, words.transform


def _fitted(data: Path, config: FinetuneConfig) -> Path:
    """The encoder of this configuration, fitted unless it lies in the cache (a change of method raises FORMAT)."""
    inputs = [digest_of_tree(data / source) for source in config.sources]
    folder = CACHE / "encoders" / digest_of(asdict(config), inputs, FORMAT, SEED)[:16]
    if not (folder / "manifest.json").is_file():
        fine_tune(default_model_folder(), data, folder, config, SEED)
    return folder


def _student(data: Path, teacher: TextEncoder) -> StaticEncoder:
    folder = CACHE / "encoders" / f"student-{digest_of(teacher.identity, asdict(StudentConfig()))[:16]}"
    if not (folder / "manifest.json").is_file():
        texts = names_of([*read_esco(data / "esco"), *read_onet(data / "onet")])
        student, metrics = fit_student(texts, teacher)
        student.save(folder, StudentConfig(), {"teacher": teacher.identity}, metrics)
    return StaticEncoder.load(folder)


def _speed(student: StaticEncoder, titles: list[str]) -> float:
    """Median over seven rounds."""
    rounds = []
    for _ in range(7):
        began = time.perf_counter()
        student.encode(titles)
        rounds.append(len(titles) / (time.perf_counter() - began))
    return float(np.median(rounds))
