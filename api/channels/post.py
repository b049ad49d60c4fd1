"""Posting to an address that somebody else chose, without being held up or led astray by it."""

import asyncio
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpx

from api.channels import NotDeliveredError

MOST_BYTES = 4096  # of an answer are read
BODY_S = 1.0  # for them to arrive
REFUSED_TRIES = 3  # for a receiver that says the message is wrong
LONGEST_WISH_S = 3600.0
MOST_PORT, MOST_NAME = 65_535, 253
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
Address = IPv4Address | IPv6Address


# Where clouds keep credentials beside the link-local addresses.
CREDENTIALS = frozenset(map(ip_address, ("100.100.100.200", "fd00:ec2::254")))


class Poster:
    """Posts to web addresses: no redirects, so many seconds in all, little of the answer read.

    The name is looked up here and the connection made to the address that was checked, so that a
    name cannot change its mind in between. Private addresses are allowed, for the receivers of a
    government stand inside its network; this machine is only by the setting, and what is
    link-local (where clouds keep their credentials) never.
    """

    def __init__(self, timeout_s: float, *, loopback: bool = False) -> None:
        self._timeout_s, self._loopback = timeout_s, loopback
        self._client = httpx.AsyncClient(
            verify=ssl.create_default_context(),
            timeout=None,  # the whole has one
            trust_env=False,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
            headers={"User-Agent": "Wangge"},
        )
        self._client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def check(self, url: str) -> None:
        """Raise ValueError, with a sentence, if nothing can ever be posted there."""
        parsed = _parsed(url)
        try:
            literal = ip_address(parsed.host)
        except ValueError:
            _check_name(url, parsed)  # it is looked up each time
            return
        if not self._is_allowed(literal):
            raise ValueError(self._forbidden(literal))

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> None:
        """Post, and return if the answer is one of success.

        Raises
        ------
        NotDeliveredError
            With what the receiver did instead.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._send(_parsed(url), content, headers)
        except TimeoutError:
            raise NotDeliveredError(
                f"There was no answer within {self._timeout_s:g} s.", down=True
            ) from None
        except (httpx.HTTPError, OSError) as error:
            said = str(error) or type(error).__name__
            raise NotDeliveredError(f"The connection failed: {said}.", down=True) from error
        except ValueError as error:
            raise NotDeliveredError(str(error), tries=1) from error
        try:
            _judge(response, await _beginning(response))
        finally:
            await response.aclose()

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def _send(
        self, url: httpx.URL, content: bytes, headers: Mapping[str, str]
    ) -> httpx.Response:
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await self._addresses(url.host, port)
        for address in addresses[:-1]:
            try:
                return await self._send_to(address, url, content, headers)
            except httpx.ConnectError:
                continue
        return await self._send_to(addresses[-1], url, content, headers)

    async def _send_to(
        self, address: Address, url: httpx.URL, content: bytes, headers: Mapping[str, str]
    ) -> httpx.Response:
        request = self._client.build_request(
            "POST",
            url.copy_with(host=str(address)),
            content=content,
            headers={**headers, "Host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": url.host},
        )
        return await self._client.send(request, stream=True)

    async def _addresses(self, host: str, port: int) -> list[Address]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)  # SOCK_STREAM
        addresses = list(dict.fromkeys(ip_address(each[4][0]) for each in found))
        allowed = [address for address in addresses if self._is_allowed(address)]
        if not allowed:
            raise ValueError(self._forbidden(addresses[0]))
        return allowed

    def _is_allowed(self, address: Address) -> bool:
        address = getattr(address, "ipv4_mapped", None) or address
        if address.is_loopback:
            return self._loopback
        return not (
            address in CREDENTIALS
            or address.is_link_local
            or address.is_unspecified
            or address.is_multicast
            or address.is_reserved
        )

    def _forbidden(self, address: Address) -> str:
        if address.is_loopback:
            return (
                f"{address} is this machine itself, where no webhook may lead; "
                "WANGGE_WEBHOOK_LOOPBACK=true allows it."
            )
        return f"{address} is no address where a webhook may lead; give one of your network."


async def _beginning(response: httpx.Response) -> str:
    """What an answer says. Its status counts; a body without end, or in drops, is cut off."""
    answer = b""
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(BODY_S):
            async for part in response.aiter_raw():
                answer += part[: MOST_BYTES - len(answer)]
                if len(answer) >= MOST_BYTES:
                    break
    return answer.decode("utf-8", "replace")


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!r} is no web address: {error}.") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"{url!r} is no web address; write https://HOST/PATH.")
    if parsed.port is not None and not 0 < parsed.port <= MOST_PORT:
        raise ValueError(f"{url!r} is no web address: ports are numbers from 1 to {MOST_PORT}.")
    if parsed.userinfo:
        raise ValueError("A web address with a password in it would be shown to others.")
    return parsed


def _check_name(url: str, parsed: httpx.URL) -> None:
    """Raise ValueError for a host that can be no name (RFC 1123; `_` is found in private ones)."""
    name = parsed.raw_host.decode("ascii").removesuffix(".")
    if len(name) > MOST_NAME or not all(_LABEL.fullmatch(part) for part in name.split(".")):
        raise ValueError(f"{url!r} is no web address: there can be no host {parsed.host!r}.")


def _judge(response: httpx.Response, answer: str) -> None:
    """Raise unless the status is one of success."""
    status = response.status_code
    if 200 <= status < 300:
        return
    said = f"The answer was {status}{': ' + answer.strip()[:200] if answer.strip() else ''}."
    if status == HTTPStatus.GONE:
        raise NotDeliveredError(said, tries=1, ended=True, status=status)
    if status >= 500 or status in _LATER:
        raise NotDeliveredError(said, down=True, wait_s=_wish(response), status=status)
    if 300 <= status < 400:
        said = f"{said[:-1]}, to another address; redirects are not followed."
    raise NotDeliveredError(said, tries=REFUSED_TRIES, status=status)


def _wish(response: httpx.Response) -> float | None:
    """What Retry-After asks for, within reason; one that names a date is passed over."""
    wish = response.headers.get("retry-after")
    is_number = wish and wish.isascii() and wish.isdigit()
    return min(float(wish), LONGEST_WISH_S) if is_number else None
