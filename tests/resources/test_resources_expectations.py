"""The lender's name on the pages of the Data Docs."""

from lending_pipelines.resources.expectations import name_lender


def test_every_page_begins_with_the_lender_s_name(tmp_path):
    (tmp_path / "validations").mkdir()
    pages = [tmp_path / "index.html", tmp_path / "validations" / "loans.html"]
    for page in pages:
        page.write_text("<html><body><p>Données</p></body></html>", encoding="utf-8")

    name_lender(str(tmp_path), "Harbour & Sons")
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert text.index("Harbour &amp; Sons") < text.index("<p>Données</p>")


def test_without_a_name_pages_stay_as_they_are(tmp_path):
    (tmp_path / "index.html").write_text("<body>x</body>")
    name_lender(str(tmp_path), "")
    assert (tmp_path / "index.html").read_text() == "<body>x</body>"
