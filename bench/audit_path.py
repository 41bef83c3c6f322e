"""The market loop audited: the same small markets request by request through the service's auction, tokens and ledger.

Money has to agree to the micro per campaign and day of serving; every difference is counted.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from sim.audited_path import differences, draw_market, through_the_ledger

SEEDS = (100, 101, 102)
VISITS, CAMPAIGNS = 300, 40


def run(data: Path | None, seeds: tuple[int, ...] = SEEDS) -> dict[str, Any]:
    rows = []
    for seed in seeds:
        market = draw_market(seed, VISITS, CAMPAIGNS)
        outcome = market.play()
        began = perf_counter()
        with TemporaryDirectory() as folder:
            ledgered = through_the_ledger(market, Path(folder))
        rows.append(
            {
                "seed": seed,
                "impressions": int(outcome.impressions.sum()),
                "clicks": int(outcome.clicks.sum()),
                "loop_micros": int(outcome.posted.sum()),
                "ledger_micros": int(ledgered.by_day.sum()),
                "unbilled_micros": int((outcome.valid - outcome.posted).sum()),
                "differences": differences(outcome, ledgered),
                "ledger_seconds": perf_counter() - began,
            }
        )
    return {"visits": VISITS, "campaigns": CAMPAIGNS, "markets": rows}


def show(result: dict[str, Any]) -> list[list[str]]:
    table = [["market", "promoted shown", "clicks", "posted, loop", "posted, ledger", "unbilled", "differences"]]
    for row in result["markets"]:
        money = (row[name] for name in ("loop_micros", "ledger_micros", "unbilled_micros"))
        shown, clicks, apart = str(row["impressions"]), str(row["clicks"]), str(len(row["differences"]))
        table.append([f"seed {row['seed']}", shown, clicks, *(f"{each:,}" for each in money), apart])
    return table
