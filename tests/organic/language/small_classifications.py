"""Two tiny classifications as their publishers lay them out."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

ESCO = {
    "u/baker": ("baker", ["bread baker", "pastry baker"], "Bakers make bread.", ["mix dough", "heat ovens"]),
    "u/welder": ("welder", ["arc welder", "welding operator", "operator"], "Welders join metal.", ["weld", "grind"]),
    "u/nurse": ("nurse", ["staff nurse", "ward nurse"], "Nurses care for the sick.", []),
}
ONET = {
    "51-3011": ("Bakers", ["Bread Baker", "Dough Mixer"], "Mix and bake ingredients."),
    "51-4121": ("Welders", ["Arc Welder", "Fitter", "Operator"], "Use torches to join metal."),
    "29-1141": ("Registered Nurses", ["Staff Nurse", "Charge Nurse"], "Assess patients."),
}


def write_classifications(folder: Path) -> Path:
    skills = sorted({name for _, _, _, names in ESCO.values() for name in names})
    _write(
        folder / "esco" / "occupations_en.csv.gz",
        ["conceptUri", "preferredLabel", "altLabels", "hiddenLabels", "description"],
        [[uri, name, "\n".join(others), "", text] for uri, (name, others, text, _) in ESCO.items()],
    )
    _write(
        folder / "esco" / "skills_en.csv.gz", ["conceptUri", "preferredLabel"], [[f"s/{name}", name] for name in skills]
    )
    _write(
        folder / "esco" / "occupationSkillRelations.csv.gz",
        ["occupationUri", "relationType", "skillUri"],
        [[uri, "essential", f"s/{name}"] for uri, (_, _, _, names) in ESCO.items() for name in names]
        + [["u/nurse", "optional", "s/weld"]],
    )
    _write(
        folder / "onet" / "occupation_data.csv.gz",
        ["O*NET-SOC Code", "Title", "Description"],
        [[code, title, text] for code, (title, _, text) in ONET.items()],
    )
    _write(
        folder / "onet" / "alternate_titles.csv.gz",
        ["O*NET-SOC Code", "Title", "Alternate Title", "Short Title"],
        [[code, title, other, ""] for code, (title, others, _) in ONET.items() for other in others],
    )
    return folder


def _write(path: Path, head: list[str], rows: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([head, *rows])
