"""Servers that tests deliver to, on loopback and in this process: SFTP and SMTP, which can be stopped and started."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import asyncssh
from aiosmtpd.controller import Controller


def free_port() -> int:
    """A port of loopback that no server listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def answers(port: int) -> bool:
    """Whether a server listens on that port of loopback."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class SftpServer:
    """An SFTP server whose files lie in a folder, and whose one user has a password and a key."""

    USER, PASSWORD = "lender", "a/b@c"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.users_key = asyncssh.generate_private_key("ssh-ed25519")
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    @property
    def known_host(self) -> str:
        """The server's line in known_hosts."""
        key = self.key.export_public_key("openssh").decode().strip()
        return f"[127.0.0.1]:{self.port} {key}\n"

    def start(self) -> None:
        """Listen: on the port of the time before, if there was one."""
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Listen no more."""

        async def close() -> None:
            self._server.close()
            await self._server.wait_closed()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(30)

    async def _listen(self) -> Any:
        users_key = self.users_key.convert_to_public()

        class Login(asyncssh.SSHServer):
            def begin_auth(self, username: str) -> bool:
                return True

            def public_key_auth_supported(self) -> bool:
                return True

            def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
                return (username, key) == (SftpServer.USER, users_key)

            def password_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, password: str) -> bool:
                return (username, password) == (SftpServer.USER, SftpServer.PASSWORD)

        return await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_host_keys=[self.key],
            server_factory=Login,
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(self.folder)),
        )


@dataclass
class Mailbox:
    """What an SMTP server was sent, and what it answers: 250, or another word of its own."""

    messages: list[EmailMessage] = field(default_factory=list)
    to: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    hangs_up: bool = False
    goodbye: str = "221 Bye"
    url: str = ""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.to.extend(envelope.rcpt_tos)
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        if self.hangs_up:
            server.transport.close()
        return "250 kept"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:
        return self.goodbye


class _AnyPort(Controller):
    """A controller that knows which port the system chose for it, before it asks itself whether it is there."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mail_server(hostname: str = "127.0.0.1", **options: Any) -> Iterator[Mailbox]:
    """An SMTP server while the block runs; `options` are aiosmtpd's."""
    mailbox = Mailbox()
    controller = _AnyPort(mailbox, hostname=hostname, port=0, data_size_limit=None, **options)
    controller.start()
    mailbox.url = f"smtp://{hostname}:{controller.port}"
    try:
        yield mailbox
    finally:
        controller.stop(no_assert=True)
