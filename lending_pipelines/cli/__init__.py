"""The command line: `lending` and its commands, one module per subject, and the demonstration.

Commands only parse options, call other packages and print. runs.py starts Dagster's jobs.
"""

from lending_pipelines.cli.app import app, main

__all__ = ["app", "main"]
