"""Scenarios of the format `code`: which kind a code is, and the QR form of a safety number."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kith_protocol.codes import CodeKind, check_kind, parse_safety_code, safety_code
from kith_protocol.invite import Invite, format_link
from kith_protocol.link_code import qr_code, spoken_code
from tests.protocol.people import fixed
from tests.support.vectors.vector import Json, Vector

_SHOWN = {
    CodeKind.INVITE: format_link(Invite("anna.example", fixed("invite"), fixed("server", 16))),
    CodeKind.DEVICE: qr_code("anna.example", "7", fixed("code", 16)).text,
    CodeKind.MEETING: "kith-meet:anna.example#7-museum-better-van",
    CodeKind.SAFETY_NUMBER: safety_code("0123456789" * 6, fixed("person")).text,
}


def codes() -> Iterator[Vector]:
    def vector(name: str, says: str, wanted: CodeKind, text: str, fails: str | None = None) -> Vector:
        return Vector("code", name, says, {"wanted": wanted.name.lower(), "text": text}, fails)

    for kind, text in _SHOWN.items():
        yield vector(f"{_name(kind)}", "A code where it is taken.", kind, text)
        for wanted in _SHOWN:
            if wanted is not kind:
                name = f"{_name(kind)}-as-{_name(wanted)}"
                yield vector(name, "A code where another kind is taken.", wanted, text, "wrong-code")
    web = format_link(Invite("anna.example", fixed("invite"), fixed("server", 16)), web=True)
    yield vector("web-invite", "The https: form of an invite.", CodeKind.INVITE, web)
    yield vector("web-invite-as-device", "The https: form elsewhere.", CodeKind.DEVICE, web, "wrong-code")
    yield vector("later-kind", "A kind of a later version.", CodeKind.INVITE, "kith-later:anna.example#7", "wrong-code")
    spoken = spoken_code("7", fixed("code", 5)).text
    yield vector("spoken-as-invite", "A code to say is no invite.", CodeKind.INVITE, spoken, "wrong-code")
    number = _SHOWN[CodeKind.SAFETY_NUMBER]
    yield vector("upper-case-kind", "The case of the kind does not count.", CodeKind.SAFETY_NUMBER, _upper(number))
    damaged: dict[str, tuple[str, str]] = {
        "short-number": ("A number of 59 digits.", number.replace("0", "", 1)),
        "long-number": ("A number of 61 digits.", number.replace("0", "00", 1)),
        "other-digits": ("A digit of another script.", number.replace("0", "\u0660", 1)),
        "short-person": ("A person id that is cut.", number[:-1]),
        "not-canonical": ("The last character has bits behind the last byte.", _last(number)),
        "trailing": ("Something after it.", number + "A"),
        "digits-alone": ("Digits without a kind.", "0123456789" * 6),
    }
    for name, (says, text) in damaged.items():
        yield vector(name, says, CodeKind.SAFETY_NUMBER, text, "safety-code")


def run_code(inputs: dict[str, Json]) -> Json:
    """What comes of a vector."""
    wanted = CodeKind[inputs["wanted"].upper()]
    check_kind(inputs["text"], wanted)
    if wanted is not CodeKind.SAFETY_NUMBER:
        return {}
    code = parse_safety_code(inputs["text"])
    return {"number": code.number, "shown_by": code.shown_by.hex()}


CODE_RUNNERS: dict[str, Callable[[dict[str, Json]], Json]] = {"code": run_code}


def _name(kind: CodeKind) -> str:
    return kind.name.lower().replace("_", "-")


def _upper(text: str) -> str:
    kind, _, rest = text.partition(":")
    return f"{kind.upper()}:{rest}"


def _last(text: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) ^ 1]
