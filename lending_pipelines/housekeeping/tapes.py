"""Tapes under the exports URL, whether they were delivered, and the chores that remove old ones.

Each tape has one folder per day with all versions. The folder is kept if one of them was delivered or will be
delivered, because a correction is compared with the earlier file.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from lending_pipelines.housekeeping.chore import Chore
from lending_pipelines.housekeeping.files import is_older, remove, size_of
from lending_pipelines.places import opened
from lending_pipelines.register import Register, TapeConfigs, TapeDeliveries
from lending_pipelines.tapes import TapeManifest


@dataclass(frozen=True)
class KeptTape:
    """One version of a tape: its folder's path, its manifest, and whether it or its day was or will be delivered."""

    folder: str
    manifest: TapeManifest
    is_sent: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its files, the manifest first."""
        changes = (self.manifest.changes.file_name,) if self.manifest.changes else ()
        return (self.manifest.own_name, self.manifest.file_name, *changes)


def tapes_under(exports_url: str, register: Register) -> list[KeptTape]:
    """Every tape under the exports. Raises TapeError when a manifest cannot be read."""
    with register.session() as session:
        names = {config.config_id: config.name for config in TapeConfigs(session).all()}
        deliveries = TapeDeliveries(session).all()
    sent = {(names.get(each.config_id), each.business_date) for each in deliveries}
    files = {each.sha256 for each in deliveries if each.sha256}
    found = []
    with opened(f"{exports_url}/tapes") as (filesystem, root):
        for path in sorted(filesystem.glob(f"{root}/*/*/*.manifest.json")):
            manifest = TapeManifest.from_json(filesystem.cat_file(path), path)
            is_sent = (manifest.tape, manifest.business_date) in sent or manifest.sha256 in files
            found.append(KeptTape(path.rpartition("/")[0], manifest, is_sent))
    return found


def split(tapes: Sequence[KeptTape], before: date | None) -> tuple[list[KeptTape], list[KeptTape]]:
    """The tapes that are kept, and those that are removed: of days before that date, with no version delivered."""
    sent = {tape.folder for tape in tapes if tape.is_sent}
    expired = [t for t in tapes if before and t.manifest.business_date < before and t.folder not in sent]
    gone = {tape.folder for tape in expired}
    return [tape for tape in tapes if tape.folder not in gone], expired


def tape_chores(
    exports_url: str, tapes: Sequence[KeptTape], expired: Sequence[KeptTape], older: datetime
) -> list[Chore]:
    """Chores that remove old tapes, and files without a manifest that killed runs left before `older`."""
    with opened(f"{exports_url}/tapes") as (filesystem, root):
        old = [f"{tape.folder}/{name}" for tape in expired for name in tape.names]
        named: dict[str, set[str]] = defaultdict(set)
        for tape in tapes:
            named[tape.folder].update(tape.names)
        unnamed = [
            path
            for path in filesystem.glob(f"{root}/*/*/*")
            if path.rpartition("/")[2] not in named[path.rpartition("/")[0]] and is_older(filesystem, path, older)
        ]
        sent = len({tape.folder for tape in tapes if tape.is_sent})
        return [
            Chore(
                "Tapes never delivered",
                _removes(exports_url, old),
                files=len(old),
                bytes=size_of(filesystem, old),
                kept=f"{sent:,} tape days: delivered or to be delivered" if sent else "",
            ),
            Chore(
                "Tape files without a manifest, of killed runs",
                _removes(exports_url, unnamed),
                files=len(unnamed),
                bytes=size_of(filesystem, unnamed),
            ),
        ]


def _removes(url: str, paths: Sequence[str]) -> Callable[[], None]:
    def do() -> None:
        with opened(url) as (filesystem, _):
            remove(filesystem, paths)

    return do
