"""The error of everything that is exported."""

from lending_pipelines.errors import LendingError


class ExportError(LendingError):
    """What is to be exported cannot be written, or a file of rows not be read, as asked."""
