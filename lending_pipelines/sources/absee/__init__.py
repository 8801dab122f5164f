"""The source `absee`: auto loans, month by month, as filed with the SEC (Form ABS-EE, Schedule AL)."""

from lending_pipelines.sources.absee.adapter import AbsEeTape as Adapter

__all__ = ["Adapter"]
