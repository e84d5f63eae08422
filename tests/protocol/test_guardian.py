"""A guardian's share on its way: only the root makes one, only its guardian opens it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from kith_protocol import labels
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import BadSignature, DecodingError, Refused, Undecryptable
from kith_protocol.guardian import (
    Guard,
    GuardAnswer,
    GuardianShare,
    GuardState,
    Release,
    ShareLink,
    SignedShare,
    check_release,
    check_split,
    format_share_link,
    open_share,
    parse_share_link,
    seal_share,
    sign_release,
    sign_split,
)
from kith_protocol.persona import PersonaStatement, person_id
from kith_protocol.splitting import read_share
from kith_protocol.suite import HYBRID_SIGNATURE_BYTES, HybridSignKey, SealKey, seal
from tests.protocol.people import NOW, fixed, hybrid
from tests.support.splits import fixed_split

ROOT, BOB_ROOT = hybrid("anna-root"), hybrid("bob-root")
BOB_KEY = SealKey(fixed("bob-persona"))
BOB = PersonaStatement(1, BOB_ROOT.public, hybrid("bob-daily").public, BOB_KEY.public, 1)
VAULT = fixed("vault")
WORDS = fixed_split(fixed("entropy"), 2, 3)


def message(root: HybridSignKey = ROOT, guardian: PersonaStatement = BOB, made: int = NOW) -> Guard:
    return Guard(made, seal_share(root, guardian, VAULT, made, WORDS[0]))


def test_the_guardian_opens_what_the_person_sealed() -> None:
    share = open_share(BOB_KEY, BOB.person, ROOT.public, message())
    assert (share.vault, share.made, share.words) == (VAULT, NOW, WORDS[0])
    assert share.share == read_share(WORDS[0])
    assert WORDS[0].split()[5] not in repr(share)


def test_nobody_but_the_guardian_opens_it() -> None:
    with pytest.raises(Undecryptable):
        open_share(SealKey(fixed("anna-persona")), BOB.person, ROOT.public, message())


def test_a_thief_with_a_device_cannot_replace_a_share() -> None:
    """She has the persona and every relationship key, and still not the root."""
    body = encode(GuardianShare(1, BOB.person, VAULT, NOW, WORDS[0]))
    signed = encode(SignedShare(body, hybrid("anna-persona").sign(labels.GUARDIAN_SHARE, body)))
    context = b"\x01", person_id(ROOT.public), BOB.person
    forged = Guard(NOW, seal(BOB.seal_key, labels.GUARDIAN_SEAL, *context, plaintext=signed))
    with pytest.raises(BadSignature):
        open_share(BOB_KEY, BOB.person, ROOT.public, forged)


def test_a_share_of_an_earlier_split_does_not_pass_for_a_later_one() -> None:
    early = message()
    with pytest.raises(BadSignature):
        open_share(BOB_KEY, BOB.person, ROOT.public, replace(early, made=NOW + 1))


def test_a_share_that_is_none_is_not_sealed() -> None:
    with pytest.raises(DecodingError):
        seal_share(ROOT, BOB, VAULT, NOW, WORDS[0].upper())
    with pytest.raises(DecodingError):
        seal_share(ROOT, BOB, VAULT, NOW, "abandon art")
    with pytest.raises(Refused):
        GuardianShare(2, BOB.person, VAULT, NOW, WORDS[0]).check()


@pytest.mark.parametrize(
    "wrong",
    [
        Guard(0, b""),
        Guard(2**53 + 1, b""),
        Guard(1, bytes(8193)),
        GuardAnswer(0, GuardState.KEPT, 0, 0),
        GuardAnswer(1, GuardState.KEPT, -1, 1),
        GuardAnswer(1, GuardState.KEPT, 2**32 + 1, 1),
        GuardAnswer(1, GuardState.KEPT, 1, 0),
        GuardAnswer(1, GuardState.KEPT, 0, 1),
        GuardAnswer(1, GuardState.KEPT, 1, 2**53 + 1),
        GuardAnswer(1, 5, 0, 0),  # type: ignore[arg-type]
        Release(0, bytes(HYBRID_SIGNATURE_BYTES)),
        Release(1, bytes(HYBRID_SIGNATURE_BYTES - 1)),
    ],
)
def test_a_message_out_of_its_bounds_is_refused(wrong: Statement) -> None:
    with pytest.raises(DecodingError):
        decode(encode(wrong), type(wrong))


def test_the_examples_of_the_page_are_what_the_code_gives() -> None:
    page = (Path(__file__).resolve().parents[2] / "protocol" / "spec" / "guardian.md").read_text()
    for each in (Guard(7, b"sealed"), GuardAnswer(7, GuardState.KEPT, 1, 8)):
        assert encode(each).hex() in page


def test_a_link_comes_back_and_shows_nothing() -> None:
    link = ShareLink("anna.example", VAULT, read_share(WORDS[1]))
    text = format_share_link(link)
    assert parse_share_link(f" {text}\n") == link
    assert parse_share_link(text.replace("kith-share", "KITH-SHARE")) == link
    assert parse_share_link(text.replace("anna.example", "anna.example:443")) == link
    assert repr(link) == "ShareLink(...)"


def test_the_root_of_a_share_is_the_person_it_is_read_for() -> None:
    assert person_id(ROOT.public) != BOB.person
    with pytest.raises(Undecryptable):
        open_share(BOB_KEY, BOB.person, BOB_ROOT.public, message())


def test_only_the_root_releases_and_only_whom_it_names() -> None:
    release = sign_release(ROOT, BOB.person, NOW)
    check_release(ROOT.public, BOB.person, release)
    for root, guardian, each in (
        (BOB_ROOT.public, BOB.person, release),
        (ROOT.public, person_id(ROOT.public), release),
        (ROOT.public, BOB.person, Release(NOW + 1, release.signature)),
    ):
        with pytest.raises(BadSignature):
            check_release(root, guardian, each)


def test_only_the_root_makes_a_split_and_under_one_record() -> None:
    signature = sign_split(ROOT, b"record", NOW, 2)
    check_split(ROOT.public, b"record", NOW, 2, signature)
    for wrong in ((b"another", NOW, 2), (b"record", NOW + 1, 2), (b"record", NOW, 3)):
        with pytest.raises(BadSignature):
            check_split(ROOT.public, *wrong, signature)
    with pytest.raises(BadSignature):
        check_split(BOB_ROOT.public, b"record", NOW, 2, signature)
