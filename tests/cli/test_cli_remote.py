"""Batches on storage of others: an S3 server and an SFTP server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from cli_tools import write_talk

import hac_cli
from hac_cli.batch import manifest
from hac_cli.cli.app import run

pytestmark = pytest.mark.slow


@pytest.fixture
def store(monkeypatch) -> Iterator[Any]:
    """A client of an S3 server with the bucket ``speech``."""
    import boto3  # takes a second to load, which the fast tests needn't wait for
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    _, port = server.get_host_and_port()
    for name, value in {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "a",
                        "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="speech")
    yield client
    server.stop()


def test_s3(store, tmp_path, call):
    """From a bucket to a bucket, twice; then from there to a disk."""
    bucket = "s3://speech"
    for name, samples in (("in/one.wav", 4_000), ("in/deep/er/two 🎙.wav", 4_001)):
        write_talk(tmp_path / "talk.wav", samples)
        store.upload_file(str(tmp_path / "talk.wav"), "speech", name)
    store.put_object(Bucket="speech", Key="in/text.wav", Body=b"no audio" * 100)
    log = ("--manifest", tmp_path / "log.jsonl", "-j", "1")
    code, _, errors = call("batch", "compress", *log, f"{bucket}/in", f"{bucket}/out")
    assert code == 1 and "2 done, 1 failed" in errors and "hac: text.wav: is not audio" in errors
    listed = {entry["Key"] for entry in store.list_objects_v2(Bucket="speech", Prefix="out/")["Contents"]}
    assert listed == {"out/one.hac", "out/deep/er/two 🎙.hac"}
    write_talk(tmp_path / "talk.wav", 4_001)
    hac_cli.compress(tmp_path / "talk.wav", tmp_path / "alone.hac")
    body = store.get_object(Bucket="speech", Key="out/deep/er/two 🎙.hac")["Body"].read()
    assert body == (tmp_path / "alone.hac").read_bytes()

    code, output, errors = call("batch", "compress", "-n", *log, f"{bucket}/in", f"{bucket}/out")
    assert output == "text.wav -> text.hac\n" and "2 done before" in errors
    store.upload_file(str(tmp_path / "talk.wav"), "speech", "in/one.wav")  # another recording now
    assert "one.wav -> one.hac" in call("batch", "compress", "-n", *log, f"{bucket}/in", f"{bucket}/out")[1]
    store.delete_object(Bucket="speech", Key="out/one.hac")
    assert call("batch", "decompress", "-j1", f"{bucket}/out", tmp_path / "back")[0] == 0
    assert (tmp_path / "back/deep/er/two 🎙.wav").stat().st_size == (tmp_path / "talk.wav").stat().st_size
    assert run(["batch", "compress", "-n", "s3://none/in", str(tmp_path / "none")]) == 3


@pytest.fixture
def sftp(tmp_path, monkeypatch) -> Iterator[str]:
    """The URL of an SFTP server's root, with a password; it serves this machine's files."""
    import asyncssh

    class Server(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return password == "secret"

    async def start() -> Any:
        key = asyncssh.generate_private_key("ssh-ed25519")
        return await asyncssh.create_server(Server, "127.0.0.1", 0, server_host_keys=[key], sftp_factory=True)

    async def stop(server: Any) -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:  # of connections that are still open
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    monkeypatch.setenv("HOME", str(tmp_path))  # with no keys of the user's
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    yield f"sftp://me:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    asyncio.run_coroutine_threadsafe(stop(server), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def test_sftp(sftp, tmp_path, call):
    """There and back; again, after one has changed; nobody reads the password."""
    write_talk(tmp_path / "in" / "one.wav")
    two = write_talk(tmp_path / "in" / "deep" / "two 🎙.wav", 4_001)
    log = tmp_path / "log.jsonl"
    compress = ("batch", "compress", "-j1", "--manifest", log, f"{sftp}{tmp_path}/in", f"{sftp}{tmp_path}/out")
    code, _, errors = call(*compress)
    assert code == 0, errors
    hac_cli.compress(two, tmp_path / "alone.hac")
    assert (tmp_path / "out/deep/two 🎙.hac").read_bytes() == (tmp_path / "alone.hac").read_bytes()
    assert {path.name for path in (tmp_path / "out").rglob("*")} == {"one.hac", "deep", "two 🎙.hac"}

    write_talk(tmp_path / "in" / "one.wav", 5_000)
    code, _, errors = call(*compress)
    assert code == 0 and "1 done before" in errors and "1 done in" in errors
    assert call("batch", "decompress", "-j1", f"{sftp}{tmp_path}/out", tmp_path / "back")[0] == 0
    assert (tmp_path / "back/one.wav").stat().st_size == (tmp_path / "in/one.wav").stat().st_size

    written = log.read_text() + (tmp_path / "back" / manifest.NAME).read_text()
    assert "me:***@127.0.0.1" in written and "secret" not in written
    for url, reason in ((f"{sftp}{tmp_path}/none", "there is no such folder"),
                        (sftp.replace("secret", "wrong"), "can't be reached"),
                        ("sftp://me:secret@127.0.0.1:1/in", "can't be reached")):  # fmt: skip
        code, _, errors = call("batch", "compress", url, tmp_path / "elsewhere")
        assert code == 3 and reason in errors and "me:***@" in errors and errors.count("\n") == 1
