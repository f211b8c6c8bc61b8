"""Attachments: the MID Server's channel, the Attachment API, what a step sends and saves, and what is left on the disk."""

from __future__ import annotations

import http.client
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from openmid.instance.attachments import files
from openmid.instance.attachments.models import Attachment
from openmid.instance.operations import retention
from openmid.wire.version import CHANNEL
from tests.instance.partners import Api, Mid
from tests.instance.web.conftest import client_of

BYTES = bytes(range(256)) * 4096  # 1 MB


def upload(api: Api, name: str = "a.bin", body: bytes = BYTES) -> Any:
    answer = api.request("POST", f"/api/now/attachment/file?file_name={name}", body, Content_Type="image/png")
    assert answer.status == 201, answer.raw
    return answer.json["result"]


def on_disk() -> list[Path]:
    return [path for path in files.root().glob("*/*") if path.is_file()]


def test_up_and_down_and_away(api: Api) -> None:
    made = upload(api, "..%2F%0Aevil%22.png")
    assert (made["file_name"], made["content_type"], made["size_bytes"]) == ('evil".png', "image/png", "1048576")
    assert oct(files.place(made["sys_id"]).stat().st_mode & 0o777) == "0o600"
    down = api.get(f"/api/now/attachment/{made['sys_id']}/file")
    assert (down.status, down.raw) == (200, BYTES)
    assert down.headers["content-type"] == "application/octet-stream"
    assert down.headers["content-disposition"] == "attachment; filename*=UTF-8''evil%22.png"
    assert (down.headers["x-content-type-options"], down.headers["content-length"]) == ("nosniff", "1048576")
    assert [each["sys_id"] for each in api.get("/api/now/attachment").json["result"]] == [made["sys_id"]]
    assert api.get(f"/api/now/attachment/{made['sys_id']}").json["result"]["hash"] == made["hash"]
    assert api.request("DELETE", f"/api/now/attachment/{made['sys_id']}").status == 204
    assert not files.place(made["sys_id"]).exists()
    assert api.get(f"/api/now/attachment/{made['sys_id']}").status == 404


def test_strangers_get_nothing(server: str, api: Api) -> None:
    made = upload(api)
    stranger = Api(server)
    for path in ("", f"/{made['sys_id']}", f"/{made['sys_id']}/file"):
        assert stranger.get(f"/api/now/attachment{path}").status == 401
    assert stranger.request("POST", "/api/now/attachment/file?file_name=a", b"x").status == 401
    assert api.request("POST", "/api/now/attachment/file", b"x").status == 400


def test_a_step_sends_one(api: Api, mid: Mid) -> None:
    made = upload(api)
    step = {
        "base_url": "https://partner.example",
        "method": "PUT",
        "body_kind": "binary",
        "attachment": "{{inputs.file}}",
    }
    declared = [{"name": "file", "type": "attachment"}]
    assert api.post("/api/v1/actions", {"name": "send", "inputs": declared, "steps": [step]}).status == 201
    started = api.post("/api/v1/actions/send/execute", {"inputs": {"file": made["sys_id"]}})
    probe = mid.job().decoded()
    assert probe.attachment is not None
    assert (probe.attachment.sys_id, probe.attachment.size_bytes) == (made["sys_id"], len(BYTES))
    assert fetch(mid, made["sys_id"]).raw == BYTES
    assert fetch(mid, upload(api)["sys_id"]).status == 404
    assert api.details(started.json["sys_id"])["steps"][0]["configuration"]["attachment"]["file_name"] == "a.bin"


def test_there_is_no_such_attachment(api: Api, mid: Mid) -> None:
    step = {"base_url": "https://partner.example", "body_kind": "binary", "attachment": "a" * 32}
    api.action("send", step)
    found = api.details(api.execute("send").json["sys_id"])["steps"][0]["error"]
    assert (found["code"], found["message"]) == ("bad_input", f"there is no attachment {'a' * 32}")


def fetch(mid: Mid, sys_id: str) -> Any:
    return mid._api.get(f"{CHANNEL}/attachments/{sys_id}")


def store(mid: Mid, job: str, lease: str, body: bytes = BYTES) -> Any:
    query = f"job={job}&lease={lease}&file_name=report.pdf&content_type=application%2Fpdf"
    return mid._api.request("POST", f"{CHANNEL}/attachments?{query}", body)


def test_a_partners_answer_is_kept_under_its_lease(api: Api, mid: Mid) -> None:
    api.action("get", {"base_url": "https://partner.example", "save_as": "report.pdf"})
    api.execute("get")
    job = mid.job()
    assert job.decoded().save_as == "report.pdf"
    assert store(mid, job.sys_id, "0" * 32).status == 409
    answer = store(mid, job.sys_id, job.lease)
    assert (answer.status, answer.json["size_bytes"]) == (201, len(BYTES))
    kept = Attachment.objects.get(pk=answer.json["sys_id"])
    assert (kept.table_name, kept.table_sys_id, kept.sys_created_by) == ("ecc_queue", job.sys_id, "mid.server.mid1")
    for _ in range(9):
        assert store(mid, job.sys_id, job.lease, b"x").status == 201
    assert store(mid, job.sys_id, job.lease, b"x").json["code"] == "too_many"
    mid.deliver(job)
    assert store(mid, job.sys_id, job.lease).json["code"] == "lease_lost"


def test_one_that_breaks_off_leaves_nothing(api: Api, mid: Mid) -> None:
    before = on_disk()
    parts = urlsplit(api.url)
    assert parts.hostname
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    connection.putrequest("POST", "/api/now/attachment/file?file_name=a")
    connection.putheader("Authorization", api.authorization)
    connection.putheader("Content-Length", "5000000")
    connection.endheaders()
    connection.send(BYTES)
    connection.close()
    assert api.get("/api/now/attachment").json["result"] == []
    for _ in range(200):
        if on_disk() == before:
            return
        api.get("/health")
    raise AssertionError(on_disk())


def test_limits_and_a_full_disk(instance: object, monkeypatch: pytest.MonkeyPatch) -> None:
    incoming = files.Incoming(limit=10)
    with pytest.raises(files.TooLargeError, match="larger than 10 bytes"):
        incoming.write(b"x" * 11)
    incoming.discard()
    full = files.Incoming()
    full._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115
    with pytest.raises(files.StorageError, match="disk is full"):
        full.write(b"x")
    full.discard()
    assert Attachment.objects.count() == 0


def test_what_no_record_knows_is_swept_when_it_is_old(api: Api) -> None:
    made, orphan = upload(api), files.place("ab" * 16)
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(b"x")
    assert files.sweep() == 0
    for path in (orphan, files.place(made["sys_id"])):
        os.utime(path, (1, 1))
    assert files.sweep() == 1
    assert files.place(made["sys_id"]).exists() and not orphan.exists()


def test_answers_go_with_their_executions(api: Api, mid: Mid) -> None:
    kept = upload(api)
    api.action("get", {"base_url": "https://partner.example", "save_as": "r"})
    api.execute("get")
    job = mid.job()
    answer = store(mid, job.sys_id, job.lease).json["sys_id"]
    mid.deliver(job)
    retention.purge(-1)
    assert [each.sys_id for each in Attachment.objects.all()] == [kept["sys_id"]]
    assert not files.place(answer).exists()


def test_the_page_gives_it_a_piece_at_a_time(instance: object) -> None:
    incoming = files.Incoming()
    incoming.write(BYTES)
    kept = incoming.keep("r\u00e9sum\u00e9.pdf", "application/pdf", "ecc_queue", "x")
    browser = client_of("alice")
    answer = browser.get(f"/attachments/attachment/{kept.pk}/file/")
    assert (answer.status_code, answer["Content-Type"], answer["Content-Length"]) == (
        200,
        "application/octet-stream",
        "1048576",
    )
    assert answer["Content-Disposition"].startswith("attachment; filename*=utf-8''r")
    assert answer.is_async  # type: ignore[attr-defined]  # a 400 MB file cost 415 MB before
    files.place(kept.pk).unlink()
    assert browser.get(f"/attachments/attachment/{kept.pk}/file/").status_code == 404
