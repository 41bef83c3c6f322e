"""Delivery parity of a simulated market: the audit's attributes joined to finished impressions, groups alone come out.

Nothing that is learned, served or played sees these attributes; they are read here, after the last market is played.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graph.fairness.audit import AuditConfig, is_audited, read_audit_attributes
from graph.fairness.impact import Partition
from graph.fairness.parity import delivery_parity
from graph.fairness.privacy import PrivacyFloor
from sim.second_look import SecondLook, by_section
from sim.stage import Stage


def parity_of_report(
    careers: Path | None, stage: Stage, looks: Mapping[str, SecondLook], rng: np.random.Generator
) -> dict[str, Any]:
    """{"minimum_people", "arms": {arm: {attribute: see `delivery_parity`}}}; {} where people have no such attributes.

    careers: the directory that the world's careers were read from; None in the generated world.
    """
    if careers is None or not is_audited(careers):
        return {}
    floor = PrivacyFloor(AuditConfig().minimum_people)
    sex, race, _ = read_audit_attributes(careers, stage.world.careers).partitions()
    arms: dict[str, Any] = {}
    for arm, look in looks.items():
        names, person, reach, shown = by_section(stage, look)
        arms[arm] = {
            each.attribute: delivery_parity(
                Partition(each.attribute, each.names, each.group[person]), names, reach, shown, floor, rng
            )
            for each in (sex, race)
        }
    return {"minimum_people": floor.minimum, "arms": arms}
