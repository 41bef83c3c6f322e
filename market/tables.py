"""Platform log tables: their columns, and reading them with one clear message for the first thing that is wrong.

A log directory holds one Parquet or CSV file (or a folder of parts) per table, and `dataset.json`:
{"occupation_scheme": NAME}. Ids are strings, times UTC, occupations codes of the named scheme. The optional table
`occupations` gives the classification; without it sections are the first two characters of a code, major groups the
first. Columns that no schema names are kept (propensities, for instance); protected attributes are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import daft
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from market.errors import DataError
from market.taxonomy import Taxonomy, build_taxonomy

TIME = pa.timestamp("us", tz="UTC")
TEXT, NUMBER, WHOLE, FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()

_EVENT = {"event_id": TEXT, "seeker_id": TEXT, "job_id": TEXT, "occurred_at": TIME}
_EVENT_OPTIONAL = {"request_id": TEXT, "position": WHOLE, "promoted": FLAG, "propensity": NUMBER}


@dataclass(frozen=True)
class Schema:
    """required columns may not be null; optional ones may be absent or null; `order` = pairs that may not run back;
    `key` = a column that names every row once."""

    required: Mapping[str, pa.DataType]
    optional: Mapping[str, pa.DataType]
    order: tuple[tuple[str, str], ...] = ()
    key: str | None = None


SCHEMAS: Mapping[str, Schema] = {
    "seekers": Schema({"seeker_id": TEXT, "geo": TEXT, "updated_at": TIME}, {"education_years": NUMBER}),
    "positions": Schema(
        {"seeker_id": TEXT, "occupation": TEXT, "title": TEXT, "geo": TEXT, "started_at": TIME, "recorded_at": TIME},
        {"employer_id": TEXT, "ended_at": TIME},
        (("started_at", "ended_at"),),
    ),
    "jobs": Schema(
        {
            **{name: TEXT for name in ("job_id", "account_id", "employer_id", "occupation", "title", "geo")},
            "posted_at": TIME,
        },
        {"description": TEXT, "seniority": TEXT, "remote": FLAG, "wage": NUMBER, "expires_at": TIME},
        (("posted_at", "expires_at"),),
    ),
    **{name: Schema(_EVENT, _EVENT_OPTIONAL) for name in ("impressions", "clicks", "applications", "saves")},
    "dismissals": Schema(_EVENT, {**_EVENT_OPTIONAL, "reason": TEXT}),
    "hires": Schema(
        {
            **{name: TEXT for name in ("seeker_id", "job_id", "employer_id", "application_event_id", "rule")},
            "applied_at": TIME,
            "started_at": TIME,
        },
        {},
        (("applied_at", "started_at"),),
    ),
    "occupations": Schema({"occupation": TEXT, "title": TEXT, "section": TEXT, "major": TEXT}, {}, key="occupation"),
}
# A column is refused when its name holds one of these words: sex, sex_1m_2f, birth_year, mother_race, ...
PROTECTED = frozenset(
    {"sex", "gender", "race", "ethnicity", "ethnic", "age", "birth", "birthdate", "birthday", "born", "dob"}
)


@dataclass(frozen=True)
class Tables:
    """The tables found, checked and typed, and the taxonomy their occupations belong to."""

    tables: Mapping[str, pa.Table]
    taxonomy: Taxonomy

    def __getitem__(self, name: str) -> pa.Table:
        return self.tables[name]

    def __contains__(self, name: str) -> bool:
        return name in self.tables


def read_tables(folder: Path, required: Iterable[str] = ("positions", "jobs", "applications")) -> Tables:
    """Read and check every known table in `folder`; `required` ones must be there and hold rows.

    DataError names table, row and remedy; nothing partial is returned.
    """
    folder = Path(folder)
    scheme = _scheme(folder)
    tables = {}
    for name in SCHEMAS:
        if (source := _source(folder, name)) is not None:
            tables[name] = check_table(name, _load(source, name))
    for name in required:
        if name not in tables:
            raise DataError(name, f"no {name}.parquet, {name}.csv or folder {name}/ in {folder}", "add the table")
        if tables[name].num_rows == 0:
            raise DataError(name, "the table is empty", "export at least one row")
    taxonomy = _taxonomy(scheme, tables)
    for name in ("positions", "jobs"):
        if name in tables:
            _known_occupations(name, tables[name], taxonomy)
    return Tables(tables, taxonomy)


def check_folder(folder: Path) -> dict[str, dict[str, object]]:
    """Per table: rows, columns and the problems found (first of each table); what `data check` prints."""
    folder = Path(folder)
    scheme = _scheme(folder)
    report: dict[str, dict[str, object]] = {}
    tables = {}
    for name in SCHEMAS:
        if (source := _source(folder, name)) is None:
            continue
        try:
            raw = _load(source, name)
        except DataError as problem:
            report[name] = {"rows": 0, "columns": [], "problems": [str(problem)]}
            continue
        report[name] = {"rows": raw.num_rows, "columns": raw.column_names, "problems": []}
        try:
            tables[name] = check_table(name, raw)
            if raw.num_rows == 0:
                raise DataError(name, "the table is empty", "export at least one row")
        except DataError as problem:
            report[name]["problems"] = [str(problem)]
    if not report:
        raise DataError(str(folder), "no known table found", f"expected some of {', '.join(SCHEMAS)}")
    if "jobs" in tables or "occupations" in tables or "positions" in tables:
        taxonomy = _taxonomy(scheme, tables)
        for name in ("positions", "jobs"):
            if name in tables:
                try:
                    _known_occupations(name, tables[name], taxonomy)
                except DataError as problem:
                    report[name]["problems"] = [str(problem)]
    return report


def write_tables(folder: Path, tables: Mapping[str, pa.Table], scheme: str) -> None:
    """Write tables as Parquet with their dataset.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    (folder / "dataset.json").write_text(json.dumps({"occupation_scheme": scheme, "tables": sorted(tables)}) + "\n")


def load_table(folder: Path, name: str) -> pa.Table | None:
    """One table of a directory as it lies there, unchecked (columns of a CSV are text); None where it has none."""
    source = _source(Path(folder), name)
    return None if source is None else _load(source, name)


def check_table(name: str, raw: pa.Table) -> pa.Table:
    """Cast one table to its schema and check it; DataError on the first offence."""
    schema = SCHEMAS[name]
    for column in raw.column_names:
        if PROTECTED & set(re.split(r"[^a-z]+", column.lower())):
            raise DataError(name, f"column {column!r} is a protected attribute", "remove it: it may never be a feature")
    columns = {}
    for column, kind in {**schema.required, **schema.optional}.items():
        if column not in raw.column_names:
            if column in schema.required:
                raise DataError(name, f"column {column!r} is missing (found {raw.column_names})", "add the column")
            continue
        columns[column] = _cast(name, column, raw[column].combine_chunks(), kind)
    for column in schema.required:
        _refuse(name, pc.is_null(columns[column]), f"{column} is missing", "fill it or remove the row")
    for earlier, later in schema.order:
        if earlier in columns and later in columns:
            back = pc.less(columns[later], columns[earlier])
            _refuse(name, back, f"{later} lies before {earlier}", "mend the dates or remove the row")
    if schema.key is not None:
        keys = columns[schema.key].to_pylist()
        first = {value: row for row, value in reversed(list(enumerate(keys)))}
        again = pa.array([first[value] != row for row, value in enumerate(keys)], pa.bool_())
        _refuse(name, again, f"a second row of the same {schema.key}", "keep one row of each")
    for column in raw.column_names:
        if column not in columns:
            columns[column] = raw[column]
    return pa.table(columns)


def _cast(name: str, column: str, values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_large_string(values.type):
        values = values.cast(pa.string())
    if pa.types.is_string(values.type):  # CSV can not tell an empty text from a missing one
        values = pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
    if pa.types.is_timestamp(kind) and pa.types.is_string(values.type):
        # RFC 3339 in UTC (Z or +00:00), or a plain UTC date or time
        clean = pc.replace_substring_regex(values, "(Z|[+]00:?00)$", "")
        cast = _try_cast(name, column, clean, pa.timestamp("us"))
    elif pa.types.is_timestamp(kind) and (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise DataError(name, f"{column} has type {values.type}, expected a timestamp", "write UTC timestamps")
    elif pa.types.is_string(values.type) and not pa.types.is_string(kind):
        cast = _try_cast(name, column, values, kind)
    else:
        cast = _try_cast(name, column, values, pa.timestamp("us") if _naive(values.type, kind) else kind)
    if pa.types.is_timestamp(kind) and cast.type.tz is None:
        cast = pc.assume_timezone(cast, "UTC")
    if pa.types.is_floating(kind):
        _refuse(name, pc.invert(pc.is_finite(cast)), f"{column} is NaN or infinite", "leave unknown values empty")
    return cast


def _naive(have: pa.DataType, want: pa.DataType) -> bool:
    return pa.types.is_timestamp(want) and (pa.types.is_date(have) or (pa.types.is_timestamp(have) and have.tz is None))


def _try_cast(name: str, column: str, values: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return values.cast(kind, safe=not pa.types.is_timestamp(kind))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    for row in range(len(values)):  # only on the way to the error: find the offending row
        try:
            values.slice(row, 1).cast(kind, safe=not pa.types.is_timestamp(kind))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            shown = str(values[row].as_py())[:60]
            raise DataError(name, f"{column} is {shown!r}, expected {kind}", "mend or remove the row", row) from None
    raise DataError(name, f"{column} has type {values.type}, expected {kind}", "write it in that type")


def _refuse(name: str, bad: pa.Array, problem: str, remedy: str) -> None:
    rows = pc.indices_nonzero(pc.fill_null(bad, False))
    if len(rows):
        raise DataError(name, f"{problem} ({len(rows)} such rows)", remedy, row=rows[0].as_py())


def _known_occupations(name: str, table: pa.Table, taxonomy: Taxonomy) -> None:
    unknown = pc.invert(pc.is_in(table["occupation"].combine_chunks(), pa.array(taxonomy.codes, pa.string())))
    rows = pc.indices_nonzero(unknown)
    if len(rows):
        code = table["occupation"][rows[0].as_py()].as_py()
        raise DataError(
            name,
            f"unknown occupation {code!r} ({len(rows)} such rows)",
            f"use codes of {taxonomy.scheme}, or add it to the occupations table",
            row=rows[0].as_py(),
        )


def _taxonomy(scheme: str, tables: Mapping[str, pa.Table]) -> Taxonomy:
    if "occupations" in tables:
        table = tables["occupations"]
        rows = zip(*(table[c].to_pylist() for c in ("occupation", "title", "section", "major")), strict=True)
        return build_taxonomy(scheme, rows)
    titles: dict[str, str] = {}
    for name in ("jobs", "positions"):
        if name in tables:
            for code, title in zip(
                tables[name]["occupation"].to_pylist(), tables[name]["title"].to_pylist(), strict=True
            ):
                titles.setdefault(code, title)
    return build_taxonomy(scheme, ((code, titles[code], code[:2], code[:1]) for code in sorted(titles)))


def _scheme(folder: Path) -> str:
    if not folder.is_dir():
        raise DataError(str(folder), "no such directory", "point to a directory of log tables")
    path = folder / "dataset.json"
    try:
        return str(json.loads(path.read_text())["occupation_scheme"])
    except FileNotFoundError:
        raise DataError("dataset.json", f"not found in {folder}", 'add {"occupation_scheme": "NAME"}') from None
    except (ValueError, KeyError, TypeError):
        raise DataError("dataset.json", "no occupation_scheme in it", 'write {"occupation_scheme": "NAME"}') from None


def _source(folder: Path, name: str) -> Path | None:
    for end in (".parquet", ".csv", ".csv.gz"):
        if (folder / f"{name}{end}").is_file():
            return folder / f"{name}{end}"
    return folder / name if (folder / name).is_dir() else None


def _load(source: Path, name: str) -> pa.Table:
    """One file or a folder of parts, read by Daft; CSV columns come as text and are cast with a row number at hand."""
    parts = [source] if source.is_file() else sorted(path for path in source.iterdir() if path.is_file())
    if not parts:
        raise DataError(name, f"folder {source} holds no files", "add Parquet or CSV parts")
    paths = [str(path) for path in parts]
    try:
        if all(path.suffix == ".parquet" for path in parts):
            return daft.read_parquet(paths).to_arrow()
        head = daft.read_csv(paths[0], infer_schema=True).column_names
        return daft.read_csv(paths, schema={column: daft.DataType.string() for column in head}).to_arrow()
    except (daft.exceptions.DaftCoreException, ValueError, OSError, RuntimeError) as problem:
        raise DataError(
            name, f"{source} can not be read ({str(problem).splitlines()[0][:120]})", "write Parquet or CSV"
        ) from None
