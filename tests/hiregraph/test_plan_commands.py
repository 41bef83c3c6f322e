"""`hiregraph plan fair` says what is missing before it does anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from hiregraph.plan_commands import fair
from market.errors import ArtefactError


def test_a_folder_without_an_audit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="hiregraph graph audit"):
        fair(tmp_path)
