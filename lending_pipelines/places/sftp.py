"""SFTP as a file system for fsspec, in place of its own: only to servers that are known, and never to one twice.

Where files are put is in files.py.
"""

from typing import Any
from urllib.parse import unquote

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem

SECONDS = 30
"""After so long without a word the server counts as down."""


class KnownServer(SFTPFileSystem):
    """An SFTP server whose key is in ~/.ssh/known_hosts; OSError for any other, and for one that cannot be reached.

    Keys of ~/.ssh and the agent are tried where the URL has no password. A connection is never kept for a later use:
    a server that went away is found again.
    """

    cachable = False

    @staticmethod
    def _get_kwargs_from_urls(urlpath: str) -> dict[str, Any]:
        # A password with an @ or a / is percent-encoded in a URL.
        options = SFTPFileSystem._get_kwargs_from_urls(urlpath)
        return options | {name: unquote(options[name]) for name in ("username", "password") if name in options}

    def _connect(self) -> None:
        self.client = paramiko.SSHClient()
        self.client.load_system_host_keys()
        by_key = "password" not in self.ssh_kwargs
        ways = {"allow_agent": by_key, "look_for_keys": by_key}
        waits = dict.fromkeys(("timeout", "banner_timeout", "auth_timeout", "channel_timeout"), SECONDS)
        try:
            self.client.connect(self.host, **waits, **ways, **self.ssh_kwargs)
            self.ftp = self.client.open_sftp()
            self.ftp.get_channel().settimeout(SECONDS)
        except paramiko.SSHException as error:
            self.client.close()
            hint = " (add its key to ~/.ssh/known_hosts)" if "not found in known_hosts" in str(error) else ""
            raise OSError(f"{error}{hint}") from error
