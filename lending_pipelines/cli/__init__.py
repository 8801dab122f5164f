"""The command line: `lending` and its commands, one module a subject, and the demonstration.

Commands only parse, call and print. What they call is in the rooms below; runs.py starts Dagster's jobs.
"""

from lending_pipelines.cli.app import app, main

__all__ = ["app", "main"]
