"""Zip archives whose bytes depend only on their contents."""

import os
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

_EPOCH = (1980, 1, 1, 0, 0, 0)


class StableZip(ZipFile):
    """A deflated archive whose members all have the same time, so that equal contents give equal bytes.

    `level` is the compression level, 1 to 9; by default zlib's.
    """

    def __init__(self, sink: Any, level: int | None = None) -> None:
        super().__init__(sink, "w", ZIP_DEFLATED, allowZip64=True, compresslevel=level)

    def member(self, name: str) -> ZipInfo:
        """The header of a member, for `open(member, "w")`."""
        info = ZipInfo(name, _EPOCH)
        info.compress_type, info._compresslevel = ZIP_DEFLATED, self.compresslevel  # type: ignore[attr-defined]
        return info

    def writestr(self, zinfo_or_arcname: Any, data: Any, *args: Any, **kwargs: Any) -> None:
        """Like ZipFile.writestr, with the fixed time."""
        super().writestr(self.member(str(zinfo_or_arcname)), data, *args, **kwargs)

    def write(self, filename: Any, arcname: Any = None, *args: Any, **kwargs: Any) -> None:
        """Like ZipFile.write, with the fixed time."""
        info = self.member(str(arcname))
        info.file_size = os.path.getsize(filename)
        with open(filename, "rb") as source, self.open(info, "w") as target:
            while block := source.read(1 << 20):
                target.write(block)
