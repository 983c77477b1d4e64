"""The answer to an HTTP request: a status, and JSON or a sentence."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote

from realtime.oscquery.tree import ATTRIBUTES, EXTENSIONS, Json, Tree

_LONGEST_ECHO = 80


@dataclass(frozen=True)
class Answer:
    """What goes back: `body` is JSON where `status` is 200, a sentence where it is an error, empty for 204."""

    status: HTTPStatus
    body: bytes = b""

    @property
    def content_type(self) -> str:
        """The media type of the body."""
        return "application/json" if self.status is HTTPStatus.OK else "text/plain; charset=utf-8"


def refusal(status: HTTPStatus, sentence: str) -> Answer:
    """Return an answer that says what is wrong."""
    return Answer(status, f"{sentence}\n".encode(errors="replace"))


def answer(tree: Tree, host_info: Json, target: str) -> Answer:
    """Return the answer to a GET of `target`, a path of the tree and perhaps ?ATTRIBUTE."""
    path, _, query = target.partition("#")[0].partition("?")
    path = unquote(path).rstrip("/") or "/"
    # Libraries that build addresses write ?VALUE as ?VALUE=.
    attribute = query.removesuffix("=")
    if attribute == "HOST_INFO":
        return _json(host_info)
    if path not in tree:
        return refusal(HTTPStatus.NOT_FOUND, f"there is no {path[:_LONGEST_ECHO]}; GET / shows the whole tree")
    if not attribute:
        return _json(tree.node(path))
    if attribute in ATTRIBUTES:
        found = tree.attribute(path, attribute)
        return Answer(HTTPStatus.NO_CONTENT) if found is None else _json(found)
    if attribute in EXTENSIONS:
        return Answer(HTTPStatus.NO_CONTENT)
    return refusal(
        HTTPStatus.BAD_REQUEST,
        f"there is no attribute {attribute[:_LONGEST_ECHO]}; one at a time of {', '.join(ATTRIBUTES)} and HOST_INFO",
    )


def _json(content: Json) -> Answer:
    return Answer(HTTPStatus.OK, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
