import pytest

from lending_pipelines import sources
from lending_pipelines.sources import SourceError, open_source, source_names


def test_every_folder_is_an_adapter():
    assert {"absee", "canonical"} <= set(source_names())


def test_a_new_folder_is_found_by_itself(tmp_path, monkeypatch):
    folder = tmp_path / "newcore"
    folder.mkdir()
    (folder / "__init__.py").write_text("class Adapter:\n    def __init__(self, url):\n        self.url = url\n")
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(tmp_path)])

    assert open_source("newcore", "somewhere").url == "somewhere"


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        SourceError,
        match=r"adapter 'berlin': set LENDING_SOURCE to one of absee, canonical, fineract, frappe, mapped",
    ):
        open_source("berlin", "sqlite://")


def test_adapters_name_themselves_after_their_folders(tmp_path):
    for name in source_names():
        assert open_source(name, f"sqlite:///{tmp_path}/none.db").name == name
