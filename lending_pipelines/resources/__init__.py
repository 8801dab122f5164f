"""Dagster resources: the source, the lake, the register, the exports, the mail server, the conventions.

They are ConfigurableResource wrappers around plain classes. Nothing connects before it is used. An empty field is read
from the environment when the run starts, so no secret is read when the definitions load.
"""

from lending_pipelines.resources.conventions import ConventionsResource
from lending_pipelines.resources.expectations import ExpectationsResource
from lending_pipelines.resources.exports import ExportsResource
from lending_pipelines.resources.failures import message_first
from lending_pipelines.resources.lake import LakeIOManager, LakeResource
from lending_pipelines.resources.mail import MailResource
from lending_pipelines.resources.passed_checks import passed_checks
from lending_pipelines.resources.recomputed_source import recomputed
from lending_pipelines.resources.register import RegisterResource
from lending_pipelines.resources.report_source import LakeReportSource
from lending_pipelines.resources.reported_source import ReportedSource
from lending_pipelines.resources.source import SourceResource

__all__ = [
    "ConventionsResource",
    "ExpectationsResource",
    "ExportsResource",
    "LakeIOManager",
    "LakeReportSource",
    "LakeResource",
    "MailResource",
    "RegisterResource",
    "ReportedSource",
    "SourceResource",
    "message_first",
    "passed_checks",
    "recomputed",
]
