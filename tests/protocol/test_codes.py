"""Codes name their kind, and none is taken for another."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol.codes import SPOKEN_KINDS, CodeKind, check_kind, code_kind, parse_safety_code, safety_code
from kith_protocol.errors import Refused
from kith_protocol.guardian import ShareLink, format_share_link, parse_share_link
from kith_protocol.invite import Invite, format_link, parse_link
from kith_protocol.link_code import parse_code, parse_meeting_code, qr_code, spoken_code
from kith_protocol.splitting import read_share
from tests.support.splits import fixed_split

SHARE = read_share(fixed_split(bytes(32), 2, 3)[0])
INVITE = Invite("anna.example", bytes(32), bytes(16))
CODES: list[tuple[CodeKind, str]] = [
    (CodeKind.INVITE, format_link(INVITE)),
    (CodeKind.INVITE, format_link(INVITE, web=True)),
    (CodeKind.DEVICE, qr_code("anna.example", "7", bytes(16)).text),
    (CodeKind.MEETING, "kith-meet:anna.example#7.AAAAAAAAAAAAAAAAAAAAAA"),
    (CodeKind.SAFETY_NUMBER, safety_code("0" * 60, bytes(32)).text),
    (CodeKind.GUARDIAN_SHARE, format_share_link(ShareLink("a.example", bytes(32), SHARE))),
]
SPOKEN = spoken_code("7", bytes(5)).text
COMMANDS = {
    CodeKind.INVITE: "kith accept",
    CodeKind.DEVICE: "kith device join",
    CodeKind.MEETING: "kith meet",
    CodeKind.SAFETY_NUMBER: "kith verify PEER --photo",
    CodeKind.GUARDIAN_SHARE: "kith recover --guardians",
}


@pytest.mark.parametrize(("kind", "text"), CODES)
def test_a_code_says_what_it_is_in_any_case(kind: CodeKind, text: str) -> None:
    for shown in (text, text.upper(), f"  {text}\n"):
        assert code_kind(shown) is kind
        check_kind(shown, kind)


@pytest.mark.parametrize(("code", "wanted"), list(itertools.product(CODES, CodeKind)))
def test_a_code_of_one_kind_is_refused_where_another_is_taken(code: tuple[CodeKind, str], wanted: CodeKind) -> None:
    kind, text = code
    if kind is wanted:
        return
    with pytest.raises(Refused) as refused:
        check_kind(text, wanted)
    assert refused.value.code == "wrong-code"
    assert f"'{COMMANDS[kind]}'" in str(refused.value)
    assert text.partition(":")[2] not in str(refused.value)


@pytest.mark.parametrize("wanted", list(CodeKind))
def test_a_code_to_say_is_refused_where_no_such_code_is_taken(wanted: CodeKind) -> None:
    if wanted in SPOKEN_KINDS:
        return check_kind(SPOKEN, wanted)
    with pytest.raises(Refused) as refused:
        check_kind(SPOKEN, wanted)
    assert (refused.value.code, SPOKEN.split("-")[1] in str(refused.value)) == ("wrong-code", False)
    return None


@pytest.mark.parametrize("wanted", list(CodeKind))
def test_a_code_of_a_later_version_is_refused_by_name(wanted: CodeKind) -> None:
    with pytest.raises(Refused, match="newer Kithbook"):
        check_kind("kith-future:anna.example#secret", wanted)


@pytest.mark.parametrize("text", ["", "Bob", "anna@anna.example", "https://anna.example/", "kith", "http://a/i#1.x"])
def test_what_is_no_code_has_no_kind(text: str) -> None:
    assert code_kind(text) is None
    check_kind(text, CodeKind.INVITE)


def test_the_parsers_themselves_refuse_the_other_kinds() -> None:
    for kind, text in CODES:
        parsers: dict[CodeKind, Callable[[str], object]] = {
            CodeKind.INVITE: parse_link,
            CodeKind.DEVICE: parse_code,
            CodeKind.MEETING: parse_meeting_code,
            CodeKind.SAFETY_NUMBER: parse_safety_code,
        }
        for wanted, parse in parsers.items():
            if kind is not wanted:
                with pytest.raises(Refused) as refused:
                    parse(text)
                assert refused.value.code == "wrong-code"
        if kind is not CodeKind.GUARDIAN_SHARE:
            with pytest.raises(Refused):
                parse_share_link(text)


@given(st.integers(0, 10**60 - 1), st.binary(min_size=32, max_size=32))
def test_a_safety_code_is_read_as_it_was_written(number: int, person: bytes) -> None:
    code = safety_code(f"{number:060}", person)
    assert parse_safety_code(code.text) == code


SAFETY = safety_code("1" * 60, bytes(32)).text


@pytest.mark.parametrize(
    "text",
    [
        SAFETY + "A",
        SAFETY[:-1],
        SAFETY[:-1] + "B",  # other bits than zero behind the last byte
        SAFETY.replace("1", "\u0661", 1),
        SAFETY.replace("11.", "1."),
        SAFETY.replace(".", "#"),
        "1" * 60,
    ],
)
def test_a_damaged_safety_code_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_safety_code(text)
    assert refused.value.code == "safety-code"


@pytest.mark.parametrize(
    ("number", "person"),
    [("1" * 59, bytes(32)), ("1" * 60, bytes(31)), ("\u0661" * 60, bytes(32)), ("a" * 60, bytes(32))],
)
def test_what_is_no_safety_number_becomes_no_code(number: str, person: bytes) -> None:
    with pytest.raises(Refused, match="60 digits"):
        safety_code(number, person)


def test_the_example_of_the_page_is_what_the_code_gives() -> None:
    page = Path(__file__).resolve().parents[2] / "protocol" / "spec" / "codes.md"
    assert safety_code("0" * 60, bytes(32)).text in page.read_text()


def test_a_spoken_code_with_a_server_is_one_for_meeting_only() -> None:
    for text, takes in ((SPOKEN, True), (f"{SPOKEN}@anna.example", False)):
        with pytest.raises(Refused) as refused:
            check_kind(text, CodeKind.INVITE)
        assert "'kith meet'" in str(refused.value)
        assert ("'kith device join'" in str(refused.value)) is takes
