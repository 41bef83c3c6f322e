"""Erasing a person: what goes, what stays without a name, and what must never come back."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from market.records import SeekerProfile
from targeting.canary import search_file
from targeting.profile_log import ProfileLog
from targeting.storage.erasure import KIND, PSEUDONYM, TAKEN_UP_AFTER, Erasure
from targeting.storage.journal import Journal
from targeting.storage.ledger_tables import EventRow, QuarantineRow, ReserveRow, SlateRow
from targeting.storage.profile_store import ProfileStore
from targeting.storage.residue import named_in, unkeyed_digests
from targeting.storage.seeker_tables import ErasedRow, SeekerRow
from targeting.storage.tombstones import Tombstones
from tests.targeting.storage.conftest import NOON, PATIENT, SECRET, Till

WHO, OTHER = "canary-4711-person", "somebody-else-0815"
HOUR = timedelta(hours=1)
NURSE = SeekerProfile(WHO, titles=("Nurse", "Carer"), geo="31080", education_years=14.0)


class Office:
    """A till whose ledger knows the tombstones, with profiles and an eraser."""

    def __init__(self, till: Till) -> None:
        self.till, self.tombstones = till, Tombstones(SECRET)
        till.journal = Journal(till.database, PATIENT, self.tombstones)
        self.profiles, self.store = ProfileLog(), ProfileStore(till.database, self.tombstones)
        self.erasure = self.eraser()

    def eraser(self) -> Erasure:
        return Erasure(self.till.database, self.tombstones, os.urandom, self.profiles.forget)

    def saw(self, profile: SeekerProfile) -> None:
        self.profiles.note(profile, NOON)
        self.store.flush(self.profiles)

    def erase(self, seeker_id: str = WHO) -> dict[str, int]:
        operation = self.erasure.begin(seeker_id, NOON)
        done = self.erasure.run(operation.operation_id, NOON)
        assert done.state == "done"
        stores: dict[str, int] = done.result["stores"]
        return stores

    def rows(self, table: type) -> list:
        with self.till.database.reading() as session:
            found = list(session.scalars(select(table)))
            session.expunge_all()
        return found


@pytest.fixture
def office(till: Till) -> Office:
    return Office(till)


def test_every_store_loses_the_person_and_the_receipt_counts_it(office: Office) -> None:
    till, campaign = office.till, office.till.campaign()
    office.saw(NURSE)
    token = till.serve(campaign, 100, seeker=WHO)
    till.take(till.event(token, seeker=WHO), till.event(None, type="save", seeker=WHO, job="j1"))
    late = till.event(None, type="save", at=NOON - timedelta(days=91), seeker=WHO, job="j1")
    assert till.take(late)[0].status == "quarantined"
    assert named_in(till.database, WHO).keys() == {
        "seekers",
        "seeker_titles",
        "events",
        "reserves",
        "slates",
        "quarantine",
    }
    assert unkeyed_digests(till.database, WHO) == {
        "events that confirm the id": 1,
        "quarantined events that confirm the id": 1,
        "lanes that confirm the id": 1,
    }
    assert office.erase() == {
        "seekers": 1,
        "seeker_titles": 2,
        "events": 2,
        "reserves": 1,
        "slates": 1,
        "postings": 1,
        "quarantine": 1,
        "answers": 0,
        "caches": 1,
        "index": 0,
        "artefacts": 0,
    }
    assert named_in(till.database, WHO) == {}
    assert unkeyed_digests(till.database, WHO) == {}


def test_no_byte_of_the_person_is_left_in_the_files_of_the_database(office: Office) -> None:
    till, campaign = office.till, office.till.campaign()
    office.saw(NURSE)
    for _ in range(3):
        till.take(till.event(till.serve(campaign, 100, seeker=WHO), seeker=WHO))
    path = till.database.path
    if path is None:
        pytest.skip("the bytes of a database server are not ours to search")
    files = [path, *path.parent.glob(f"{path.name}-*")]
    assert sum(hit.count for file in files for hit in search_file(file, WHO)) > 0
    operation = office.erasure.begin(WHO, NOON)
    receipt = office.erasure.run(operation.operation_id, NOON).result["bytes"]
    assert (receipt["found"], receipt["rebuilt"]) == (0, False)
    assert [hit for file in files for hit in search_file(file, WHO)] == []


def test_somebody_else_is_left_as_they_were(office: Office) -> None:
    till, campaign = office.till, office.till.campaign()
    for who in (WHO, OTHER):
        office.saw(replace(NURSE, seeker_id=who))
        till.take(till.event(till.serve(campaign, 100, seeker=who), seeker=who))
    before = named_in(till.database, OTHER)
    office.erase()
    assert named_in(till.database, OTHER) == before
    assert [row.seeker_id for row in office.rows(SeekerRow)] == [OTHER]


def test_money_is_as_it_was_and_clicks_to_come_are_billed_in_their_lane(office: Office) -> None:
    till, campaign = office.till, office.till.campaign()
    clicked, cheaper, dearer = (till.serve(campaign, price, seeker=WHO) for price in (100, 60, 130))
    assert till.billed(till.event(clicked)) == [100]
    before = till.journal.totals(campaign.campaign_id)
    office.erase()
    assert till.journal.totals(campaign.campaign_id) == before
    assert till.billed(till.event(cheaper), till.event(dearer)) == [0, 30]
    lanes = {row.lane for row in office.rows(ReserveRow)}
    assert len(lanes) == 1


def test_late_clicks_still_count_as_unbilled_delivery(office: Office) -> None:
    till, campaign = office.till, office.till.campaign()
    token = till.serve(campaign, 100, seeker=WHO)
    late = till.event(token, seeker=WHO)
    assert till.take(late, now=NOON + HOUR)[0].code == "late"
    office.erase()
    assert till.journal.totals(campaign.campaign_id).unbilled == 100
    [row] = office.rows(QuarantineRow)
    assert "seeker_id" not in row.payload
    assert till.take(late, now=NOON + HOUR)[0].status == "quarantined"
    assert named_in(till.database, WHO) == {}


def test_all_that_stays_bears_one_random_name_that_no_client_can_send(office: Office) -> None:
    till, campaign = office.till, office.till.campaign()
    till.take(till.event(till.serve(campaign, 100, seeker=WHO)))
    office.erase()
    names = {row.seeker_id for table in (EventRow, ReserveRow, SlateRow) for row in office.rows(table)}
    [name] = names
    assert name.startswith(PSEUDONYM)
    again = Office(till)
    again.erase()
    assert {row.seeker_id for row in office.rows(EventRow)} == {name}


def test_an_event_sent_again_after_the_erasure_is_still_a_duplicate(office: Office) -> None:
    till, campaign = office.till, office.till.campaign()
    token = till.serve(campaign, 100, seeker=WHO)
    named, nameless = till.event(token, seeker=WHO), till.event(token, type="impression")
    till.take(named, nameless)
    office.erase()
    assert [each.status for each in till.take(named, nameless)] == ["duplicate", "duplicate"]
    assert till.take(replace(named, position=7))[0].status == "conflict"


def test_a_late_event_is_billed_by_its_token_and_does_not_bring_the_person_back(office: Office) -> None:
    till, campaign = office.till, office.till.campaign()
    token = till.serve(campaign, 100, seeker=WHO)
    office.erase()
    click, save = till.event(token, seeker=WHO), till.event(None, type="save", seeker=WHO, job="j1")
    billed, refused = till.take(click, save)
    assert (billed.status, billed.billed.amount_micros if billed.billed else None) == ("accepted", 100)
    assert (refused.status, refused.code) == ("quarantined", "erased")
    assert till.take(click)[0].status == "duplicate"
    assert named_in(till.database, WHO) == {}
    assert unkeyed_digests(till.database, WHO) == {}


def test_profiles_and_slates_do_not_bring_the_person_back(office: Office) -> None:
    till, campaign = office.till, office.till.campaign()
    office.profiles.note(NURSE, NOON)  # waits while the person is erased
    office.erase()
    other_process = ProfileLog()
    other_process.note(NURSE, NOON)
    assert office.store.flush(other_process) == 0
    assert office.store.flush(office.profiles) == 0
    assert till.serve(campaign, 100, seeker=WHO) is not None
    assert named_in(till.database, WHO) == {}


def test_another_process_forgets_the_person_at_its_next_look(office: Office) -> None:
    other = ProfileLog()
    other.note(NURSE, NOON)
    store = ProfileStore(office.till.database, office.tombstones)
    assert other.known() == [WHO]
    office.erase()
    store.forget_erased(other)
    assert other.known() == []


def test_erasing_again_finds_nothing_and_keeps_one_tombstone(office: Office) -> None:
    office.saw(NURSE)
    office.erase()
    assert set(office.erase().values()) == {0}
    assert len(office.rows(ErasedRow)) == 1


def test_asking_twice_while_it_runs_is_one_operation(office: Office) -> None:
    assert office.erasure.begin(WHO, NOON) == office.erasure.begin(WHO, NOON)


class Killed(BaseException):
    """Stands for a process that dies."""


@pytest.mark.parametrize("after", range(8))
def test_a_kill_after_any_step_is_taken_up_again_with_true_counts(office: Office, after: int) -> None:
    till, campaign = office.till, office.till.campaign()
    office.saw(NURSE)
    till.take(till.event(till.serve(campaign, 100, seeker=WHO), seeker=WHO))
    dying = DyingErasure(till, office.tombstones, after)
    operation = dying.begin(WHO, NOON)
    with pytest.raises(Killed):
        dying.run(operation.operation_id, NOON)
    assert office.erasure.resume(NOON) == 0  # its process may still be at work
    assert office.erasure.resume(NOON + TAKEN_UP_AFTER) == 1
    done = office.erasure.operations.get(operation.operation_id)
    assert done.state == "done"
    counts = {
        name: done.result["stores"][name] for name in ("seekers", "seeker_titles", "events", "reserves", "slates")
    }
    assert counts == {"seekers": 1, "seeker_titles": 2, "events": 1, "reserves": 1, "slates": 1}
    assert named_in(till.database, WHO) == {}
    if till.database.path is not None:
        assert search_file(till.database.path, WHO) == []


class DyingErasure(Erasure):
    """An erasure on a database that dies after so many transactions of `run`."""

    def __init__(self, till: Till, tombstones: Tombstones, after: int) -> None:
        super().__init__(till.database, tombstones, os.urandom)
        self._left = after

    def run(self, operation_id, now):  # type: ignore[no-untyped-def]
        self._database = DyingDatabase(self._database, self._left)  # type: ignore[assignment]
        return super().run(operation_id, now)


class DyingDatabase:
    def __init__(self, database, left: int) -> None:  # type: ignore[no-untyped-def]
        self._real, self._left = database, left

    def writing(self):  # type: ignore[no-untyped-def]
        if not self._left:
            raise Killed
        self._left -= 1
        return self._real.writing()

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


def test_the_notes_of_a_finished_operation_name_nobody(office: Office) -> None:
    office.saw(NURSE)
    operation = office.erasure.begin(WHO, NOON)
    office.erasure.run(operation.operation_id, NOON)
    notes = office.erasure.operations.get(operation.operation_id).result
    assert notes.keys() == {"stores", "retrain_advised", "bytes"}
    assert notes["retrain_advised"]
    assert office.erasure.operations.get(operation.operation_id).kind == KIND


def test_without_the_secret_a_tombstone_tells_nothing(office: Office) -> None:
    office.erase()
    [row] = office.rows(ErasedRow)
    assert row.digest == Tombstones(SECRET).digest(WHO)
    assert row.digest != Tombstones(b"another").digest(WHO)
    with office.till.database.reading() as session:
        assert Tombstones(SECRET).among(session, {WHO, OTHER}) == {WHO}
        if office.till.database.path is not None:
            assert session.execute(text("PRAGMA secure_delete")).scalar() == 1
