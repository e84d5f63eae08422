"""Introductions: what an introducer and the two who are introduced say to each other (spec: introduction.md).

Messages and who speaks when. Asking the person, and carrying the steps out, is left to the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar, Final

from kith_protocol.encoding import Statement
from kith_protocol.errors import DecodingError
from kith_protocol.host import check_host
from kith_protocol.invite import INVITE_SECRET_BYTES, Invite
from kith_protocol.persona import PERSON_ID_BYTES
from kith_protocol.server_statement import FINGERPRINT_BYTES, MAX_TIME

INTRODUCTION_ID_BYTES: Final = 16
MAX_LABEL_BYTES: Final = 256
MAX_TEXT_BYTES: Final = 4096
INTRODUCTION_LIFETIME: Final = 30 * 24 * 3600 * 1000
"""Milliseconds in which both have to agree."""
INTRODUCTION_GRACE: Final = 14 * 24 * 3600 * 1000
"""Milliseconds after that in which two who agreed in time are still brought together."""
MAX_INTRODUCTIONS: Final = 16
"""Introductions by one peer that are kept at a time, whatever became of them: a flood costs no more than that."""


class Introduce(Statement, frozen=True, tag=5):
    """Would you like to know this person? Carries no address and no key."""

    SIZES: ClassVar[Mapping[str, int]] = {"introduction": INTRODUCTION_ID_BYTES, "person": PERSON_ID_BYTES}

    introduction: bytes
    label: str
    """How the introducer calls the person: all that is said of them beside `person`."""
    person: bytes
    """The root that the introducer has pinned, as person id."""
    text: str
    expires: int
    """Milliseconds since 1970: until when both have to agree."""

    def check(self) -> None:
        super().check()
        if len(self.label.encode()) > MAX_LABEL_BYTES or len(self.text.encode()) > MAX_TEXT_BYTES:
            raise DecodingError("An introduction is too long.")
        if not 0 <= self.expires <= MAX_TIME:
            raise DecodingError("An introduction expires out of all bounds.")


class IntroduceAnswer(Statement, frozen=True, tag=7):
    """From who is introduced: I agree. From the introducer: the other agrees too, or, where false, it is taken back.

    Nobody who declines sends one.
    """

    SIZES: ClassVar[Mapping[str, int]] = {"introduction": INTRODUCTION_ID_BYTES}

    introduction: bytes
    agreed: bool


class IntroduceInvite(Statement, frozen=True, tag=8):
    """The invite of who makes it, to the introducer, who passes the same on to the other."""

    SIZES: ClassVar[Mapping[str, int]] = {
        "introduction": INTRODUCTION_ID_BYTES,
        "secret": INVITE_SECRET_BYTES,
        "fingerprint": FINGERPRINT_BYTES,
    }

    introduction: bytes
    host: str
    secret: bytes
    fingerprint: bytes

    @property
    def invite(self) -> Invite:
        """What the link of an invite says."""
        return Invite(self.host, self.secret, self.fingerprint)

    def check(self) -> None:
        super().check()
        check_host(self.host)


class IntroductionSequence(IntEnum):
    """Sequence of a parcel in the slot of its introduction: what comes later takes the place of what came before."""

    OFFER = 1
    """The introducer's `Introduce`; from who is introduced, that they agree."""
    INVITE = 2
    """The introducer's word that both agree, to who makes the invite; the invite itself on its two ways."""
    TAKEN_BACK = 3
    """The introducer's alone."""


def makes_invite(me: bytes, other: bytes) -> bool:
    """Whether, of two persons who are introduced, it is `me` who makes the invite: the one with the smaller id."""
    return me < other
