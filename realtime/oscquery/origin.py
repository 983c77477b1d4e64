"""Which web pages may speak to the host: those of this machine and its network, not those of the web.

A browser lets any page open a WebSocket to any address, and a page whose own name is made to point here may even read.
What is no browser sends no Origin, and is not concerned.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

# Endings that no name on the web has.
_LOCAL = (".local", ".localhost", ".lan", ".internal", ".home.arpa")


def may_ask(host: str | None, origin: str | None) -> bool:
    """Return whether a request with these two headers is answered; None for a header that is not there."""
    asked = _name(f"//{host}") if host else ""
    if asked is None or (asked and not _is_address(asked) and not _is_local(asked)):
        return False
    if origin is None:
        return True
    page = _name(origin)
    return bool(page) and (page == asked or _is_local(page))


def _name(url: str) -> str | None:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_local(name: str) -> bool:
    if _is_address(name):
        return ip_address(name).is_private
    return "." not in name or name.endswith(_LOCAL)
