"""What each key does: read by the window, by the hints on its buttons and by the overlay that lists them."""

from __future__ import annotations

import sys

from pyqtgraph.Qt import QtCore, QtGui

Keys = QtCore.Qt.Key

SOLO_KEYS = "QWERTYUIO"
MUTE_KEYS = "ASDFGHJKL"
# Function keys: of the first page, of the full screen, and the last there is.
FIRST_PAGE, FULL_SCREEN, LAST = 2, 11, 12
HELP = (
    ("Q W E R …", "solo stem 1, 2, 3, 4 … while held"),
    ("Shift + Q W E R …", "solo that stays; again to end it"),
    ("A S D F …", "mute stem 1, 2, 3, 4 …; again to end it"),
    ("0", "end all solos and mutes"),
    ("1 – 9", "presets;  P and Shift + P step through them"),
    ("Shift + 1 – 9", "your own mixes;  Ctrl + S stores one"),
    ("Z  X", "crossfader to A, to B"),
    ("B", "bypass on and off"),
    ("Space", "bypass while held"),
    ("Esc", "panic: bypass on at once"),
    ("Ctrl + R", "record to disk; again to end the take"),
    ("C  V", "record a gesture while held;  play it, stop it"),
    ("N", "what was said last"),
    ("F2 – F12", "pages; each tab's tooltip says its key"),
    ("arrows, Home", "move the morph dot, or what was last touched"),
    ("F11", "full screen"),
    ("F1  ?", "these keys; any key closes them"),
)
# Where there is a deck.
DECK_HELP = (
    ("Enter", "deck: play, pause"),
    ("Ctrl + 1 – 8, pad", "hot cue: set, then jump;  Shift: set anew"),
    ("comma  period  M", "loop: start, end, on and off"),
    ("←  →", "seek 5 s;  Shift: half a second"),
    ("↑  ↓", "see less, or more, around the play head"),
    ("+  −  Backspace", "tempo by 1 %;  back to 100 %"),
    ("Ctrl + O", "load a file; or drop one on the window"),
    ("Ctrl + H", "high quality in the background"),
)

_SHIFTED_DIGITS = {
    Keys.Key_Exclam: 1, Keys.Key_At: 2, Keys.Key_NumberSign: 3, Keys.Key_Dollar: 4, Keys.Key_Percent: 5,
    Keys.Key_AsciiCircum: 6, Keys.Key_Ampersand: 7, Keys.Key_Asterisk: 8, Keys.Key_ParenLeft: 9,
}
# Scan codes of the key that is "1" on most keyboards, so that layouts with digits on shift work as well.
_FIRST_DIGIT_SCAN = 2 if sys.platform == "win32" else 10


def page_key(page: int) -> str:
    """Return the name of the function key of `page`, from 0: one after the other, but for the one of the full screen."""
    number = FIRST_PAGE + page
    return f"F{number + (number >= FULL_SCREEN)}"


def page_of(key: int) -> int | None:
    """Return the page, from 0, that belongs to `key`, or None."""
    number = int(key) - int(Keys.Key_F1) + 1
    if not FIRST_PAGE <= number <= LAST or number == FULL_SCREEN:
        return None
    return number - FIRST_PAGE - (number > FULL_SCREEN)


def digit(event: QtGui.QKeyEvent) -> int | None:
    """Return the digit 0..9 on the key of `event`, whatever shift makes of it, or None."""
    scan = event.nativeScanCode() - _FIRST_DIGIT_SCAN
    if sys.platform != "darwin" and 0 <= scan <= 9:
        return (scan + 1) % 10
    if Keys.Key_0 <= event.key() <= Keys.Key_9:
        return int(event.key()) - int(Keys.Key_0)
    return _SHIFTED_DIGITS.get(event.key())


def place(event: QtGui.QKeyEvent, letters: str) -> int | None:
    """Return which of `letters` the key of `event` is, from 0, or None."""
    key = int(event.key())
    return letters.find(chr(key)) if int(Keys.Key_A) <= key <= int(Keys.Key_Z) and chr(key) in letters else None
