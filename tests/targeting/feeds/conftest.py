"""A store without a service, and feeds written by hand."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from targeting.feeds.importing import FeedFormat, FeedReport, import_feed
from targeting.feeds.source import FeedLimits
from targeting.migrations import upgrade
from targeting.storage.database import Database
from targeting.storage.store import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

XML_JOB = """<job>
  <title><![CDATA[Night nurse]]></title><date><![CDATA[Mon, 16 Feb 2026 09:00:00 GMT]]></date>
  <referencenumber><![CDATA[{reference}]]></referencenumber><company><![CDATA[Acme]]></company>
  <city><![CDATA[Gent]]></city><state/><country><![CDATA[BE]]></country><postalcode>9000</postalcode>
  <description><![CDATA[<p>Care &amp; rest</p>]]></description><salary><![CDATA[40,000 - 50,000 per year]]></salary>
</job>
"""


def xml_feed(*references: str) -> str:
    jobs = "".join(XML_JOB.format(reference=reference) for reference in references)
    return f'<?xml version="1.0" encoding="utf-8"?>\n<source>\n<publisher>Acme</publisher>\n{jobs}</source>\n'


class Desk:
    """Writes feeds and imports them for the account acme."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(f"sqlite:///{folder / 'jobs.sqlite'}")
        upgrade(self.database)
        self.store = Store(self.database)

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        raw = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return path

    def take(
        self, content: str | bytes, kind: FeedFormat = "indeed-xml", *, replace: bool = False, dry_run: bool = False,
        limits: FeedLimits = FeedLimits(), account: str = "acme",
    ) -> FeedReport:  # fmt: skip
        path = self.file("feed", content)
        return import_feed(
            self.store, path, account, kind, NOW, limits=limits, replace=replace, dry_run=dry_run
        )  # fmt: skip

    def ids(self) -> list[str]:
        present, _ = next(iter(self.store.job_changes(0, 1 << 60)), ([], []))
        return sorted(job.job_id for job in present)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.close()
