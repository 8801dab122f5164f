"""Serve the gallery: `python -m lending_pipelines.portal.gallery [PORT]`."""

import sys

import uvicorn

from lending_pipelines.portal.gallery.app import create_gallery

uvicorn.run(create_gallery(), host="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 8010)
