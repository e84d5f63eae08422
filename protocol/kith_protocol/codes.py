"""Which kind of code a text is, so that none is taken for another; and the QR form of a safety number (spec: codes.md).

What stands behind the prefix of the other kinds is read by `invite` and `link_code`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kith_protocol.errors import Refused


class CodeKind(StrEnum):
    """What a code is for; the value is what it begins with."""

    INVITE = "kith:"
    DEVICE = "kith-link:"
    MEETING = "kith-meet:"
    SAFETY_NUMBER = "kith-verify:"
    GUARDIAN_SHARE = "kith-share:"


SPOKEN_KINDS: Final = (CodeKind.DEVICE, CodeKind.MEETING)
"""Kinds that also have a form to say, which does not name the kind: their exchange fails on the wrong one."""

_MEANING: Final[Mapping[CodeKind, tuple[str, str]]] = {
    CodeKind.INVITE: ("an invite", "kith accept"),
    CodeKind.DEVICE: ("a code that adds a device", "kith device join"),
    CodeKind.MEETING: ("a code for meeting in person", "kith meet"),
    CodeKind.SAFETY_NUMBER: ("a safety number", "kith verify PEER --photo"),
    CodeKind.GUARDIAN_SHARE: ("a guardian's share of a recovery phrase", "kith recover --guardians"),
}
_WEB_INVITE: Final = re.compile(r"https://[^#/]*/i#", re.ASCII | re.IGNORECASE)
_SPOKEN: Final = re.compile(r"[0-9]+([\s-]+[A-Za-z]+){3}(@\S+)?", re.ASCII)
_NEWER: Final = re.compile(r"kith(-[a-z]+)?:", re.ASCII | re.IGNORECASE)


def code_kind(text: str) -> CodeKind | None:
    """What a code says it is; None for a spoken code and for every other text."""
    text = text.strip()
    if _WEB_INVITE.match(text):
        return CodeKind.INVITE
    return next((kind for kind in CodeKind if text[: len(kind)].lower() == kind.value), None)


def check_kind(text: str, wanted: CodeKind) -> None:
    """Raises `Refused` (`wrong-code`) for a code of another kind: says what it is and which command takes it.

    To be asked before anything is sent. A text that is no code at all passes; whoever reads it refuses it.
    """
    text, found = text.strip(), code_kind(text)
    if found is not None and found is not wanted:
        what, where = _MEANING[found]
        raise Refused("wrong-code", f"This is {what}: '{where}' takes it. Nothing was sent.")
    if found is None and _NEWER.match(text):
        raise Refused("wrong-code", "This code needs a newer Kithbook. Nothing was sent.")
    if found is None and wanted not in SPOKEN_KINDS and _SPOKEN.fullmatch(text):
        kinds = (CodeKind.MEETING,) if "@" in text else SPOKEN_KINDS  # only this one names a server
        takes = " or ".join(f"'{_MEANING[kind][1]}'" for kind in kinds)
        raise Refused("wrong-code", f"This is a code to type on another device: {takes} takes it. Nothing was sent.")


PERSON_ID_BYTES: Final = 32
SAFETY_DIGITS: Final = 60
_SAFETY: Final = re.compile(r"kith-verify:([0-9]{60})\.([A-Za-z0-9_-]{43})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SafetyCode:
    """What one of two peers shows the other."""

    number: str
    """60 digits, without spaces."""
    shown_by: bytes
    """Person id of whoever shows it: tells a picture of one's own screen from one of the other's."""

    @property
    def text(self) -> str:
        """What stands in the QR code."""
        person = base64.urlsafe_b64encode(self.shown_by).rstrip(b"=").decode("ascii")
        return f"{CodeKind.SAFETY_NUMBER}{self.number}.{person}"


def safety_code(number: str, shown_by: bytes) -> SafetyCode:
    """The QR form of a safety number, spaces in it forgiven. Raises `Refused` (`safety-code`)."""
    digits = "".join(number.split())
    if len(shown_by) != PERSON_ID_BYTES or not (len(digits) == SAFETY_DIGITS and digits.isascii() and digits.isdigit()):
        raise Refused("safety-code", f"A safety number has {SAFETY_DIGITS} digits and is shown by a person.")
    return SafetyCode(digits, shown_by)


def parse_safety_code(text: str) -> SafetyCode:
    """Reads what a camera read. Raises `Refused` (`wrong-code`, `safety-code`)."""
    check_kind(text, CodeKind.SAFETY_NUMBER)
    found = _SAFETY.fullmatch(text.strip())
    if found is None:
        raise Refused("safety-code", "This is no safety number, or only part of one; photograph the other's screen.")
    code = SafetyCode(found[1], base64.urlsafe_b64decode(found[2] + "="))
    if code.text[len(CodeKind.SAFETY_NUMBER) :] != text.strip()[len(CodeKind.SAFETY_NUMBER) :]:
        raise Refused("safety-code", "The QR code is damaged; read it again.")
    return code
