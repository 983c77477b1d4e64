"""Address patterns stand for what OSC says they do, and cost nobody much."""

from __future__ import annotations

import time

import pytest

from realtime.control import controls_for
from realtime.errors import HostError
from realtime.patterns import LONGEST, Pattern

TABLE = list(controls_for(("vocals", "drums", "bass", "other")))


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("/wet", ["/wet"], ["/we", "/wets", "/wet/str", "wet", ""]),
        ("/w?t", ["/wet", "/w?t"], ["/wt", "/w/t", "/weet"]),
        ("/*", ["/wet", "/"], ["/wet/str", "wet"]),
        ("/stem/*/gain", ["/stem/vocals/gain", "/stem//gain"], ["/stem/gain", "/stem/a/b/gain", "/stem/vocals/gain/str"]),
        ("/s*m/v*s/g*", ["/stem/vocals/gain", "/sm/vs/g"], ["/stem/bass/gain"]),
        ("/[a-c]x", ["/ax", "/cx"], ["/dx", "/-x", "/x"]),
        ("/[!a-c]x", ["/dx", "/-x"], ["/ax", "//x", "/x"]),
        ("/[ab-]", ["/a", "/-"], ["/c"]),
        ("/[!]", [], ["/"]),
        ("/{drums,bass}/x", ["/drums/x", "/bass/x"], ["/drum/x", "/drums,bass/x"]),
        ("/{a,ab}c", ["/ac", "/abc"], ["/bc"]),
        ("//gain", ["/gain", "/stem/vocals/gain", "/a/b/c/gain"], ["/again", "/gain/str"]),
        ("/stem//str", ["/stem/str", "/stem/vocals/gain/str"], ["/wet/str", "/stem/vocals/gain"]),
        ("//*", ["/wet", "/wet/str", "/a/b/c"], ["wet"]),
        ("/a]b}c", ["/a]b}c"], ["/abc"]),
    ],
)
def test_a_pattern_matches_what_osc_says(pattern, matching, others):
    assert [each for each in [*matching, *others] if Pattern(pattern).matches(each)] == matching


def test_a_pattern_holds_what_lies_below_what_it_matches():
    assert [a for a in TABLE if Pattern("/stem/{drums,bass}/gain").holds(a)] == [
        "/stem/drums/gain", "/stem/drums/gain/str", "/stem/bass/gain", "/stem/bass/gain/str",
    ]
    assert [a for a in TABLE if Pattern("").holds(a)] == TABLE
    assert not Pattern("/tele").holds("/telemetry/load")


@pytest.mark.parametrize("text", ["/[abc", "/{a,b", "/[a/b]", "/{a/b}", "/" + "x" * LONGEST, "/*" * 20])
def test_a_pattern_that_cannot_be_is_refused_in_a_sentence(text):
    with pytest.raises(HostError, match="pattern"):
        Pattern(text)


def test_no_pattern_takes_long_however_it_repeats_itself():
    begun = time.perf_counter()
    for text in ("*a" * 16, "/*?*?*?*?*?*?*?*?", "//*//*//*//*//*//*//*//*", "/" + "*" * 190 + "x", "{a,aa,aaa}" * 16):
        pattern = Pattern(text)
        assert not pattern.matches("/" + "a" * 100 + "/" + "a" * 100 + "!")
    assert time.perf_counter() - begun < 2
