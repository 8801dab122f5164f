import hashlib

import fsspec
import pytest

from lending_pipelines.places import PlaceError, placing


def test_the_file_appears_whole_with_its_hash(tmp_path):
    target = tmp_path / "a" / "b" / "x.bin"
    with placing(str(target)) as sink:
        sink.write(b"one ")
        sink.write(b"two")
        assert not target.exists()
    assert target.read_bytes() == b"one two"
    file = sink.placed(rows=2)
    assert (file.url, file.sha256, file.bytes, file.rows) == (
        str(target),
        hashlib.sha256(b"one two").hexdigest(),
        7,
        2,
    )
    assert list(target.parent.iterdir()) == [target]


def test_a_failure_leaves_what_was_there(tmp_path):
    target = tmp_path / "x.bin"
    target.write_bytes(b"before")

    def fail():
        with placing(str(target)) as sink:
            sink.write(b"half")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def test_an_earlier_file_is_replaced(tmp_path):
    target = tmp_path / "x.bin"
    target.write_bytes(b"before")
    with placing(str(target)) as sink:
        sink.write(b"after")
    assert target.read_bytes() == b"after"


def test_any_fsspec_url_is_a_place():
    with placing("memory://exports/2025/x.bin") as sink:
        sink.write(b"bytes")
    fs = fsspec.filesystem("memory")
    assert fs.cat("/exports/2025/x.bin") == b"bytes"
    assert [entry["name"] for entry in fs.ls("/exports/2025")] == ["/exports/2025/x.bin"]


@pytest.mark.parametrize("url", ["nosuch://a/x.bin", "{folder}/file/x.bin"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, url):
    (tmp_path / "file").write_text("a file where a folder is needed", encoding="utf-8")
    url = url.format(folder=tmp_path)
    with pytest.raises(PlaceError, match="cannot be used"), placing(url):
        pass
