"""Files arrive whole and once, in folders, on a real SFTP server and in a real object store."""

import os
from dataclasses import replace
from uuid import uuid4

import fsspec
import pytest
from parcel_files import FILES, TAPE
from servers import SftpServer

from lending_pipelines.delivery import DeliveryError, PlaceChannel, check_place


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def sftp_url(sftp, monkeypatch):
    monkeypatch.setenv("HARBOUR_PASSWORD", "a%2Fb%40c")
    return f"sftp://{SftpServer.USER}:${{HARBOUR_PASSWORD}}@127.0.0.1:{sftp.port}/in/tapes"


def test_a_folder_gets_every_file(tmp_path, parcel):
    PlaceChannel(str(tmp_path / "in" / "tapes")).deliver(parcel)
    assert content(tmp_path / "in" / "tapes") == FILES


def test_an_sftp_server_gets_every_file(sftp, sftp_url, parcel):
    PlaceChannel(sftp_url).deliver(parcel)
    assert content(sftp.folder / "in" / "tapes") == FILES


def test_a_url_without_a_password_is_reached_by_key(tmp_path, sftp, parcel):
    channel = PlaceChannel(f"sftp://{SftpServer.USER}@127.0.0.1:{sftp.port}/in")
    with pytest.raises(DeliveryError, match="No authentication methods available"):
        channel.deliver(parcel)
    sftp.users_key.write_private_key(str(tmp_path / ".ssh" / "id_ed25519"))
    channel.deliver(parcel)
    assert content(sftp.folder / "in") == FILES


def test_an_sftp_server_that_was_down_is_found_again(sftp, sftp_url, parcel):
    channel = PlaceChannel(sftp_url)
    channel.deliver(replace(parcel, files=parcel.files[:1]))
    sftp.stop()
    with pytest.raises(DeliveryError, match="Unable to connect"):
        channel.deliver(parcel)
    sftp.start()
    channel.deliver(parcel)
    assert content(sftp.folder / "in" / "tapes") == FILES


def test_an_sftp_server_that_is_not_known_is_told_nothing(tmp_path, sftp, sftp_url, parcel):
    (tmp_path / ".ssh" / "known_hosts").write_text("")
    with pytest.raises(DeliveryError, match=r"not found in known_hosts.*add its key to ~/\.ssh/known_hosts"):
        PlaceChannel(sftp_url).deliver(parcel)
    assert content(sftp.folder) == {}


def test_an_sftp_server_with_another_key_is_told_nothing(tmp_path, sftp, sftp_url, parcel):
    other = SftpServer(tmp_path)
    other.port = sftp.port
    (tmp_path / ".ssh" / "known_hosts").write_text(other.known_host)
    with pytest.raises(DeliveryError, match="does not match"):
        PlaceChannel(sftp_url).deliver(parcel)
    assert content(sftp.folder) == {}


def test_a_wrong_password_is_an_error_without_the_password(sftp, sftp_url, parcel, monkeypatch):
    monkeypatch.setenv("HARBOUR_PASSWORD", "hush")
    with pytest.raises(DeliveryError, match="Authentication failed") as refusal:
        PlaceChannel(sftp_url).deliver(parcel)
    assert "hush" not in str(refusal.value)


def test_what_is_there_already_has_arrived(tmp_path, parcel):
    channel = PlaceChannel(str(tmp_path / "in"))
    channel.deliver(parcel)
    before = (tmp_path / "in" / "tape.csv").stat()
    channel.deliver(parcel)
    assert (tmp_path / "in" / "tape.csv").stat() == before


def test_another_file_of_the_name_is_not_overwritten(tmp_path, parcel):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "tape.csv").write_bytes(b"someone else's")
    with pytest.raises(DeliveryError, match=r"a different file tape\.csv exists: it is not overwritten"):
        PlaceChannel(str(tmp_path / "in")).deliver(parcel)
    assert content(tmp_path / "in") == {"tape.csv": b"someone else's"}


def test_a_file_that_was_altered_does_not_leave(tmp_path, parcel):
    (tmp_path / "exports" / "tape.csv").write_bytes(TAPE.replace(b"900", b"800"))
    with pytest.raises(DeliveryError, match="does not match its manifest"):
        PlaceChannel(str(tmp_path / "in")).deliver(parcel)
    assert content(tmp_path / "in") == {}


def test_a_secret_that_is_not_set_is_named(tmp_path, parcel):
    assert "NO_SUCH_SECRET" not in os.environ
    with pytest.raises(DeliveryError, match="NO_SUCH_SECRET is not set in the environment"):
        PlaceChannel("sftp://me:${NO_SUCH_SECRET}@127.0.0.1/in").deliver(parcel)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sftp://me:hush@host/in", r"contains a password: write \$\{NAME\} instead"),
        ("stfp://host/in", r"stfp:// is not supported: did you mean 'sftp'\?"),
        ("s3:///in", "write s3://host/folder"),
        ("sftp://host:port/in", "'sftp://host:port/in' is not a URL"),
    ],
)
def test_a_url_that_cannot_be_is_refused(url, reason):
    with pytest.raises(DeliveryError, match=reason) as refusal:
        check_place(url)
    assert "hush" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    ["/mnt/tapes", "file:///mnt/tapes", "s3://bucket/in", "sftp://me:${SECRET}@host:2222/in", "sftp://host:${PORT}/in"],
)
def test_a_url_that_can_be_is_not_refused(url):
    check_place(url)


def test_an_object_store_gets_every_file(bucket, parcel):
    folder = f"{bucket}/in/{uuid4()}"
    PlaceChannel(folder).deliver(parcel)
    fs, path = fsspec.url_to_fs(folder)
    assert {name.rpartition("/")[2]: fs.cat_file(name) for name in fs.ls(path, refresh=True)} == FILES
