"""A marketplace for the load tables: artefacts, a database of jobs and campaigns on disk, keys, and what is asked.

Jobs are vacancies of the world the artefacts were fitted on, drawn again and again: as many titles and descriptions as
the world has, employers and areas by Zipf. Seekers hold one to three of the same titles with a rank before them, so
that no title of theirs has been seen, and live in an area. One job in a hundred has an active campaign.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bench.socket_wire import http_request
from hiregraph.demo import DemoConfig
from hiregraph.pipeline import StageTimes, choose_world, fit_request_student, prepare
from hiregraph.server import open_store
from hiregraph.settings import load_settings, token_secret
from market.clock import account_day, format_rfc3339
from market.money import Money
from market.records import Job
from sim.stage import inventory_jobs
from targeting.campaigns import Bid, Budget, Campaign
from targeting.engine import SlateItem
from targeting.storage.journal import Journal, Served
from targeting.storage.keys import make_key
from targeting.tokens import Token, expiry, sign
from targeting.vacancies import load_vacancies, save_vacancies

AREAS, EMPLOYERS = 390, 5_000
RANKS = ("junior", "senior", "assistant", "lead", "deputy", "trainee")
BUDGET = Money(10_000_000_000, "EUR")
PROMOTED_SHARE = 0.01
SEED = 11


@dataclass(frozen=True)
class ServiceWorld:
    """What a server is started on, and what its callers know: keys by role, jobs, campaigns."""

    url: str
    artefacts: Path
    keys: dict[str, str]
    titles: tuple[str, ...]
    areas: tuple[str, ...]
    area_share: np.ndarray
    job_ids: tuple[str, ...]
    campaigns: tuple[Campaign, ...]
    secret: bytes


def build_world(folder: Path, jobs: int, data: Path | None, artefacts: Path | None = None) -> ServiceWorld:
    """A fresh database in `folder`; artefacts are fitted first (or read back) where none are given."""
    rng = np.random.default_rng(SEED)
    artefacts = artefacts or fit_artefacts(folder / "artefacts", data)
    vacancies = load_vacancies(artefacts / "jobs")
    areas = tuple(f"area-{n}" for n in range(AREAS))
    share = _zipf(AREAS)
    url = f"sqlite:///{folder / 'load.sqlite'}"
    secret = token_secret(load_settings(db=url))
    inventory = _inventory(vacancies, jobs, areas, share, rng)
    campaigns = _campaigns(inventory, rng)
    store = open_store(url)
    keys = {}
    try:
        for role in ("owner", "platform"):
            keys[role], record = make_key("acc-0", role, datetime.now(UTC), rng.bytes(32))
            store.add_key(record)
        for start in range(0, jobs, 5_000):
            store.put_jobs(inventory[start : start + 5_000])
        for campaign in campaigns:
            store.add_campaign(campaign)
    finally:
        store.close()
    titles = tuple(sorted({job.title for job in vacancies}))
    job_ids = tuple(job.job_id for job in inventory)
    return ServiceWorld(url, artefacts, keys, titles, areas, share, job_ids, tuple(campaigns), secret)


def fit_artefacts(folder: Path, data: Path | None) -> Path:
    """What the demo leaves for `serve`, without its markets."""
    config, (kind, data), times = DemoConfig(), choose_world(None, data), StageTimes()
    prepared = prepare(replace(config.world, kind=kind), config.learn, data, Path(".cache"), times)
    student = fit_request_student(prepared.stage.world, Path(".cache"), times)
    for part in ("model", "links", "rates"):
        shutil.copytree(prepared.learned / part, folder / part)
    shutil.copytree(student, folder / "student")
    world = prepared.stage.world
    records, day = inventory_jobs(world), world.window_day
    save_vacancies([records[row] for row in world.inventory.open_between(day, day + 1)], folder / "jobs")
    return folder


def slate_requests(world: ServiceWorld, count: int, rng: np.random.Generator) -> Iterator[bytes]:
    """20 jobs, 3 of them promoted, for a seeker nobody has seen before."""
    area = rng.choice(AREAS, count, p=world.area_share)
    held = rng.integers(1, 4, count)
    for n in range(count):
        picked = rng.integers(0, len(world.titles), held[n])
        titles = [f"{RANKS[(n + at) % len(RANKS)]} {world.titles[pick]}" for at, pick in enumerate(picked.tolist())]
        seeker = {"titles": titles, "geo": world.areas[area[n]]}
        asked = {"seeker_id": f"s{rng.integers(1 << 40)}", "seeker": seeker, "slots": {"organic": 17, "promoted": 3}}
        yield http_request("POST", "/v1/slates", world.keys["platform"], json.dumps(asked).encode())


def mint_tokens(world: ServiceWorld, count: int) -> list[tuple[str, str]]:
    """(token, seeker id) of promoted items that the ledger knows as served just now, a hundred a slate."""
    store, now, rng = open_store(world.url), datetime.now(UTC), np.random.default_rng([SEED, count])
    journal, made = Journal(store.database), []
    try:
        while len(made) < count:
            seeker_id = f"m{rng.integers(1 << 40)}"
            items = []
            for at in rng.choice(len(world.campaigns), min(100, len(world.campaigns)), replace=False).tolist():
                offer = _offer(world.campaigns[at], now, f"{rng.integers(1 << 60):x}")
                signed = sign(offer, world.secret)
                made.append((signed, seeker_id))
                shown = offer.job_id, "promoted", len(items) + 1, 1.0, (), True, "Employer", signed, offer.campaign_id
                items.append(SlateItem(*shown, offer))  # type: ignore[arg-type]
            assert not journal.reserve(Served(f"sla_{rng.integers(1 << 60):x}", seeker_id, tuple(items)), now)
    finally:
        store.close()
    return made[:count]


def job_batches(world: ServiceWorld, count: int, rng: np.random.Generator) -> Iterator[bytes]:
    """One new job each."""
    for _ in range(count):
        job = {
            "job_id": f"new-{rng.integers(1 << 40)}", "account_id": "acc-0", "company": "New Employer",
            "title": world.titles[rng.integers(len(world.titles))], "description": "",
            "geo": world.areas[rng.integers(AREAS)],
        }  # fmt: skip
        yield http_request("POST", "/v1/jobs:batch", world.keys["platform"], json.dumps({"jobs": [job]}).encode())


def event_batch(world: ServiceWorld, events: Sequence[dict[str, Any]]) -> bytes:
    return http_request("POST", "/v1/events:batch", world.keys["platform"], json.dumps({"events": events}).encode())


def mixed_events(
    world: ServiceWorld, tokens: Sequence[tuple[str, str]], count: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Of 100 events 70 organic impressions, 6 clicks, 6 applications, saves and dismissals; then 15 promoted
    impressions and 3 promoted clicks of `tokens`, taken in turn."""
    kinds = ["impression"] * 70 + ["click"] * 6 + ["apply_start", "apply_start", "apply_complete", "save", "dismiss"]
    kinds += ["apply_complete"] + ["promoted impression"] * 15 + ["promoted click"] * 3
    now, found = format_rfc3339(datetime.now(UTC)), []
    clicked = seen = 0
    for n in range(count):
        kind = kinds[n % 100]
        event: dict[str, Any] = {"event_id": f"{rng.integers(1 << 62):x}", "occurred_at": now}
        if kind == "promoted impression":
            event |= {"type": "impression", "tracking_token": tokens[seen % len(tokens)][0]}
            seen += 1
        elif kind == "promoted click":
            event |= {"type": "click", "tracking_token": tokens[clicked % len(tokens)][0]}
            clicked += 1
        else:
            job_id = world.job_ids[rng.integers(len(world.job_ids))]
            event |= {"type": kind, "seeker_id": f"s{rng.integers(1 << 40)}", "job_id": job_id}
        found.append(event)
    return found


def clicks(tokens: Sequence[tuple[str, str]], rng: np.random.Generator) -> list[dict[str, Any]]:
    """One click on each token: all of them are billed."""
    now = format_rfc3339(datetime.now(UTC))
    return [
        {"event_id": f"{rng.integers(1 << 62):x}", "type": "click", "occurred_at": now, "tracking_token": token}
        for token, _ in tokens
    ]


def _inventory(
    vacancies: Sequence[Job], count: int, areas: Sequence[str], share: np.ndarray, rng: np.random.Generator
) -> list[Job]:
    area = rng.choice(len(areas), count, p=share).tolist()
    employer = rng.choice(EMPLOYERS, count, p=_zipf(EMPLOYERS)).tolist()
    return [
        replace(
            vacancies[drawn],
            job_id=f"j{n}",
            account_id=f"acc-{employer[n] % 100}",
            company=f"Employer {employer[n]}",
            geo=areas[area[n]],
        )
        for n, drawn in enumerate(rng.integers(0, len(vacancies), count).tolist())
    ]


def _campaigns(jobs: Sequence[Job], rng: np.random.Generator) -> list[Campaign]:
    """Active ones with money for every click of the run."""
    now = datetime.now(UTC)
    return [
        Campaign(
            campaign_id=f"cmp_{n}",
            account_id=jobs[at].account_id,
            job_id=jobs[at].job_id,
            name=f"Campaign {n}",
            budget=Budget(BUDGET),
            bid=Bid("manual", Money(int(rng.integers(300_000, 900_000)), "EUR")),
            objective="hires",
            starts_at=now - timedelta(days=1),
            ends_at=None,
            time_zone="Europe/Berlin",
            pacing="asap",  # a paced campaign bids next to nothing in its first minutes
            status="active",
            version=1,
            created_at=now,
        )
        for n, at in enumerate(rng.choice(len(jobs), max(1, int(len(jobs) * PROMOTED_SHARE)), replace=False).tolist())
    ]


def _offer(campaign: Campaign, now: datetime, nonce: str) -> Token:
    return Token(
        campaign_id=campaign.campaign_id,
        job_id=campaign.job_id,
        price_micros=250_000,
        currency=campaign.currency,
        position=1,
        day=account_day(now, campaign.time_zone).isoformat(),
        model="bench",
        p_click=0.03,
        issued_at=int(now.timestamp()),
        expires_at=int(expiry(now).timestamp()),
        nonce=nonce,
    )


def _zipf(size: int) -> np.ndarray:
    share = 1 / np.arange(1, size + 1) ** 0.8
    return np.asarray(share / share.sum())
