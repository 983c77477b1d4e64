"""The tree of controls says of each what the table says, and a request is answered as the proposal has it."""

from __future__ import annotations

import json
import math
from http import HTTPStatus

import pytest

from realtime.control import Control, controls_for
from realtime.oscquery.answer import answer
from realtime.oscquery.origin import may_ask
from realtime.oscquery.tree import EXTENSIONS, Tree

STEMS = ("vocals", "drums", "bass", "other")
CONTROLS = controls_for(STEMS, attends=(2, 3), models=("one", "two"))
INFO = {"NAME": "test", "EXTENSIONS": EXTENSIONS}


def tree_of(values: dict | None = None, controls=CONTROLS) -> Tree:
    known = {c.address: c.default for c in CONTROLS.values() if c.default is not None} | (values or {})
    return Tree(controls, known.get)


def get(target: str, tree: Tree | None = None):
    """Return the status, and the JSON or the text."""
    found = answer(tree or tree_of(), INFO, target)
    return found.status, json.loads(found.body) if found.status == HTTPStatus.OK else found.body.decode()


def methods(node: dict) -> dict[str, dict]:
    """Return every node below that is a method, by path."""
    found = {node["FULL_PATH"]: node} if "TYPE" in node else {}
    for child in node.get("CONTENTS", {}).values():
        found |= methods(child)
    return found


def test_the_tree_has_every_control_and_nothing_else():
    status, tree = get("/")
    assert status == HTTPStatus.OK
    assert set(methods(tree)) == set(CONTROLS)


def test_every_node_lies_where_its_path_says():
    def check(node, path):
        assert node["FULL_PATH"] == (path or "/")
        for name, child in node.get("CONTENTS", {}).items():
            check(child, f"{path}/{name}")

    check(tree_of().node("/"), "")


@pytest.mark.parametrize("control", CONTROLS.values(), ids=lambda c: c.address)
def test_a_method_says_what_the_table_says(control: Control):
    node = tree_of().node(control.address)
    assert node["TYPE"] == control.tags
    assert control.description in node["DESCRIPTION"]
    assert node["ACCESS"] == (0 if control.kind == "reply" else {"read": 1, "write": 2, "both": 3}[control.access])
    ranges = node.get("RANGE", [None] * len(control.tags))
    assert len(ranges) == len(control.tags)
    for index, (tag, bounds) in enumerate(zip(control.tags, ranges, strict=True)):
        if tag in "if" and control.bounds(index):
            assert (bounds["MIN"], bounds["MAX"]) == control.bounds(index)
        elif tag == "s" and control.choices:
            assert bounds == {"VALS": list(control.choices)}
        else:
            assert bounds is None
    if control.unit and "UNIT" not in node:
        assert control.unit in node["DESCRIPTION"]


def test_units_are_those_of_the_proposal_one_a_value():
    assert get("/condition?UNIT") == (HTTPStatus.OK, {"UNIT": ["gain.linear"] * 4})
    assert get("/glide?UNIT")[1] == {"UNIT": ["time.ms"]}
    assert get("/rate?UNIT")[1] == {"UNIT": ["time.hz"]}
    assert get("/block?UNIT")[1] == {"UNIT": ["time.samples"]}


def test_a_value_may_hold_others_below():
    node = get("/stem/vocals/gain")[1]
    assert (node["TYPE"], list(node["CONTENTS"])) == ("f", ["str"])


def test_one_attribute_comes_alone():
    assert get("/stem/vocals/gain?VALUE") == (HTTPStatus.OK, {"VALUE": [0.75]})
    assert get("/stem/vocals/gain?TYPE") == (HTTPStatus.OK, {"TYPE": "f"})
    assert get("/stem/vocals/gain/?RANGE=#here") == (HTTPStatus.OK, {"RANGE": [{"MIN": 0.0, "MAX": 1.0}]})
    assert list(get("/stem?CONTENTS")[1]["CONTENTS"]) == list(STEMS)
    assert get("/preset?RANGE")[1]["RANGE"][0]["VALS"][0] == "all"


def test_host_info_is_told_whatever_the_path():
    assert get("/?HOST_INFO") == get("/no/such/path?HOST_INFO") == (HTTPStatus.OK, INFO)
    assert "HOST_INFO" not in get("/")[1]


@pytest.mark.parametrize("target", ["/stem?VALUE", "/stem?TYPE", "/get?VALUE", "/pong?VALUE", "/ping?RANGE", "/glide?CONTENTS", "/wet?TAGS"])
def test_what_a_node_does_not_have_is_no_content(target):
    assert get(target) == (HTTPStatus.NO_CONTENT, "")


def test_a_value_that_is_not_known_yet_is_left_out():
    assert get("/device?VALUE") == (HTTPStatus.OK, {})
    assert "VALUE" not in get("/device")[1]


@pytest.mark.parametrize("target", ["/nothing", "/stem/piano/gain?VALUE", "/%00", "/stem/vocals/gain/str/str", "nonsense", "/ste"])
def test_what_is_not_there_is_not_found(target):
    status, sentence = get(target)
    assert (status, len(sentence) > 20) == (HTTPStatus.NOT_FOUND, True)


@pytest.mark.parametrize("target", ["/wet?value", "/wet?VALUE&TYPE", "/wet?" + "x" * 5000, "/wet?%ff"])
def test_an_attribute_that_nobody_knows_is_a_bad_request(target):
    status, sentence = get(target)
    assert (status, len(sentence) < 400) == (HTTPStatus.BAD_REQUEST, True)


def test_blobs_and_numbers_that_are_none_are_null():
    tree = tree_of({"/telemetry/load": (math.nan,), "/telemetry/spectrum/input": (bytes(128),), "/wet": (math.inf,)})
    assert get("/telemetry/load?VALUE", tree)[1] == {"VALUE": [None]}
    assert get("/telemetry/spectrum/input?VALUE", tree)[1] == {"VALUE": [None]}
    assert get("/", tree)[0] == HTTPStatus.OK


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:9001", None), ("localhost:9001", None), ("studio.local:9001", None), (None, None),
        ("8.8.8.8:9001", None), ("[::1]:9001", None), ("127.0.0.1:9001", "http://127.0.0.1:9001"),
        ("127.0.0.1:9001", "http://localhost:3000"), ("192.168.1.2:9001", "http://tablet.local"),
        ("8.8.8.8:9001", "http://8.8.8.8:9001"),
    ],
)
def test_this_machine_and_its_network_may_ask(host, origin):
    assert may_ask(host, origin)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example:9001", None), ("127.0.0.1:9001", "https://evil.example"), ("127.0.0.1:9001", "null"),
        ("evil.example", "http://evil.example"), ("127.0.0.1", "http://8.8.8.8"), ("127.0.0.1", "file://"),
        ("[", None), ("127.0.0.1", "http://["), ("127.0.0.1, evil.example", None),
    ],
)
def test_the_web_may_not(host, origin):
    assert not may_ask(host, origin)
