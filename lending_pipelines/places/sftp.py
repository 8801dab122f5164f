"""An SFTP file system for fsspec that connects only to known hosts and never caches a connection.

Writing files is in files.py.
"""

from typing import Any
from urllib.parse import unquote

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem

SECONDS = 30
"""The time without a response after which the server counts as unavailable."""


class KnownServer(SFTPFileSystem):
    """An SFTP server whose key is in ~/.ssh/known_hosts. Raises OSError for others and when it cannot be reached.

    Without a password in the URL, keys in ~/.ssh and of the agent are tried. Every use opens a new connection, so a
    server that was down is reached again.
    """

    cachable = False

    @staticmethod
    def _get_kwargs_from_urls(urlpath: str) -> dict[str, Any]:
        # A URL percent-encodes an @ or a / in a password.
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
