"""The command `plan fair`: what it would cost to show every campaign to all audited groups alike."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from hiregraph.server import load_engine, logs_to_stderr, open_store
from hiregraph.serving_commands import DbOption, JsonOption
from hiregraph.settings import load_settings, service_config
from market.errors import ArtefactError

plan_app = typer.Typer(help="Plans of the live campaigns.", no_args_is_help=True)


@plan_app.callback()
def _plan() -> None:
    """Plans of the live campaigns."""


@plan_app.command("fair")
def fair(
    audit: Annotated[Path, typer.Option(help="What `hiregraph graph audit` wrote, of the same artefacts.")],
    attribute: Annotated[str, typer.Option(help="Attribute of the audit: sex or race.")] = "sex",
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="Share by which a group may be off, .05: 5 points.")
    ] = 0.05,
    db: DbOption = None,
    artefacts: Annotated[Path | None, typer.Option(help="What the engine searches with.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Plan what is left of today for the live campaigns with each group's share of impressions kept, and its price.

    Example: hiregraph plan fair --audit out/audit --attribute sex --tolerance 0.05
    """
    import numpy as np
    import pyarrow.parquet as pq

    from graph.segments import fit_segments
    from market.clock import SystemClock
    from targeting.learned import Learned
    from targeting.pacer import Pacer
    from targeting.pacing.audited import shares_of_plan
    from targeting.pacing.fair import TABLE, solve_fair
    from targeting.pacing.prices import PriceBoard
    from targeting.storage.journal import Journal
    from targeting.storage.link_edits import LinkEdits
    from targeting.storage.mirror import Mirror
    from targeting.storage.pacing_store import PacingStore
    from targeting.storage.track_record import TrackRecords
    from targeting.storage.traffic_store import TrafficStore

    logs_to_stderr()
    if not (audit / TABLE).is_file() or not (audit / "report.json").is_file():
        raise ArtefactError(f"{audit} holds no audit; give the directory that `hiregraph graph audit` wrote")
    settings = load_settings(db=db, artefacts=artefacts)
    config, clock, store = service_config(settings), SystemClock(), open_store(settings.db)
    engine = load_engine(settings, config.serving)
    if (missing := engine.ready()) is not None:
        raise ArtefactError(missing)
    mirror = Mirror(store, engine, clock, Journal(store.database, config.billing), LinkEdits(store.database))
    mirror.catch_up()
    record = TrackRecords(store.database, config.billing.kappa, config.serving.per_hour, config.serving.per_day)
    pacer = Pacer(
        PacingStore(store.database),
        PriceBoard(config.pacing.auto_cpc_micros),
        clock,
        lambda: mirror.running,
        lambda: engine,
        TrafficStore(store.database, config.traffic),
        record,
        config.billing.kappa,
        config.pacing,
    )
    _, market = pacer.market(clock.now(), mirror.running)
    model = Learned.load(settings.artefacts).model
    least = json.loads((audit / "report.json").read_text())["config"]["segment_hires"]
    scheme = fit_segments(model.taxonomy, model.outcomes - np.diag(model.transitions), least)
    job_segment = {code: scheme.names[at] for code, at in zip(model.taxonomy.codes, scheme.of_occupation, strict=True)}
    shares = shares_of_plan(pq.read_table(audit / TABLE), attribute, market.segments, job_segment)
    plan = solve_fair(market.problem, shares, tolerance, config.pacing.solve_seconds)
    store.close()
    told = float(np.isfinite(shares.share).all(axis=1)[market.problem.segment].mean()) if len(shares.share) else 0.0
    words = plan.in_words().replace("expected hires", "expected qualified applications")
    if as_json:
        found: dict[str, Any] = {k: v for k, v in asdict(plan).items() if k not in ("impressions", "budget_price")}
        typer.echo(json.dumps(found | {"attribute": attribute, "price": plan.price, "known": told, "in_words": words}))
        return
    typer.echo(f"{attribute}: {words}; {told:.0%} of the pairs of the plan lie in segments the audit tells of")
