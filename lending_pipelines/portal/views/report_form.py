"""The form of a report, made from the model of its parameters: fields in the launchpad's order, errors at the field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from lending_pipelines.errors import did_you_mean
from lending_pipelines.portal.views.report_rules import Offer
from lending_pipelines.portal.web.template_functions import words
from lending_pipelines.register.models import OutputFormat
from lending_pipelines.reports.parameters import ALL, ReportParameters, form_order, parameter_faults

FORMATS: Mapping[str, str] = {
    "xlsx": "Excel workbook (xlsx)",
    "pdf": "PDF, for a board or an auditor",
    "csv": "CSV",
    "json": "JSON",
    "parquet": "Parquet",
}
"""The formats of a report with their titles."""

Names = Mapping[str, Mapping[str, str]]
"""By parameter, the names by id that it accepts."""

_ADVANCED = ("known_at", "conventions")
_LABELS = {"allow_pii": "Personal data"}

_TEXT_OR_FILE = {"rules", "facility"}
"""Parameters with a text, or the path of a file on the server. The portal does not accept paths."""

_OWN = ("output_format", "once")
"""The fields of the form that are not parameters of the report."""


@dataclass(frozen=True)
class FormField:
    """A field as the template shows it. `kind` is choice, check, number, list or text; options are (value, label)."""

    name: str
    label: str
    kind: str
    value: Any
    help: str
    error: str | None = None
    options: Sequence[tuple[str, str]] = ()
    minimum: Any = None
    maximum: Any = None

    @property
    def advanced(self) -> bool:
        """Whether the form hides the field until the person opens the advanced fields."""
        return self.name in _ADVANCED


def posted_values(model: type[ReportParameters], posted: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of a posted form. An empty field has its default; a box that is not ticked is false."""
    values: dict[str, Any] = {name: text for name, text in posted.items() if name not in _OWN and text.strip() != ""}
    for name, field in model.model_fields.items():
        if field.annotation is bool:
            values[name] = posted.get(name) == "true"
    return values


def checked_values(
    model: type[ReportParameters], values: Mapping[str, Any], offer: Offer, names: Names, *, personal: bool
) -> tuple[dict[str, Any], dict[str, str]]:
    """The parameters with names replaced by ids, as plain values; and the faults by field, if there are any."""
    given = dict(values)
    faults: dict[str, str] = {}
    for name, known in names.items():
        text = str(given.get(name, ALL)).strip()
        if name in model.model_fields and text.upper() != ALL and known:
            found = ids_named(text, known)
            if len(found) == 1:
                given[name] = found[0]
            elif found:
                faults[name] = f"{text!r} is not unique: write one of the ids {', '.join(found)}"
            else:
                faults[name] = f"there is no {name} {text!r}; {did_you_mean(text, {*known, *known.values()} - {''})}"
    faults = {**parameter_faults(model, given), **faults}
    if faults:
        return {}, faults
    plain = model(**given).model_dump(mode="json")
    faults = offer.faults(plain)
    for name in _TEXT_OR_FILE & plain.keys():
        if plain[name] != model.model_fields[name].default and not plain[name].lstrip().startswith("{"):
            faults[name] = "write default, or JSON: files of the server are for lending report and for schedules"
    if plain.get("allow_pii") and not personal:
        faults["allow_pii"] = "your role does not allow personal data"
    return plain, faults


def form_fields(
    model: type[ReportParameters],
    values: Mapping[str, Any],
    faults: Mapping[str, str],
    offer: Offer,
    names: Names,
    *,
    personal: bool,
) -> list[FormField]:
    """The fields with what the person sent, or their defaults. Fields that the person cannot choose are left out."""
    fields = []
    for name in form_order(model):
        if name in model.model_fields and name not in offer.fixed and (personal or name != "allow_pii"):
            info = model.model_fields[name]
            value = values.get(name, _shown(info.get_default(call_default_factory=True)))
            fields.append(_field(name, info, value, faults.get(name), offer, names.get(name, {})))
    return fields


def _field(
    name: str, info: FieldInfo, value: Any, error: str | None, offer: Offer, known: Mapping[str, str]
) -> FormField:
    """The field of a parameter, by the type of its values."""
    label, text = _LABELS.get(name, words(name)), info.description or ""
    if name in offer.limits:
        options = [(key, f"{known[key]} ({key})" if known.get(key) else key) for key in offer.limits[name]]
        return FormField(name, label, "choice", value, "Your role is limited to these.", error, options)
    if info.annotation is bool:
        return FormField(name, label, "check", value in (True, "true"), text, error)
    if get_origin(info.annotation) is Literal:
        options = [(str(each), words(str(each))) for each in get_args(info.annotation)]
        return FormField(name, label, "choice", str(value), text, error, options)
    if info.annotation is int:
        low = next((each.ge for each in info.metadata if hasattr(each, "ge")), None)
        high = next((each.le for each in info.metadata if hasattr(each, "le")), None)
        return FormField(name, label, "number", value, text, error, minimum=low, maximum=high)
    if get_origin(info.annotation) is list:
        return FormField(name, label, "list", value, text, error)
    return FormField(name, label, "text", value, text, error, [(each, "") for each in suggestions(known)])


def suggestions(known: Mapping[str, str]) -> list[str]:
    """The names to offer while typing; ids where a name is not unique or missing."""
    names = list(known.values())
    return sorted(name if name and names.count(name) == 1 else key for key, name in known.items())


def ids_named(text: str, known: Mapping[str, str]) -> list[str]:
    """The ids that a text names: the id itself, or those with that name in any case of letters."""
    if text in known:
        return [text]
    folded = text.casefold()
    return sorted(key for key, name in known.items() if folded in (key.casefold(), name.casefold()))


def _shown(default: Any) -> Any:
    return ", ".join(map(str, default)) if isinstance(default, list | tuple) else default


assert set(FORMATS) == set(get_args(OutputFormat))
