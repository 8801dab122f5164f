"""Links to exported files that a browser opens from the UI."""

from urllib.request import urlopen

import fsspec

from lending_pipelines.resources import ExportsResource


def test_a_file_of_a_local_folder_is_a_path_of_the_web_server(empty_home):
    exports = ExportsResource()
    assert exports.link(exports.place("reports/a b/x.pdf")) == "/exports/reports/a%20b/x.pdf"


def test_a_file_of_a_folder_that_the_web_server_does_not_know_is_its_own_path(empty_home, tmp_path):
    exports = ExportsResource(url=str(tmp_path / "elsewhere"))
    assert exports.link(exports.place("x.pdf")) == f"{tmp_path}/elsewhere/x.pdf"


def test_a_file_in_an_object_store_is_signed_and_opens_without_keys(bucket):
    exports = ExportsResource(url=f"{bucket}/exports")
    with fsspec.open(exports.place("reports/x.csv"), "wb") as file:
        file.write(b"a,b")
    link = exports.link(exports.place("reports/x.csv"))
    assert "Signature" in link
    with urlopen(link) as answer:
        assert answer.read() == b"a,b"


def test_a_file_of_a_place_that_cannot_sign_is_its_url():
    assert ExportsResource().link("memory://exports/x.csv") == "memory://exports/x.csv"
