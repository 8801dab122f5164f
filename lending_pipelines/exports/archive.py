"""Zip archives whose bytes depend on their contents alone."""

import os
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

_EPOCH = (1980, 1, 1, 0, 0, 0)


class StableZip(ZipFile):
    """A deflated archive in which every member carries the same time, so that equal contents make equal bytes.

    `level` is how hard it is deflated, 1 to 9; zlib's own choice if not said.
    """

    def __init__(self, sink: Any, level: int | None = None) -> None:
        super().__init__(sink, "w", ZIP_DEFLATED, allowZip64=True, compresslevel=level)

    def member(self, name: str) -> ZipInfo:
        """The header of a member to be written with `open(member, "w")`."""
        info = ZipInfo(name, _EPOCH)
        info.compress_type, info._compresslevel = ZIP_DEFLATED, self.compresslevel  # type: ignore[attr-defined]
        return info

    def writestr(self, zinfo_or_arcname: Any, data: Any, *args: Any, **kwargs: Any) -> None:
        """As ZipFile.writestr, at the fixed time."""
        super().writestr(self.member(str(zinfo_or_arcname)), data, *args, **kwargs)

    def write(self, filename: Any, arcname: Any = None, *args: Any, **kwargs: Any) -> None:
        """As ZipFile.write, at the fixed time."""
        info = self.member(str(arcname))
        info.file_size = os.path.getsize(filename)
        with open(filename, "rb") as source, self.open(info, "w") as target:
            while block := source.read(1 << 20):
                target.write(block)
