"""The error class of exports."""

from lending_pipelines.errors import LendingError


class ExportError(LendingError):
    """A report or rows cannot be written, or a file of rows cannot be read."""
