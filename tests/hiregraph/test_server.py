import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from starlette.testclient import TestClient

from hiregraph.server import build_app, load_engine
from hiregraph.serving_commands import audit_verify, db_upgrade, keys_create, keys_list, keys_revoke
from hiregraph.settings import Settings, hand_over, load_settings, token_secret
from market.errors import ConfigError, NotFoundError
from targeting.migrations import head
from targeting.storage.database import Database

CAMPAIGN = {
    "job_id": "j1",
    "name": "Nurses",
    "budget": {"total": {"amount_micros": 100_000_000, "currency": "EUR"}},
    "bid": {"mode": "auto"},
    "objective": "hires",
    "starts_at": "2026-03-01T12:00:00Z",
    "time_zone": "Europe/Berlin",
    "pacing": "even",
}
JOB = {"job_id": "j1", "account_id": "acme", "title": "Nurse", "company": "Acme", "description": "", "geo": "31080"}


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("HIREGRAPH_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(db=f"sqlite:///{tmp_path}/hiregraph.sqlite", artefacts=tmp_path / "none")


def made_key(settings: Settings, capsys: pytest.CaptureFixture[str], role: str) -> dict[str, str]:
    keys_create("acme", role, settings.db, as_json=True)
    found: dict[str, str] = json.loads(capsys.readouterr().out)
    return found


def test_options_go_before_the_environment_and_that_before_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().port == 8080
    monkeypatch.setenv("HIREGRAPH_PORT", "9000")
    assert load_settings().port == 9000
    assert load_settings(port=9001, host=None).port == 9001


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "many"), ("PORT", "0"), ("TOKEN_SECRET", "abc"), ("TOKEN_SECRET", "ab" * 31)]
)
def test_a_bad_setting_is_named_without_its_value(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"HIREGRAPH_{name}", value)
    with pytest.raises(ConfigError, match=f"HIREGRAPH_{name}") as caught:
        load_settings()
    assert value * 3 not in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError):
        load_settings(unheard_of=1)


def test_the_token_secret_is_made_once_and_only_the_owner_reads_it(settings: Settings, tmp_path: Path) -> None:
    secret = token_secret(settings)
    assert len(secret) == 32
    assert token_secret(settings) == secret
    [path] = tmp_path.glob("*.token-secret")
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    path.write_text("short")
    with pytest.raises(ConfigError, match="restore it"):
        token_secret(settings)


def test_a_given_token_secret_is_used_and_never_shown(settings: Settings) -> None:
    given = load_settings(db=settings.db, token_secret="ab" * 32)
    assert token_secret(given) == b"\xab" * 32
    assert "abab" not in repr(given)
    with pytest.raises(ConfigError, match="TOKEN_SECRET is required"):
        token_secret(load_settings(db="postgresql://db/hiregraph"))


def test_settings_reach_worker_processes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(f"HIREGRAPH_{name.upper()}", "x")  # restored after the test
        monkeypatch.delenv(f"HIREGRAPH_{name.upper()}")
    hand_over(settings)
    assert load_settings() == settings


def test_without_artefacts_the_server_says_run_make_demo(settings: Settings) -> None:
    missing = load_engine(settings).ready()
    assert missing is not None
    assert "make demo" in missing


def test_a_key_that_was_created_opens_the_api(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    owner, platform = (made_key(settings, capsys, role) for role in ("owner", "platform"))
    assert owner.keys() == {"key", "key_id", "account", "role"}
    with TestClient(build_app(settings)) as client:
        assert client.get("/healthz").status_code == 200
        assert "make demo" in client.get("/readyz").json()["detail"]
        jobs = client.post("/v1/jobs:batch", json={"jobs": [JOB]}, headers=bearer(platform))
        assert jobs.json()["items"][0]["status"] == "accepted"
        assert client.post("/v1/campaigns", json=CAMPAIGN, headers=bearer(owner)).status_code == 201
    assert capsys.readouterr().out == ""


def bearer(key: dict[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {key['key']}"}


def test_a_key_is_printed_alone_on_stdout(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    keys_create("acme", "owner", settings.db)
    printed = capsys.readouterr()
    assert printed.out.startswith("hg_")
    assert len(printed.out.split()) == 1
    assert "not shown again" in printed.err
    with pytest.raises(ConfigError, match="role 'king'"):
        keys_create("acme", "king", settings.db)


def test_upgrading_says_from_where_to_where(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    db_upgrade(settings.db, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"version_before": None, "version": head()}
    db_upgrade(settings.db)
    assert capsys.readouterr().out == f"schema version {head()} (was {head()})\n"


def test_a_revoked_key_is_refused_at_the_next_request_in_every_process(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = (made_key(settings, capsys, "owner") for _ in range(2))
    with TestClient(build_app(settings)) as first, TestClient(build_app(settings)) as second:
        for client in (first, second):
            assert client.get("/v1/campaigns", headers=bearer(old)).status_code == 200
        keys_revoke(old["key_id"], settings.db)
        for client in (first, second):
            assert client.get("/v1/campaigns", headers=bearer(old)).status_code == 401
            assert client.get("/v1/campaigns", headers=bearer(new)).status_code == 200
    capsys.readouterr()
    keys_list(settings.db, as_json=True)
    listed = {key["key_id"]: key["revoked_at"] for key in json.loads(capsys.readouterr().out)["keys"]}
    assert listed.keys() == {old["key_id"], new["key_id"]}
    assert listed[old["key_id"]] is not None
    assert listed[new["key_id"]] is None
    with pytest.raises(NotFoundError, match="keys list"):
        keys_revoke("key_9", settings.db)


def test_the_audit_log_is_verified_with_exit_1_where_it_breaks(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        made_key(settings, capsys, "owner")
    audit_verify(settings.db, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["broken"]) == (3, None)
    audit_verify(settings.db, noted=found["digest"])
    database = Database(settings.db)
    with database.changing_schema() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_log_no_update")
        connection.exec_driver_sql("UPDATE audit_log SET account_id = 'beta' WHERE number = 2")
    database.close()
    with pytest.raises(typer.Exit) as caught:
        audit_verify(settings.db)
    assert caught.value.exit_code == 1
    assert "broken at number 2" in capsys.readouterr().out


@contextmanager
def serving(settings: Settings, workers: int = 1) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "import sys; from hiregraph.serving_commands import serve; serve(port=int(sys.argv[1]), db=sys.argv[2], "
    code += "artefacts=sys.argv[3], workers=int(sys.argv[4]))"
    command = [sys.executable, "-c", code, str(port), settings.db, str(settings.artefacts), str(workers)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                httpx.get(f"{url}/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url, server
    finally:
        server.kill()
        server.communicate()


def call(url: str, key: dict[str, str], method: str, path: str, **request: Any) -> httpx.Response:
    return httpx.request(method, url + path, headers=bearer(key), timeout=20, **request)


def test_a_campaign_survives_the_kill_of_the_server(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    owner, platform = (made_key(settings, capsys, role) for role in ("owner", "platform"))
    with serving(settings) as (url, server):
        call(url, platform, "POST", "/v1/jobs:batch", json={"jobs": [JOB]})
        created = call(url, owner, "POST", "/v1/campaigns", json=CAMPAIGN)
        server.send_signal(signal.SIGKILL)
    with serving(settings, workers=2) as (url, server):
        read = call(url, owner, "GET", created.headers["location"])
        assert read.json() == created.json()
        server.send_signal(signal.SIGTERM)
        out, err = server.communicate(timeout=20)
        assert server.returncode in (0, -signal.SIGTERM)
    assert out == b""
    assert b"Traceback" not in err


def raw(url: str, request: bytes) -> bytes:
    """The first bytes of the answer to whatever was written to the socket."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as line:
        with suppress(OSError):  # a server may close while we still write
            line.sendall(request)
        answer = b""
        with suppress(OSError):
            while b"\r\n" not in answer and (part := line.recv(65_536)):
                answer += part
        return answer


def test_a_server_under_fire_stops_in_time_and_keeps_every_event_it_acknowledged(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    owner, platform = (made_key(settings, capsys, role) for role in ("owner", "platform"))
    acknowledged: list[str] = []
    stop = threading.Event()

    def fire(sender: int, url: str) -> None:
        with httpx.Client(headers=bearer(platform), timeout=20) as client:
            for number in range(100_000):
                ids = [f"{sender}-{number}-{n}" for n in range(20)]
                try:
                    answer = client.post(f"{url}/v1/events:batch", json={"events": [saved(each) for each in ids]})
                except httpx.TransportError:
                    if stop.is_set():
                        return
                    raise
                if answer.status_code == 200:
                    acknowledged.extend(item["event_id"] for item in answer.json()["items"])

    with serving(settings) as (url, server):
        many = b"".join(b"x-%d: y\r\n" % number for number in range(10_000))
        assert raw(url, b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + many + b"\r\n")[9:12] in (b"400", b"431")
        assert raw(url, b"GET /v1/campaigns HTTP/1.1\r\nhost: x/../healthz\r\n\r\n").startswith(b"HTTP/1.1 401 ")
        assert raw(url, b"GET http://h/v1/campaigns HTTP/1.1\r\nhost: h\r\n\r\n")[:12] != b"HTTP/1.1 200"
        call(url, platform, "POST", "/v1/jobs:batch", json={"jobs": [JOB]})
        call(url, owner, "GET", "/v1/jobs/canary-5a")
        senders = [threading.Thread(target=fire, args=(sender, url)) for sender in range(4)]
        for sender in senders:
            sender.start()
        while len(acknowledged) < 200:
            time.sleep(0.02)
        stop.set()
        asked = time.monotonic()
        server.send_signal(signal.SIGTERM)
        out, err = server.communicate(timeout=30)
        assert time.monotonic() - asked <= 10
        for sender in senders:
            sender.join()
    assert server.returncode in (0, -signal.SIGTERM)
    assert out == b""
    assert b"Traceback" not in err
    assert b"canary-5a" not in err
    assert b"route=/v1/events:batch" in err
    assert all(key["key"].encode() not in err for key in (owner, platform))
    database = Database(settings.db)
    with database.reading() as session:
        stored = set(session.connection().exec_driver_sql("SELECT event_id FROM events").scalars())
    database.close()
    assert set(acknowledged) <= stored


def saved(event_id: str) -> dict[str, str]:
    event = {"event_id": event_id, "type": "save", "occurred_at": datetime.now(UTC).isoformat()}
    return event | {"seeker_id": "s1", "job_id": "j1"}
