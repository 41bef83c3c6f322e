"""Log tables: what is read, what is refused, and with which words."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from market.errors import DataError
from market.tables import PROTECTED, SCHEMAS, TIME, check_folder, check_table, read_tables, write_tables

POSITIONS = [
    {
        "seeker_id": "ann",
        "employer_id": "acme",
        "occupation": "111",
        "title": "Baker",
        "geo": "here",
        "started_at": "2024-03-01T00:00:00Z",
        "ended_at": None,
        "recorded_at": "2024-03-02T12:30:00Z",
    },
    {
        "seeker_id": "bob",
        "employer_id": None,
        "occupation": "121",
        "title": "Cook",
        "geo": "there",
        "started_at": "2023-01-01T00:00:00Z",
        "ended_at": "2024-01-01T00:00:00Z",
        "recorded_at": "2023-01-01T00:00:00Z",
    },
]
JOBS = [
    {
        "job_id": "j1",
        "account_id": "x",
        "employer_id": "acme",
        "occupation": "112",
        "title": "Miller",
        "geo": "here",
        "remote": "true",
        "wage": "41000.5",
        "posted_at": "2024-01-01T00:00:00Z",
        "expires_at": "2024-06-01T00:00:00Z",
    }
]
APPLICATIONS = [{"event_id": "e1", "seeker_id": "ann", "job_id": "j1", "occurred_at": "2024-02-01T08:00:00Z"}]
SEEKERS = [
    {"seeker_id": "ann", "geo": "here", "education_years": "12", "updated_at": "2024-03-02"},
    {"seeker_id": "bob", "geo": "there", "education_years": None, "updated_at": "2024-03-02"},
]
HIRES = [
    {
        "seeker_id": "ann",
        "job_id": "j1",
        "employer_id": "acme",
        "application_event_id": "e1",
        "applied_at": "2024-02-01T08:00:00Z",
        "started_at": "2024-03-01T00:00:00Z",
        "rule": "section",
    }
]
WORLD = {"positions": POSITIONS, "jobs": JOBS, "applications": APPLICATIONS, "seekers": SEEKERS, "hires": HIRES}


def changed(rows, row, **values):
    """`rows` with other values in one row; a value of ... takes the column away everywhere."""
    new = [dict(r) for r in rows]
    new[row].update({name: value for name, value in values.items() if value is not ...})
    gone = {name for name, value in values.items() if value is ...}
    return [{name: value for name, value in r.items() if name not in gone} for r in new]


def as_csv(path, rows):
    pa.csv.write_csv(pa.Table.from_pylist(rows), path)


def as_parquet(path, rows):
    """Typed as production writes them."""
    pq.write_table(check_table(path.stem, pa.Table.from_pylist(rows)), path)


@pytest.fixture
def folder(tmp_path):
    def write(world=WORLD, writer=as_csv, end="csv"):
        (tmp_path / "dataset.json").write_text('{"occupation_scheme": "toy"}')
        for name, rows in world.items():
            writer(tmp_path / f"{name}.{end}", rows)
        return tmp_path

    return write


def text_table(rows):
    return pa.Table.from_pylist(rows)


def test_csv_and_parquet_give_the_same_typed_tables(tmp_path):
    found = []
    for end, writer in (("csv", as_csv), ("parquet", as_parquet)):
        (tmp_path / end).mkdir()
        (tmp_path / end / "dataset.json").write_text('{"occupation_scheme": "toy"}')
        for name, rows in WORLD.items():
            writer(tmp_path / end / f"{name}.{end}", rows)
        found.append(read_tables(tmp_path / end))
    csv, parquet = found
    assert set(csv.tables) == set(parquet.tables) == set(WORLD)
    for name in WORLD:
        assert csv[name].equals(parquet[name]), name
    assert csv["positions"]["recorded_at"][0].as_py() == datetime(2024, 3, 2, 12, 30, tzinfo=UTC)
    assert csv["jobs"].schema.field("posted_at").type == TIME
    assert csv["jobs"].select(["remote", "wage"]).to_pylist() == [{"remote": True, "wage": 41000.5}]
    assert csv["seekers"]["education_years"].to_pylist() == [12.0, None]
    assert csv["positions"]["employer_id"].to_pylist() == ["acme", None]


@pytest.mark.parametrize(("end", "writer"), [("csv", as_csv), ("parquet", as_parquet)])
def test_a_folder_of_parts_is_one_table_in_the_order_of_their_names(folder, end, writer):
    path = folder({name: rows for name, rows in WORLD.items() if name != "positions"})
    (path / "positions").mkdir()
    for part in (1, 0):
        writer(path / "positions" / f"positions.{end}", [POSITIONS[part]])
        (path / "positions" / f"positions.{end}").rename(path / "positions" / f"part-{part}.{end}")
    assert read_tables(path)["positions"]["seeker_id"].to_pylist() == ["ann", "bob"]


def test_gzip_csv_is_read(folder):
    path = folder({name: rows for name, rows in WORLD.items() if name != "jobs"})
    with pa.output_stream(path / "jobs.csv.gz", compression="gzip") as out:
        pa.csv.write_csv(text_table(JOBS), out)
    assert read_tables(path)["jobs"]["job_id"].to_pylist() == ["j1"]


def test_digits_in_an_id_or_a_code_stay_text(folder):
    rows = [dict(APPLICATIONS[0], event_id="007", seeker_id="0123456789012345678901234567890")]
    found = read_tables(folder({**WORLD, "applications": rows}))["applications"]
    assert found["event_id"].to_pylist() == ["007"]
    assert found["seeker_id"].to_pylist() == ["0123456789012345678901234567890"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2024-02-01", datetime(2024, 2, 1, tzinfo=UTC)),
        ("2024-02-01 08:00:00", datetime(2024, 2, 1, 8, tzinfo=UTC)),
        ("2024-02-01T08:00:00+00:00", datetime(2024, 2, 1, 8, tzinfo=UTC)),
        ("2024-02-01T08:00:00.123456Z", datetime(2024, 2, 1, 8, 0, 0, 123456, tzinfo=UTC)),
    ],
)
def test_times_are_utc(written, meant):
    table = check_table("applications", text_table(changed(APPLICATIONS, 0, occurred_at=written)))
    assert table["occurred_at"].to_pylist() == [meant]


@pytest.mark.parametrize("type_", [pa.timestamp("ns"), pa.timestamp("s", tz="Europe/Berlin"), pa.date32()])
def test_times_of_other_types_are_brought_to_utc(type_):
    noon = pa.array([datetime(2024, 2, 1, 12)]).cast(pa.timestamp("us")).cast(type_, safe=False)
    found = check_table("applications", text_table(APPLICATIONS).set_column(3, "occurred_at", noon))["occurred_at"]
    hour = 0 if pa.types.is_date(type_) else 12
    assert found.to_pylist() == [datetime(2024, 2, 1, hour, tzinfo=UTC)]


@pytest.mark.parametrize("numbers", [pa.array([1706774400]), pa.array([1706774400.5])])
def test_a_number_is_no_time_because_nobody_knows_its_unit(numbers):
    with pytest.raises(DataError, match=r"occurred_at has type .*, expected a timestamp"):
        check_table("applications", text_table(APPLICATIONS).set_column(3, "occurred_at", numbers))


@pytest.mark.parametrize("bad", ["yesterday", "2024-13-01", "2024-02-01T08:00:00+02:00", "1706774400"])
def test_a_time_that_is_none_is_refused_with_its_row(bad):
    rows = [*APPLICATIONS, dict(APPLICATIONS[0], event_id="e2", occurred_at=bad)]
    with pytest.raises(DataError, match="applications, row 1: occurred_at is") as refusal:
        check_table("applications", text_table(rows))
    assert (refusal.value.table, refusal.value.row) == ("applications", 1)
    assert repr(bad) in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("applications", changed(APPLICATIONS, 0, event_id=...), "applications: column 'event_id' is missing"),
        ("positions", changed(POSITIONS, 1, seeker_id=None), "positions, row 1: seeker_id is missing .1 such rows"),
        ("positions", changed(POSITIONS, 1, seeker_id=""), "positions, row 1: seeker_id is missing"),
        ("positions", changed(POSITIONS, 1, ended_at="2022-12-31"), "row 1: ended_at lies before started_at"),
        ("jobs", changed(JOBS, 0, expires_at="2023-12-31"), "jobs, row 0: expires_at lies before posted_at"),
        ("hires", changed(HIRES, 0, started_at="2024-01-31"), "hires, row 0: started_at lies before applied_at"),
        ("seekers", changed(SEEKERS, 1, education_years="nan"), "seekers, row 1: education_years is NaN"),
        ("seekers", changed(SEEKERS, 0, education_years="inf"), "seekers, row 0: education_years is NaN or infinite"),
        ("seekers", changed(SEEKERS, 1, education_years="much"), "seekers, row 1: education_years is 'much'"),
        ("jobs", changed(JOBS, 0, remote="perhaps"), "jobs, row 0: remote is 'perhaps', expected bool"),
    ],
)
def test_the_first_offence_of_a_table_is_named_with_table_and_row(name, rows, message):
    with pytest.raises(DataError, match=message):
        check_table(name, text_table(rows))


def test_nan_in_a_typed_column_is_refused():
    table = check_table("seekers", text_table(SEEKERS))
    nan = table.set_column(
        table.column_names.index("education_years"), "education_years", pa.array([12.0, float("nan")])
    )
    with pytest.raises(DataError, match="row 1: education_years is NaN"):
        check_table("seekers", nan)


def test_an_unknown_occupation_is_refused(folder):
    classes = [{"occupation": code, "title": code, "section": "s", "major": "m"} for code in ("111", "112")]
    with pytest.raises(
        DataError, match=r"positions, row 1: unknown occupation '121' \(1 such rows\). use codes of toy"
    ):
        read_tables(folder({**WORLD, "occupations": classes}))


def test_a_given_classification_is_used_as_it_is(folder):
    classes = [
        {"occupation": code, "title": f"T{code}", "section": f"s{code[1]}", "major": "m"}
        for code in ("121", "111", "112")
    ]
    taxonomy = read_tables(folder({**WORLD, "occupations": classes})).taxonomy
    assert taxonomy.codes == ("121", "111", "112")
    assert taxonomy.titles == ("T121", "T111", "T112")
    assert [taxonomy.section_names[s] for s in taxonomy.section] == ["s2", "s1", "s1"]


def test_a_classification_that_lists_a_code_twice_is_refused():
    classes = [{"occupation": code, "title": code, "section": "s", "major": "m"} for code in ("1", "2", "1", "2")]
    with pytest.raises(DataError, match=r"occupations, row 2: a second row of the same occupation \(2 such rows\)"):
        check_table("occupations", text_table(classes))


def test_without_an_occupations_table_the_classification_comes_from_the_codes(folder):
    taxonomy = read_tables(folder()).taxonomy
    assert taxonomy.scheme == "toy"
    assert taxonomy.codes == ("111", "112", "121")
    assert taxonomy.titles == ("Baker", "Miller", "Cook")
    assert [taxonomy.section_names[s] for s in taxonomy.section] == ["11", "11", "12"]
    assert [taxonomy.major_names[m] for m in taxonomy.major] == ["1", "1", "1"]


@pytest.mark.parametrize("column", [*sorted(PROTECTED), "Sex", "RACE", "sex_1m_2f", "mother_birth_year"])
def test_a_protected_attribute_is_refused_in_every_table(column):
    for name, rows in WORLD.items():
        with pytest.raises(DataError, match=f"{name}: column {column!r} is a protected attribute"):
            check_table(name, text_table([{**row, column: "x"} for row in rows]))


def test_extra_columns_are_kept_as_they_are():
    found = check_table("applications", text_table([{**APPLICATIONS[0], "score": 0.25, "note": ""}]))
    assert found.column_names == ["event_id", "seeker_id", "job_id", "occurred_at", "score", "note"]
    assert found.select(["score", "note"]).to_pylist() == [{"score": 0.25, "note": ""}]


def test_a_required_table_that_is_missing_or_empty_is_refused(folder):
    path = folder()
    with pytest.raises(DataError, match=r"clicks: no clicks.parquet, clicks.csv or folder clicks/"):
        read_tables(path, required=["clicks"])
    (path / "applications.csv").unlink()
    pq.write_table(check_table("applications", text_table(APPLICATIONS)).slice(1), path / "applications.parquet")
    with pytest.raises(DataError, match="applications: the table is empty"):
        read_tables(path)
    assert read_tables(path, required=["jobs"])["applications"].num_rows == 0


def test_a_folder_of_nothing_but_events_has_an_empty_classification(folder):
    found = read_tables(folder({"applications": APPLICATIONS}), required=["applications"])
    assert len(found.taxonomy) == 0
    assert "jobs" not in found


@pytest.mark.parametrize("content", [None, "", "[]", "{}", "not json"])
def test_a_folder_that_does_not_name_its_classification_is_refused(folder, content):
    path = folder()
    (path / "dataset.json").unlink()
    if content is not None:
        (path / "dataset.json").write_text(content)
    for read in (read_tables, check_folder):
        with pytest.raises(DataError, match=r"dataset\.json"):
            read(path)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such directory"):
        read_tables(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["positions.parquet", "positions.csv"])
def test_a_damaged_file_is_refused(folder, name):
    path = folder({name: rows for name, rows in WORLD.items() if name != "positions"})
    (path / name).write_bytes(b"\x00\x01PAR1 and then nothing of use \xff\xfe" * 9)
    with pytest.raises(DataError, match="positions"):
        read_tables(path)


def test_a_folder_without_parts_is_refused(folder):
    path = folder({name: rows for name, rows in WORLD.items() if name != "jobs"})
    (path / "jobs").mkdir()
    with pytest.raises(DataError, match=r"jobs: folder .* holds no files"):
        read_tables(path)


def test_check_reports_rows_columns_and_the_first_problem_of_each_table(folder):
    path = folder(
        {
            **WORLD,
            "applications": changed(APPLICATIONS, 0, occurred_at="soon"),
            "hires": changed(HIRES, 0, rule=...),
            "jobs": changed(JOBS, 0, wage="nan", remote="perhaps"),
        }
    )
    report = check_folder(path)
    assert {name: table["rows"] for name, table in report.items()} == {name: len(rows) for name, rows in WORLD.items()}
    assert report["seekers"] == {"rows": 2, "columns": list(SEEKERS[0]), "problems": []}
    assert report["positions"]["problems"] == []
    assert [len(report[name]["problems"]) for name in ("applications", "hires", "jobs")] == [1, 1, 1]
    assert "applications, row 0: occurred_at is 'soon'" in report["applications"]["problems"][0]
    assert "column 'rule' is missing" in report["hires"]["problems"][0]
    json.dumps(report)


def test_check_reports_damaged_and_empty_tables_and_unknown_occupations_and_goes_on(folder):
    classes = [{"occupation": code, "title": code, "section": "s", "major": "m"} for code in ("111", "112")]
    path = folder({**WORLD, "occupations": classes})
    (path / "seekers.csv").unlink()
    (path / "seekers.parquet").write_bytes(b"no parquet")
    (path / "applications.csv").write_text("event_id,seeker_id,job_id,occurred_at\n")
    problems = {name: table["problems"] for name, table in check_folder(path).items()}
    assert "can not be read" in problems["seekers"][0]
    assert problems["applications"] == ["applications: the table is empty. export at least one row"]
    assert "unknown occupation '121'" in problems["positions"][0]
    assert problems["jobs"] == []


@pytest.mark.parametrize("name", ["occupations", "jobs"])
def test_check_survives_a_folder_whose_classification_would_be_empty(tmp_path, name):
    (tmp_path / "dataset.json").write_text('{"occupation_scheme": "toy"}')
    (tmp_path / f"{name}.csv").write_text(",".join(SCHEMAS[name].required) + "\n")
    assert check_folder(tmp_path)[name]["problems"] == [f"{name}: the table is empty. export at least one row"]


def test_check_of_a_folder_without_tables_is_refused(folder):
    with pytest.raises(DataError, match="no known table found"):
        check_folder(folder({}))


def test_what_is_written_reads_back_the_same(tmp_path):
    tables = {name: check_table(name, text_table(rows)) for name, rows in WORLD.items()}
    write_tables(tmp_path / "logs", tables, "toy")
    again = read_tables(tmp_path / "logs")
    assert {name: again[name].equals(table) for name, table in tables.items()} == dict.fromkeys(WORLD, True)
    assert json.loads((tmp_path / "logs" / "dataset.json").read_text()) == {
        "occupation_scheme": "toy",
        "tables": sorted(WORLD),
    }
    assert all(not table["problems"] for table in check_folder(tmp_path / "logs").values())


def test_checking_a_checked_table_changes_nothing():
    for name, rows in WORLD.items():
        once = check_table(name, text_table(rows))
        assert check_table(name, once).equals(once)
