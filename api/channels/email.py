"""E-mail, through the server that the settings name."""

import asyncio
import smtplib
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from urllib.parse import parse_qs, unquote, urlsplit

from api.channels import NotDeliveredError, payload
from data.messages import Message

THREADS = 4
PORTS = {"smtp": 25, "smtps": 465}
REFUSED_TRIES = 3


@dataclass(frozen=True)
class Server:
    """A mail server, and whose address the mail comes from."""

    host: str
    port: int
    encrypted: bool  # from the start; else as soon as the server offers it
    user: str
    password: str
    sender: str

    @classmethod
    def of(cls, url: str) -> "Server":
        """The server of `smtp://USER:PASSWORD@HOST:PORT?from=ADDRESS`; ValueError if none."""
        parts = urlsplit(url)
        sender = parse_qs(parts.query).get("from", [unquote(parts.username or "")])[0]
        if parts.scheme not in PORTS or not parts.hostname or not is_mailbox(sender):
            raise ValueError(
                "WANGGE_SMTP_URL cannot be read; write smtp://USER:PASSWORD@HOST:587?from=ADDRESS "
                "(or smtps://) with special characters percent-encoded."
            )
        return cls(
            parts.hostname, parts.port or PORTS[parts.scheme], parts.scheme == "smtps",
            unquote(parts.username or ""), unquote(parts.password or ""), sender,
        )  # fmt: skip


def is_mailbox(text: str) -> bool:
    """Whether mail can be addressed to it."""
    name, address = parseaddr(text)
    local, at, host = address.rpartition("@")
    return bool(not name and at and local and host) and address == text and text.isprintable()


class Email:
    """Mails the event. A server that hangs takes up the few threads of its own, nobody else's."""

    def __init__(self, server: Server, timeout_s: float) -> None:
        self._server, self._timeout_s = server, timeout_s
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="mail")

    def check(self, target: str, keys: Mapping[str, str]) -> None:
        """Raise ValueError if it is no mailbox."""
        if not is_mailbox(target):
            raise ValueError(f"{target!r} is no e-mail address.")

    async def deliver(self, message: Message) -> None:
        """Hand it to the mail server."""
        mail = self._written(message)
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._send, mail)
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            tries = REFUSED_TRIES if code >= 500 else None
            raise NotDeliveredError(
                f"The mailbox was refused: {code} {said.decode('utf-8', 'replace')}", tries=tries
            ) from error
        except (smtplib.SMTPException, OSError) as error:
            raise NotDeliveredError(f"The mail server: {error}", down=True) from error

    def _written(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["From"], mail["To"] = self._server.sender, message.target
        mail["Subject"] = f"Wangge 网格: {message.event.kind}"
        mail["Date"] = format_datetime(message.event.at)
        mail["Message-ID"] = f"<{message.id}@wangge>"  # the same at every try
        mail.set_content(payload(message).decode())
        return mail

    def _send(self, mail: EmailMessage) -> None:
        of = self._server
        context = ssl.create_default_context()
        if of.encrypted:
            opened: smtplib.SMTP = smtplib.SMTP_SSL(
                of.host, of.port, timeout=self._timeout_s, context=context
            )
        else:
            opened = smtplib.SMTP(of.host, of.port, timeout=self._timeout_s)
        with closing(opened) as smtp:
            smtp.ehlo()
            if not of.encrypted and smtp.has_extn("starttls"):
                smtp.starttls(context=context)
            if of.password:
                smtp.login(of.user, of.password)
            smtp.send_message(mail)
            with suppress(smtplib.SMTPException, OSError):  # it has the mail, whatever it says now
                smtp.quit()
