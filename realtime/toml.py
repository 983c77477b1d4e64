"""Values as TOML, which Python reads and does not write."""

from __future__ import annotations

import json
import re


def bare(key: str) -> str:
    """Return `key` as it stands before an equals sign."""
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else json.dumps(key)


def literal(value: object) -> str:
    """Return `value`, one that tomllib reads, as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # Of JSON's escapes TOML lacks none; a lone DEL is the one it wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{bare(key)} = {literal(item)}" for key, item in value.items()) + "}"
    return str(value)
