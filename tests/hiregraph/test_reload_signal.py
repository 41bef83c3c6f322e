"""SIGHUP to a worker: it tries the artefacts in place without waiting for a second look."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from structlog.testing import capture_logs

from hiregraph.server import build_app
from hiregraph.settings import load_settings


def test_a_hangup_signal_has_new_artefacts_tried_at_once(tmp_path: Path) -> None:
    folder, before = tmp_path / "artefacts", signal.getsignal(signal.SIGHUP)
    folder.mkdir()
    try:
        app = build_app(load_settings(db=f"sqlite:///{tmp_path}/hiregraph.sqlite", artefacts=folder))
        live = app.state.services.live
        (folder / "rules.json").write_text("{}")
        live.check()  # seen for the first time: not yet at rest
        live.wait(60)
        assert live.state().refused is None
        (folder / "rules.json").write_text("{} ")
        os.kill(os.getpid(), signal.SIGHUP)
        with capture_logs() as logged:
            live.check()
            live.wait(60)
        assert "is not an artefact" in str(live.state().why)
        assert logged[-1]["event"] == "new artefacts refused, the old ones serve on"
        app.state.services.store.close()
    finally:
        signal.signal(signal.SIGHUP, before)
