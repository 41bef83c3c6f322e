"""From a site's logs on disk to a signed promoted item over HTTP, every part the real one but the text encoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from graph.train import TrainConfig
from market.clock import FixedClock
from market.tables import check_folder, read_tables, write_tables
from targeting.audience import Liquidity
from targeting.http.api import create_app
from targeting.learned import Learned, LearnedConfig, fit_learned, save_hires
from targeting.marketplace import Marketplace
from targeting.migrations import upgrade
from targeting.storage.database import Database
from targeting.storage.keys import make_key
from targeting.storage.store import Store
from targeting.tokens import verify
from tests.organic.small_market import WordEncoder
from tests.sim.small_world import small_logs, small_world

pytestmark = pytest.mark.journey
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = b"a secret of thirty-two bytes ...."


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs written, checked and read back, everything learned from them, saved."""
    folder = tmp_path_factory.mktemp("site")
    write_tables(folder / "logs", small_logs(), small_world().careers.taxonomy.scheme)
    assert not any(found["problems"] for found in check_folder(folder / "logs").values())
    tables = read_tables(folder / "logs")
    assert {name: table.num_rows for name, table in small_logs().items()} == {
        name: tables[name].num_rows for name in small_logs()
    }
    learned, hires = fit_learned(tables, LearnedConfig(train=TrainConfig(epochs=1)))
    learned.save(folder / "artefacts")
    save_hires(hires, folder / "artefacts")
    return folder / "artefacts"


@dataclass(frozen=True)
class Site:
    client: TestClient
    clock: FixedClock
    keys: dict[str, str]

    def call(self, role: str, method: str, path: str, **request: Any) -> Any:
        return self.client.request(method, path, headers={"Authorization": f"Bearer {self.keys[role]}"}, **request)

    def ok(self, role: str, method: str, path: str, **request: Any) -> Any:
        answer = self.call(role, method, path, **request)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def slate(self, title: str, organic: int = 5, promoted: int = 2) -> list[dict[str, Any]]:
        body = {"seeker": {"titles": [title], "geo": "m00"}, "slots": {"organic": organic, "promoted": promoted}}
        found: list[dict[str, Any]] = self.ok("platform", "POST", "/v1/slates", json=body)["items"]
        return found


@pytest.fixture
def site(artefacts: Path, tmp_path: Path) -> Iterator[Site]:
    clock = FixedClock(NOW)
    database = Database(f"sqlite:///{tmp_path}/site.sqlite")
    upgrade(database)
    store, keys = Store(database), {}
    for number, role in enumerate(("owner", "platform")):
        keys[role], record = make_key("acme", role, NOW, bytes([number]) * 32)
        store.add_key(record)
    engine = Marketplace(
        Learned.load(artefacts), WordEncoder(), secret=SECRET, now=clock.now, liquidity=Liquidity(theta=1.0)
    )
    with TestClient(create_app(store, engine, clock)) as client:
        yield Site(client, clock, keys)


def job(number: int, occupation: int) -> dict[str, Any]:
    taxonomy = small_world().careers.taxonomy
    return {
        "job_id": f"j{number}",
        "account_id": "acme",
        "title": taxonomy.titles[occupation],
        "company": "Acme",
        "description": "Work.",
        "geo": "m00",
        "occupation": taxonomy.codes[occupation],
    }


def campaign(job_id: str) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "name": "A campaign",
        "budget": {"total": {"amount_micros": 100_000_000, "currency": "EUR"}},
        "bid": {"mode": "manual", "max_cpc": {"amount_micros": 900_000, "currency": "EUR"}},
        "objective": "qualified_applications",
        "starts_at": "2026-03-01T12:00:00Z",
        "ends_at": "2026-03-08T12:00:00Z",
        "time_zone": "Europe/Berlin",
        "pacing": "even",
    }


def test_a_campaign_made_over_http_is_on_the_next_slate_and_leaves_it_when_paused(site: Site) -> None:
    taxonomy = small_world().careers.taxonomy
    jobs = [job(number, 10 + number) for number in range(6)]
    accepted = site.ok("platform", "POST", "/v1/jobs:batch", json={"jobs": [*jobs, job(9, 0) | {"occupation": "x"}]})
    assert [item["status"] for item in accepted["items"]] == ["accepted"] * 6 + ["rejected"]
    seeker = taxonomy.titles[12]

    assert {item["kind"] for item in site.slate(seeker)} == {"organic"}
    made = site.ok("owner", "POST", "/v1/campaigns", json=campaign("j3"))
    path = f"/v1/campaigns/{made['campaign_id']}"
    assert {item["kind"] for item in site.slate(seeker)} == {"organic"}  # a draft is not shown
    assert site.ok("owner", "POST", f"{path}/activate")["delivery"]["state"] == "delivering"

    items = site.slate(seeker)
    assert len({item["job_id"] for item in items}) == len(items)
    [shown] = [item for item in items if item["kind"] == "promoted"]
    assert (shown["job_id"], shown["position"], shown["sponsored"]) == ("j3", 1, True)
    assert shown["on_behalf_of"] == "Acme"
    assert shown["reasons"]
    token = verify(shown["tracking_token"], SECRET)
    assert (token.campaign_id, token.job_id, token.currency) == (made["campaign_id"], "j3", "EUR")
    assert 0 < token.price_micros <= 900_000

    audience = site.ok("owner", "GET", f"{path}/audience")
    assert audience["segments"]
    assert all(segment["reach"] is None for segment in audience["segments"])  # a world below the privacy floor
    assert all({"link_id", "weight", "hires"} <= link.keys() for link in audience["links"])

    site.ok("owner", "POST", f"{path}/pause")
    assert {item["kind"] for item in site.slate(seeker)} == {"organic"}
    site.ok("owner", "POST", f"{path}/resume")
    assert [item["job_id"] for item in site.slate(seeker) if item["sponsored"]] == ["j3"]

    site.clock.advance(timedelta(days=7))
    assert {item["kind"] for item in site.slate(seeker)} == {"organic"}  # its time is over


def test_a_deleted_job_takes_its_campaign_off_the_slate(site: Site) -> None:
    site.ok("platform", "POST", "/v1/jobs:batch", json={"jobs": [job(number, 10 + number) for number in range(3)]})
    made = site.ok("owner", "POST", "/v1/campaigns", json=campaign("j1"))
    site.ok("owner", "POST", f"/v1/campaigns/{made['campaign_id']}/activate")
    title = small_world().careers.taxonomy.titles[11]
    assert [item["job_id"] for item in site.slate(title) if item["sponsored"]] == ["j1"]
    site.ok("platform", "DELETE", "/v1/jobs/j1")
    assert sorted(item["job_id"] for item in site.slate(title)) == ["j0", "j2"]
    read = site.ok("owner", "GET", f"/v1/campaigns/{made['campaign_id']}")
    assert read["delivery"]["reasons"][0]["code"] == "job_deleted"


def test_the_site_is_ready_and_recommends_to_a_stranger(site: Site) -> None:
    assert site.client.get("/readyz").json() == {"status": "ready"}
    site.ok("platform", "POST", "/v1/jobs:batch", json={"jobs": [job(0, 10)]})
    found = site.ok("platform", "POST", "/v1/recommendations", json={"seeker_id": "nobody-knows", "k": 3})
    assert [item["job_id"] for item in found["items"]] == ["j0"]
