"""The parameters of reports: defaults and descriptions for forms, and errors that say what to write.

Types are text, numbers, booleans, Literal and lists of them, because the launchpad form is derived from the fields; a
date is ISO text. Parameters of a single report are in its module.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from lending_pipelines.bounds import LONGEST_TEXT, day_from, instant_from, plain_text
from lending_pipelines.conventions import CHOSEN, Conventions
from lending_pipelines.errors import LendingError, did_you_mean
from lending_pipelines.metrics.scopes import DIMENSIONS

ALL = "ALL"
"""The word for no restriction."""

LATEST = "latest"
"""The word for the last closed business date."""

YESTERDAY, LAST_MONTH_END, LAST_QUARTER_END = "yesterday", "last_month_end", "last_quarter_end"
"""The words for days that have ended by the calendar, closed or not."""

AS_OF = (LATEST, YESTERDAY, LAST_MONTH_END, LAST_QUARTER_END)
"""The words that as_of accepts besides a date."""

NOW = "now"
"""The word for everything known when the report is made."""

DEFAULT = "default"
"""The word for the conventions of the daily tables."""

UNSET = "unset"
"""The word for a date or calendar period that is not set."""

Book = Literal["as_closed", "as_reported", "as_known"]
"""The books of a closed day: as it was last closed, as it was first closed, and as computed from what is known now."""

AS_CLOSED: Book = "as_closed"
AS_REPORTED: Book = "as_reported"
AS_KNOWN: Book = "as_known"

PeriodName = Literal["current_month", "previous_month", "month", "quarter", "year", "custom"]

_RECOMPUTED = {"known_at": NOW, "conventions": DEFAULT}
"""The parameters by which a report computes the daily tables itself, with their defaults."""

CALENDAR = {
    "month": (r"[1-9]\d{3}-(0[1-9]|1[0-2])", "2025-08"),
    "quarter": (r"[1-9]\d{3}Q[1-4]", "2025Q3"),
    "year": (r"[1-9]\d{3}", "2025"),
}
"""The calendar periods, each chosen by a parameter of the same name: the pattern of its value, and an example."""


class ReportParameters(BaseModel):
    """The base of every report's parameters: immutable, without unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_max_length=LONGEST_TEXT)

    book: Book = Field(
        AS_CLOSED,
        description="as_closed: the days as they were last closed; as_reported: as they were first closed, before any"
        " restatement; as_known: computed from everything known now.",
    )

    @field_validator("*", mode="before")
    @classmethod
    def _list_from_text(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):
            plain_text(value)
        if isinstance(value, str) and get_origin(cls.model_fields[str(info.field_name)].annotation) is list:
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @model_validator(mode="after")
    def _book_alone(self) -> "ReportParameters":
        others = [name for name, default in _RECOMPUTED.items() if getattr(self, name, default) != default]
        if self.book != AS_CLOSED and others:
            raise ValueError(f"book {self.book} cannot be combined with {' and '.join(others)}: set one of them")
        return self

    def stamp(self) -> dict[str, str]:
        """The parameters as text by name, for covers and the register."""
        return {name: ", ".join(map(str, value)) if isinstance(value, list) else str(value) for name, value in self}


class AsOf(ReportParameters):
    """A report on one business date."""

    as_of: str = Field(
        LATEST,
        description="Business date like 2025-01-31, or latest: the last closed day; yesterday; last_month_end and"
        " last_quarter_end: the last ones that have ended.",
    )

    @field_validator("as_of")
    @classmethod
    def _day(cls, text: str) -> str:
        return iso_day(text, *AS_OF)


class InPeriod(AsOf):
    """A report on a period that ends on a business date; reports/periods.py defines its days."""

    period: PeriodName = Field(
        "current_month",
        description="current_month: the month of as_of, up to as_of; previous_month: the full month before; month,"
        " quarter, year: the period in the parameter of that name, or that of as_of, up to as_of; custom:"
        " from_date to to_date.",
    )
    month: str = Field(UNSET, description="The month for period month, like 2025-08; unset: the month of as_of.")
    quarter: str = Field(UNSET, description="The quarter for period quarter, like 2025Q3; unset: that of as_of.")
    year: str = Field(UNSET, description="The year for period year, like 2025; unset: the year of as_of.")
    from_date: str = Field(UNSET, description="First day of a custom period, like 2025-01-01; otherwise unset.")
    to_date: str = Field(UNSET, description="Last day of a custom period, like 2025-01-31; otherwise unset.")

    @field_validator("from_date", "to_date")
    @classmethod
    def _bound(cls, text: str) -> str:
        return iso_day(text, UNSET)

    @field_validator(*CALENDAR, mode="before")
    @classmethod
    def _calendar_period(cls, value: Any, info: ValidationInfo) -> str:
        name, text = str(info.field_name), str(value)
        pattern, example = CALENDAR[name]
        if text != UNSET and not re.fullmatch(pattern, text):
            raise ValueError(f"write a {name} like {example}, or {UNSET}")
        return text

    @model_validator(mode="after")
    def _calendar_period_of_its_period_alone(self) -> "InPeriod":
        for name in CALENDAR:
            if name != self.period and getattr(self, name) != UNSET:
                raise ValueError(f"{name} is for period {name} only: write {UNSET} with period {self.period}")
        return self

    @model_validator(mode="after")
    def _bounds_of_custom_alone(self) -> "InPeriod":
        bounds = (self.from_date, self.to_date)
        if self.period != "custom" and bounds != (UNSET, UNSET):
            raise ValueError(f"from_date and to_date are for period custom only: write {UNSET} with {self.period}")
        if self.period == "custom" and UNSET in bounds:
            raise ValueError("period custom needs from_date and to_date, each like 2025-01-31")
        if self.period == "custom" and self.from_date > self.to_date:
            raise ValueError(f"from_date {self.from_date} is after to_date {self.to_date}")
        return self

    @property
    def named(self) -> str | None:
        """The month, quarter or year of the form; None if it is not set."""
        text = getattr(self, self.period, UNSET)
        return None if text == UNSET else text


class InWeek(AsOf):
    """A report on the seven days that end on a business date, beside the seven days before them."""


class KnownAt(ReportParameters):
    """A report on the data known at a past time."""

    known_at: str = Field(
        NOW,
        description="UTC time like 2025-01-31T18:00, or now: only rows that the servicing system had recorded by then"
        " count. Portfolios and investors are the current ones.",
    )

    @field_validator("known_at")
    @classmethod
    def _instant(cls, text: str) -> str:
        if text == NOW:
            return text
        try:
            instant = instant_from(text)
        except ValueError:
            raise ValueError(f"write a UTC time like 2025-01-31T18:00, or {NOW}") from None
        return instant.astimezone(UTC).replace(tzinfo=None).isoformat() if instant.tzinfo else instant.isoformat()

    @property
    def known_by(self) -> datetime | None:
        """The time; None for now."""
        return None if self.known_at == NOW else datetime.fromisoformat(self.known_at)


class UnderConventions(ReportParameters):
    """A report under conventions that differ from those of the daily tables."""

    conventions: str = Field(
        DEFAULT,
        description="default, or settings for this report only, like par_operator=>; bucket_edges=1,30,60."
        f" Settings: {', '.join(CHOSEN)}.",
    )

    @field_validator("conventions")
    @classmethod
    def _settings(cls, text: str) -> str:
        if text != DEFAULT:
            try:
                Conventions().overridden(text)
            except LendingError as error:
                raise ValueError(str(error)) from None
        return text


class ScopeFilters(ReportParameters):
    """The loans of the report: each field is a filter by id or name."""

    portfolio: str = Field(ALL, description="Portfolio id or name, or ALL.")
    program: str = Field(ALL, description="Program id or name, or ALL.")
    product: str = Field(ALL, description="Product id or name, or ALL.")
    branch: str = Field(ALL, description="Branch id or name, or ALL.")
    investor: str = Field(ALL, description="Investor id or name, or ALL.")
    vintage: str = Field(ALL, description="Calendar quarter of disbursement like 2025Q3, or ALL.")

    @property
    def chosen_scopes(self) -> dict[str, str]:
        """The filters that are set, with their values."""
        values = {name: getattr(self, name) for name in DIMENSIONS}
        return {name: value for name, value in values.items() if value.strip().upper() != ALL}


class OneScope(ScopeFilters):
    """The loans of the report, for daily tables with the numbers of one scope at a time: at most one filter."""

    @model_validator(mode="after")
    def _at_most_one(self) -> "OneScope":
        if len(self.chosen_scopes) > 1:
            raise ValueError(f"choose only one of {', '.join(self.chosen_scopes)} and set the others to {ALL}")
        return self


class PersonalData(ReportParameters):
    """A report that can print personal data."""

    allow_pii: bool = Field(
        False,
        description="Print personal data: ids of borrowers and loan officers, names of staff, free text. false: these"
        " columns are left out.",
    )


class History(ReportParameters):
    """The length of a history."""

    history: int = Field(12, ge=1, le=400, description="Number of points of history, including the business date.")
    history_step: Literal["month", "day"] = Field(
        "month", description="month: the last closed day of each calendar month; day: each closed day."
    )


_LAST_FIELDS = ("output_format", "allow_pii", "book", "known_at", "conventions", "requested_by", "notify", "report_id")


def form_order(model: type[ReportParameters]) -> list[str]:
    """The fields of a report's form in order: the date, the filters of loans, the report's own fields, then the rest.

    Includes the fields that assets/reports.py adds to every form.
    """
    return [*(name for name in model.model_fields if name not in _LAST_FIELDS), *_LAST_FIELDS]


def allows_pii(parameters: ReportParameters) -> bool:
    """Whether personal data may be printed. Reports without such a parameter never print it."""
    return isinstance(parameters, PersonalData) and parameters.allow_pii


def iso_day(text: str, *words: str) -> str:
    """Return the text if it is an ISO date or one of the words. ValueError otherwise, with the accepted formats."""
    if text in words:
        return text
    try:
        return day_from(text).isoformat()
    except ValueError:
        *others, last = words
        either = f"{', '.join(others)} or {last}" if others else last
        raise ValueError(f"write a date like 2025-01-31, or {either}") from None


M = TypeVar("M", bound=ReportParameters)


def parse_parameters(report_type: str, model: type[M], values: Mapping[str, Any]) -> M:
    """Create the parameters from a form or a command line. LendingError in one line with the correction."""
    if not isinstance(values, Mapping):
        # Another program wrote the request into the register.
        raise LendingError(
            f'report {report_type}: parameters are {values!r}: write a JSON object like {{"as_of": "latest"}}'
        )
    try:
        return model(**values)
    except ValidationError as error:
        problems = "; ".join(_problem(model, problem) for problem in error.errors())
        raise LendingError(f"report {report_type}: {problems}") from error


def parameter_faults(model: type[ReportParameters], values: Mapping[str, Any]) -> dict[str, str]:
    """The faults in the values of a form, by parameter. A fault of several parameters together has the empty name."""
    try:
        model(**values)
    except ValidationError as error:
        return {
            str(problem["loc"][0]) if problem["loc"] else "": _problem(model, problem) for problem in error.errors()
        }
    return {}


def _problem(model: type[ReportParameters], problem: Any) -> str:
    name = ".".join(map(str, problem["loc"]))
    message = problem["msg"].removeprefix("Value error, ")
    match problem["type"]:
        case "extra_forbidden":
            return f"unknown parameter {name}; {did_you_mean(name, model.model_fields)}"
        case "literal_error":
            return f"{name} is {problem['input']!r}: write {problem['ctx']['expected']}"
        case _:
            return f"{name} is {problem['input']!r}: {message}" if name else message
