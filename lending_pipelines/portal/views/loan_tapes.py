"""The tapes in which a loan was listed, from the manifests of the tapes that were made and their deliveries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from lending_pipelines.places import opened
from lending_pipelines.portal.access import Access, Denied
from lending_pipelines.portal.policy import decide
from lending_pipelines.portal.views.tape_views import is_covered
from lending_pipelines.register import TapeConfigs, TapeDeliveries
from lending_pipelines.register.models import TapeDelivery
from lending_pipelines.register.tape_configs import tape_slug
from lending_pipelines.tapes.manifest import TapeManifest
from lending_pipelines.tapes.placement import manifest_name

Span = Mapping[str, Any]
"""A row of portfolio_membership or loan_ownership: from assigned_on until before removed_on."""


@dataclass(frozen=True)
class ListedIn:
    """A version of a tape that lists the loan, and its deliveries."""

    business_date: date
    tape: str
    version: int
    file_name: str
    loans: int
    deliveries: Sequence[TapeDelivery]


def tapes_with(
    access: Access, memberships: Sequence[Span], owners: Sequence[Span], disbursed_on: date
) -> list[ListedIn]:
    """The tapes that list a loan, the latest day first. An investor sees those that were delivered.

    A tape lists the loans that its portfolio (and its investor) has at the end of its day, from their disbursement on.

    Args:
        access: The person; tapes outside their scope are left out.
        memberships: The loan's rows of portfolio_membership.
        owners: The loan's rows of loan_ownership.
        disbursed_on: When the loan was disbursed.

    Raises:
        Denied: The role may not see tapes.
    """
    decision = decide(access.person, "tapes.read")
    if not decision.allowed:
        raise Denied(decision.reason)
    staff = any(grant.role != "investor" for grant in decision.grants)
    found: list[ListedIn] = []
    with access.reading() as session:
        deliveries = TapeDeliveries(session)
        for config in TapeConfigs(session).all():
            if not is_covered(config, decision.grants):
                continue
            listed = [
                manifest
                for manifest in _manifests(access.portal.settings.exports_url, tape_slug(config.name))
                if _lists(manifest, memberships, owners, disbursed_on)
            ]
            of_days = {day: deliveries.of_day(config.config_id, day) for day in {each.business_date for each in listed}}
            for manifest in listed:
                sent = [each for each in of_days[manifest.business_date] if each.sha256 == manifest.sha256]
                if not staff and not any(each.status == "delivered" for each in sent):
                    continue
                day, tape = manifest.business_date, manifest.tape
                found.append(ListedIn(day, tape, manifest.version, manifest.file_name, manifest.row_count, sent))
    return sorted(found, key=lambda each: (each.business_date, each.tape, each.version), reverse=True)


def _lists(manifest: TapeManifest, memberships: Sequence[Span], owners: Sequence[Span], disbursed_on: date) -> bool:
    """Whether the tape lists the loan with these spans."""
    day, investor = manifest.business_date, manifest.config.get("investor_id")
    return (
        day >= disbursed_on
        and _was_in(memberships, "portfolio_id", manifest.config["portfolio_id"], day)
        and (investor is None or _was_in(owners, "investor_id", investor, day))
    )


def _was_in(spans: Sequence[Span], column: str, identity: str, day: date) -> bool:
    """Whether one of the spans has that id and covers the day."""
    return any(
        span[column] == identity
        and span["assigned_on"] <= day
        and (span["removed_on"] is None or day < span["removed_on"])
        for span in spans
    )


def _manifests(exports_url: str, slug: str) -> list[TapeManifest]:
    """The manifests of all versions of a tape. A tape without one was not completed."""
    with opened(f"{exports_url.rstrip('/')}/tapes/{slug}") as (filesystem, folder):
        if not filesystem.exists(folder):
            return []
        paths = [path for path in filesystem.find(folder) if path.endswith(manifest_name(""))]
        return [_manifest(filesystem, path) for path in sorted(paths)]


@lru_cache(maxsize=5000)
def _manifest(filesystem: Any, path: str) -> TapeManifest:
    """A manifest, which never changes. fsspec has one hashable object per file system, so it can be a cache key."""
    return TapeManifest.from_json(filesystem.cat_file(path), path)
