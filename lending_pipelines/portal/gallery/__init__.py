"""The gallery: every component and a few whole pages with invented data, for developers and tests of the appearance.

`python -m lending_pipelines.portal.gallery` serves it on http://127.0.0.1:8010. The portal itself does not import it.
"""
