"""Directories that change places in one step, and scratch directories of the living and the dead."""

import errno
import os
import threading

import pytest

from market import swap
from market.artefacts import open_artefact, reading, writing
from market.errors import ArtefactError
from market.swap import exchange, scratch_beside, swap_in


def folder(path, text):
    path.mkdir()
    (path / "note.txt").write_text(text)
    return path


def note(path):
    return (path / "note.txt").read_text()


def names(path):
    return sorted(item.name for item in path.iterdir())


@pytest.fixture(params=["in one step", "by two renames"])
def either_way(request, monkeypatch):
    """With the exchange of the system, and as on a file system that has none."""
    if request.param == "by two renames":
        monkeypatch.setattr(swap, "exchange", lambda one, other: False)


def test_two_directories_exchange_names(tmp_path):
    one, other = folder(tmp_path / "one", "1"), folder(tmp_path / "other", "2")
    assert exchange(one, other)
    assert (note(one), note(other)) == ("2", "1")


def test_an_exchange_with_nothing_is_an_error_and_changes_nothing(tmp_path):
    one = folder(tmp_path / "one", "1")
    with pytest.raises(FileNotFoundError) as caught:
        exchange(one, tmp_path / "nowhere")
    assert caught.value.errno == errno.ENOENT
    assert note(one) == "1"


def test_a_system_without_the_call_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(swap.ctypes, "CDLL", lambda *_, **__: object())
    one, other = folder(tmp_path / "one", "1"), folder(tmp_path / "other", "2")
    assert not exchange(one, other)
    assert (note(one), note(other)) == ("1", "2")


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("before", ["nothing", "an empty directory", "a full one"])
def test_the_fresh_directory_takes_the_place(tmp_path, before):
    target = tmp_path / "target"
    if before != "nothing":
        target.mkdir()
    if before == "a full one":
        (target / "old.txt").write_text("old")
    with scratch_beside(target) as scratch:
        (scratch / "note.txt").write_text("new")
        swap_in(scratch, target)
    assert names(target) == ["note.txt"]
    assert names(tmp_path) == ["target"]


def test_the_place_is_never_empty_while_it_changes_hands(tmp_path):
    """A reader that asks all the time always finds one of the notes."""
    target, missing, stop = folder(tmp_path / "target", "0"), [], threading.Event()

    def look():
        while not stop.is_set():
            try:
                os.stat(target)
            except FileNotFoundError as error:
                missing.append(error)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for number in range(200):
            with scratch_beside(target) as scratch:
                (scratch / "note.txt").write_text(str(number))
                swap_in(scratch, target)
    finally:
        stop.set()
        reader.join()
    assert missing == []
    assert note(target) == "199"


@pytest.mark.usefixtures("either_way")
def test_an_artefact_is_replaced_again_and_again(tmp_path):
    for number in range(4):
        with writing(tmp_path / "artefact", "note", 1, seed=number) as scratch:
            (scratch / "note.txt").write_text(str(number))
        assert open_artefact(tmp_path / "artefact", "note", (1,)).seed == number
        assert names(tmp_path) == ["artefact"]


def test_no_two_writers_ever_have_a_scratch_directory_of_one_name(tmp_path):
    used = []
    for _ in range(3):
        with scratch_beside(tmp_path / "artefact") as scratch:
            used.append(scratch)
    assert len(set(used)) == 3


def test_threads_that_write_the_same_artefact_do_not_meet(tmp_path):
    barrier, errors = threading.Barrier(4), []

    def write(number):
        try:
            barrier.wait()
            for _ in range(10):
                with writing(tmp_path / "artefact", "note", 1, seed=number) as scratch:
                    (scratch / "note.txt").write_text(str(number))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert note(tmp_path / "artefact") == str(open_artefact(tmp_path / "artefact", "note", (1,)).seed)
    assert names(tmp_path) == ["artefact"]


def test_scratch_of_a_living_writer_is_left_alone_and_that_of_a_dead_one_removed(tmp_path):
    target = tmp_path / "target"
    folder(tmp_path / ".target.1.2.writing", "its process is gone, and its lock with it")
    folder(tmp_path / ".target.1.2.keeping", "not a scratch directory")
    folder(tmp_path / ".other.1.2.writing", "of another artefact")
    with scratch_beside(target) as mine:
        seen = []
        thread = threading.Thread(target=lambda: seen.extend(names_beside(target)))
        thread.start()
        thread.join()
        assert mine.name in seen
    assert names(tmp_path) == [".other.1.2.writing", ".target.1.2.keeping"]


def names_beside(target):
    with scratch_beside(target):
        return names(target.parent)


def test_a_link_to_an_artefact_stays_a_link(tmp_path):
    with writing(tmp_path / "first", "note", 1, seed=1):
        pass
    (tmp_path / "link").symlink_to("first")
    with writing(tmp_path / "link", "note", 1, seed=2):
        pass
    assert (tmp_path / "link").is_symlink()
    assert open_artefact(tmp_path / "first", "note", (1,)).seed == 2
    assert names(tmp_path) == ["first", "link"]


def replace(target, seed):
    with writing(target, "note", 1, seed=seed):
        pass


def test_a_reader_starts_again_when_the_artefact_is_replaced_under_it(tmp_path):
    target, seeds = tmp_path / "artefact", []
    replace(target, 1)

    def read():
        seeds.append(open_artefact(target, "note", (1,)).seed)
        if len(seeds) < 3:
            replace(target, len(seeds) + 1)
        return seeds[-1]

    assert reading(target, read) == 3
    assert seeds == [1, 2, 3]


def test_a_reader_gives_up_when_the_artefact_never_rests_and_at_once_when_it_is_damaged(tmp_path):
    target, calls = tmp_path / "artefact", []
    replace(target, 1)

    def disturbed():
        calls.append(1)
        replace(target, len(calls))

    with pytest.raises(ArtefactError, match="replaced 100 times"):
        reading(target, disturbed)
    assert len(calls) == 100

    def damaged():
        calls.append(1)
        raise ArtefactError("damaged")

    with pytest.raises(ArtefactError, match="damaged"):
        reading(target, damaged)
    assert len(calls) == 101


def test_the_files_of_an_artefact_have_the_permissions_of_its_manifest(tmp_path):
    with writing(tmp_path / "artefact", "note", 1) as scratch:
        (scratch / "secret.txt").touch(0o600)
    modes = {path.stat().st_mode for path in (tmp_path / "artefact").iterdir()}
    assert len(modes) == 1
