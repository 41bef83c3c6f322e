"""How well the hire graph predicts the next occupation of people, beside the baselines.

    changes   pairs of consecutive observations whose occupation differs; the current occupation is no candidate
    all       every pair; the current occupation is a candidate
    cold      the changes whose earlier observation is the person's first

Rank = 1 + candidates with a better score + half of the other candidates with the same. Candidates are the occupations
of the training data; an outcome that is none of them stays in n with reciprocal rank 0 and is found in no top k.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graph.baselines import BASELINES, Counts, recent_history
from graph.bipartite import Examples, examples_from_careers
from graph.calibration import log_loss_skill, reliability, top_one
from graph.model import HireModel
from graph.predictions import BLOCK, Predictions, log_of_target, predict, rank_of_target
from market.bootstrap import cluster_bootstrap, relative_lift
from market.careers import Careers

CUTS = (1, 5, 10)
# Share of an even spread over all candidates in the baseline's distribution. It gives nothing to some outcomes, which
# would cost it an infinite log loss; .1 gave the baseline its least loss of .001 to .25 on validation persons.
BASELINE_FLOOR = 0.1
BINS = 10  # of the tables whose ratios are judged: in finer ones chance alone moves a ratio by more than a tenth
DRAWS = 500
PARTS = ("changes", "all", "cold")
Ranks = dict[str, np.ndarray]


def evaluate(model: HireModel, careers: Careers, rng: np.random.Generator | None = None) -> dict[str, Any]:
    """Metrics of `graph evaluate`. The careers were read with `read_careers(folder, taxonomy=model.taxonomy)`.

    {"changes": {"n", "recall@1", "recall@5", "recall@10", "mrr"}, "all": {...}, "cold": {...},
     "calibration": {"ece", "slope", ...}, "baselines": {name: {"changes": {...}, "all": {...}, "cold": {...}}}}

    "calibration" is that of `calibration`. With an rng there are intervals that resample persons: "ci95" of `intervals`
    and those of the calibration tables.
    """
    return evaluate_examples(model, examples_from_careers(careers), rng)


def evaluate_examples(model: HireModel, examples: Examples, rng: np.random.Generator | None = None) -> dict[str, Any]:
    """The same for instances from any source; those without a known outcome are passed over."""
    made = predict(model, examples)
    baselines, baseline_log = _baselines(model, made.examples)
    ranks = {"": {"changes": made.change_rank, "all": made.all_rank}, **baselines}
    tables = {
        name: {part: summarise(_of(found, made.examples, part)) for part in PARTS} for name, found in ranks.items()
    }
    extra = {} if rng is None else {"ci95": intervals(ranks, made.examples, rng)}
    return {
        **tables.pop(""),
        "calibration": calibration(made, baseline_log, rng),
        "baselines": tables,
        **extra,
    }


def calibration(
    made: Predictions, baseline_log: np.ndarray | None = None, rng: np.random.Generator | None = None
) -> dict[str, Any]:
    """Are the probabilities of these predictions right, overall, given a change, and in every calendar year?

    {"ece", "slope", "n", "bins"}    pairs predicted at .01 or more, see `reliability`
    "top1"                           the best occupation, see `top_one`
    "changes": {"ece", "slope", "n", "bins", "top1", "log_loss"}   the changes, with probabilities given a change;
                                     log_loss against recent history where its log probabilities are given
    "periods": [{"period", "n", "stay_predicted", "stay_observed", "changes", "ece", "slope", "top1_ece"}]
                                     by calendar year of the outcome; the last three of the changes
    """
    examples, changed = made.examples, made.examples.changed
    return {
        **_pairs(made, np.ones(len(made), bool), rng, given_change=False),
        "top1": top_one(made.confidence, made.hit, BINS, person=examples.person, rng=rng),
        "changes": {
            **_pairs(made, changed, rng, given_change=True),
            "top1": _top_change(made, changed, BINS, rng),
            **({} if baseline_log is None else {"log_loss": _skill(made, baseline_log)}),
        },
        "periods": [_period(made, year, rng) for year in np.unique(np.floor(examples.year)).astype(int).tolist()],
    }


def summarise(ranks: np.ndarray) -> dict[str, float]:
    """{"n", "recall@k"..., "mrr"} of ranks (inf: not found); zeros without any."""
    n = max(len(ranks), 1)
    recalls = {f"recall@{k}": float((ranks <= k).sum() / n) for k in CUTS}
    return {"n": len(ranks), **recalls, "mrr": float((1 / ranks).sum() / n)}


def intervals(ranks: dict[str, Ranks], examples: Examples, rng: np.random.Generator) -> dict[str, Any]:
    """{"changes": {"recall@10": [low, high], "mrr": [...], "over": {baseline: {"relative", "ci95"}}}, ...}.

    ranks: of the model under "" and of every baseline under its name. Persons are resampled; "over" is the relative
    lift of the MRR, each draw weighing both alike. An interval is None where the persons are too few to say.
    """
    found: dict[str, Any] = {}
    for part in PARTS:
        rows = _rows(examples, part)
        person, ours = examples.person[rows], _of(ranks[""], examples, part)
        found[part] = {
            "recall@10": cluster_bootstrap(person, ours <= 10, rng=rng, draws=DRAWS).report()["ci95"],
            "mrr": cluster_bootstrap(person, 1 / ours, rng=rng, draws=DRAWS).report()["ci95"],
            "over": {
                name: relative_lift(person, 1 / ours, 1 / _of(theirs, examples, part), rng=rng, draws=DRAWS).report(
                    "relative"
                )
                for name, theirs in ranks.items()
                if name
            },
        }
    return found


def _baselines(model: HireModel, examples: Examples) -> tuple[dict[str, Ranks], np.ndarray]:
    """Ranks of every baseline, and the log probability that recent history gives to each outcome given a change."""
    with_stays, without = Counts.of(model, stays=True), Counts.of(model, stays=False)
    found: dict[str, dict[str, list[np.ndarray]]] = {name: {"changes": [], "all": []} for name in BASELINES}
    logs = [np.zeros(0)]
    for begin in range(0, len(examples), BLOCK):
        block = examples.take(slice(begin, begin + BLOCK))
        for name, baseline in BASELINES.items():
            scores = baseline(without, block)  # [b, C]
            found[name]["changes"].append(rank_of_target(scores, block, model.seen, current=False))
            found[name]["all"].append(rank_of_target(baseline(with_stays, block), block, model.seen, current=True))
        logs.append(log_of_target(_as_distribution(recent_history(without, block), block, model.seen), block))
    nothing = np.zeros(0)
    joined = {name: {k: np.concatenate([nothing, *v]) for k, v in parts.items()} for name, parts in found.items()}
    return joined, np.concatenate(logs)


def _as_distribution(scores: np.ndarray, examples: Examples, seen: np.ndarray) -> np.ndarray:
    """float64[n, C]: scores of the candidates made to sum to 1, and mixed with BASELINE_FLOOR of an even spread."""
    candidate = np.tile(seen, (len(examples), 1)).astype(np.float64)
    has = np.flatnonzero((examples.current >= 0) & (examples.current < len(seen)))
    candidate[has, examples.current[has]] = 0
    even = candidate / np.maximum(candidate.sum(axis=1, keepdims=True), 1)
    own = scores * candidate
    total = own.sum(axis=1, keepdims=True)
    own = np.where(total > 0, own / np.where(total > 0, total, 1), even)
    return np.asarray((1 - BASELINE_FLOOR) * own + BASELINE_FLOOR * even)


def _rows(examples: Examples, part: str) -> np.ndarray:
    return {
        "changes": examples.changed,
        "all": np.ones(len(examples), bool),
        "cold": examples.changed & examples.first,
    }[part]


def _of(ranks: Ranks, examples: Examples, part: str) -> np.ndarray:
    return ranks["all" if part == "all" else "changes"][_rows(examples, part)]


def _pairs(
    made: Predictions, rows: np.ndarray, rng: np.random.Generator | None, *, given_change: bool
) -> dict[str, Any]:
    pairs = (made.change_pairs if given_change else made.pairs).of(rows)
    person = made.examples.person[pairs.instance]
    return reliability(pairs.predicted, pairs.happened, BINS, person=person, rng=rng)


def _top_change(made: Predictions, rows: np.ndarray, bins: int, rng: np.random.Generator | None) -> dict[str, Any]:
    person = made.examples.person[rows]
    return top_one(made.change_confidence[rows], made.change_hit[rows], bins, person=person, rng=rng)


def _skill(made: Predictions, baseline_log: np.ndarray) -> dict[str, float]:
    """Over the changes to occupations that training saw: nobody can give the others a probability."""
    rows = made.examples.changed & np.isfinite(made.change_log) & np.isfinite(baseline_log)
    return log_loss_skill(made.change_log[rows], baseline_log[rows])


def _period(made: Predictions, year: int, rng: np.random.Generator | None) -> dict[str, Any]:
    """One calendar year of outcomes; whether people stay is asked of those whose current occupation is known."""
    examples = made.examples
    rows = np.floor(examples.year) == year
    asked, changed = rows & (made.stay > 0), rows & examples.changed
    stays = (~changed)[asked]
    pairs = _pairs(made, changed, None, given_change=True)
    row = {
        "period": year,
        "n": int(asked.sum()),
        "stay_predicted": float(made.stay[asked].mean()) if asked.any() else None,
        "stay_observed": float(stays.mean()) if asked.any() else None,
        "changes": int(changed.sum()),
        "ece": pairs["ece"],
        "slope": pairs["slope"],
        "top1_ece": _top_change(made, changed, BINS, None)["ece"],
    }
    if rng is not None:
        row["stay_ci95"] = cluster_bootstrap(examples.person[asked], stays, rng=rng, draws=DRAWS).report()["ci95"]
    return row
