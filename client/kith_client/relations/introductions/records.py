"""The records of introductions, read into typed values (spec: content.md, introduction.md).

Reading only: `introducing` is one that I make, `introduction` one that a peer makes of me.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kith_client.stamp import Contents, of_kind
from kith_protocol.content import Content
from kith_protocol.encoding import Value
from kith_protocol.errors import DecodingError
from kith_protocol.introduction import INTRODUCTION_GRACE, IntroduceInvite

AGREED: Final = "agreed/"
"""On an `introducing`: this person, id in hex, agreed."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the person said to an introduction."""

    accepted: bool
    facets: tuple[str, ...] = ()
    contact: bytes | None = None

    def to_value(self) -> dict[str, Value]:
        """What stands in the unit `decision`."""
        return {"accepted": self.accepted, "facets": [*self.facets], "contact": self.contact}


@dataclass(frozen=True, slots=True)
class Introduction:
    """One `introduction` record: a peer would like to bring me together with somebody."""

    id: bytes
    channel: bytes
    """Through which it came: whose peer introduces."""
    introduction: bytes
    """As in the messages."""
    person: bytes
    """Whom I would get to know, by the introducer's word."""
    label: str
    text: str
    expires: int
    """Milliseconds since 1970: until then I can agree."""
    decision: Decision | None
    agreed: bool
    """Whether the introducer said that both agreed."""
    invite: bytes | None
    """The `invite` record that was made for it."""
    link: IntroduceInvite | None
    """The invite that the introducer passed on."""
    used: bool
    """Whether that was answered, or cannot be used."""
    taken_back: bool

    @property
    def accepted(self) -> bool:
        """Whether I agreed."""
        return self.decision is not None and self.decision.accepted

    @property
    def forgotten_at(self) -> int:
        """From when on nothing of it is kept, in milliseconds since 1970."""
        return self.expires + INTRODUCTION_GRACE


@dataclass(frozen=True, slots=True)
class Introduced:
    """One of the two whom I introduce to each other."""

    peer: bytes
    """The `peer` record."""
    person: bytes
    label: str
    """What the other is told that they are called."""

    def to_value(self) -> dict[str, Value]:
        """What stands in the units `one` and `other`."""
        return {"peer": self.peer, "person": self.person, "label": self.label}


@dataclass(frozen=True, slots=True)
class Introducing:
    """One `introducing` record: I bring two of my peers together."""

    id: bytes
    introduction: bytes
    one: Introduced
    other: Introduced
    text: str
    expires: int
    agreed: frozenset[bytes]
    """Person ids of those who agreed."""
    link: IntroduceInvite | None
    """The invite to pass on."""
    offered: bool
    """Whether anything of it may have left."""
    taken_back: bool

    @property
    def both(self) -> tuple[Introduced, Introduced]:
        return self.one, self.other

    @property
    def all_agreed(self) -> bool:
        return {self.one.person, self.other.person} <= self.agreed

    @property
    def forgotten_at(self) -> int:
        """From when on nothing of it is kept, in milliseconds since 1970."""
        return self.expires + INTRODUCTION_GRACE


def read_introduction(record: bytes, content: Content) -> Introduction:
    """Raises `DecodingError` for a damaged record."""
    return Introduction(
        record,
        _bytes(content.value("channel")),
        _bytes(content.value("introduction")),
        _bytes(content.value("person")),
        _text(content.value("label")),
        _text(content.value("text")),
        _int(content.value("expires")),
        _decision(content.value("decision")),
        content.value("agreed") is True,
        _optional(content.value("invite")),
        _link(content),
        content.value("used") is True,
        content.value("taken_back") is True,
    )


def read_introducing(record: bytes, content: Content) -> Introducing:
    """Raises `DecodingError` for a damaged record."""
    agreed = [_hex(key.removeprefix(AGREED)) for key in content.units if key.startswith(AGREED)]
    return Introducing(
        record,
        _bytes(content.value("introduction")),
        _introduced(content.value("one")),
        _introduced(content.value("other")),
        _text(content.value("text")),
        _int(content.value("expires")),
        frozenset(agreed),
        _link(content),
        content.value("offered") is True,
        content.value("taken_back") is True,
    )


def introductions(contents: Contents) -> list[Introduction]:
    """All that peers make of me, the one that lapses first first."""
    found = [read_introduction(record, content) for record, content in of_kind(contents, "introduction").items()]
    return sorted(found, key=lambda each: (each.expires, each.id))


def introducings(contents: Contents) -> list[Introducing]:
    """All that I make, the one that lapses first first."""
    found = [read_introducing(record, content) for record, content in of_kind(contents, "introducing").items()]
    return sorted(found, key=lambda each: (each.expires, each.id))


def link_value(link: IntroduceInvite) -> dict[str, Value]:
    """What stands in the unit `link`."""
    return {"host": link.host, "secret": link.secret, "fingerprint": link.fingerprint}


def _link(content: Content) -> IntroduceInvite | None:
    match content.value("link"):
        case None:
            return None
        case {"host": str(host), "secret": bytes(secret), "fingerprint": bytes(fingerprint)}:
            link = IntroduceInvite(_bytes(content.value("introduction")), host, secret, fingerprint)
            link.check()
            return link
        case _:
            raise _damaged()


def _decision(value: Value) -> Decision | None:
    match value:
        case None:
            return None
        case {"accepted": bool(accepted), "facets": list(facets), "contact": bytes() | None as contact}:
            return Decision(accepted, tuple(_text(facet) for facet in facets), contact)
        case _:
            raise _damaged()


def _introduced(value: Value) -> Introduced:
    match value:
        case {"peer": bytes(peer), "person": bytes(person), "label": str(label)}:
            return Introduced(peer, person, label)
        case _:
            raise _damaged()


def _optional(value: Value) -> bytes | None:
    return None if value is None else _bytes(value)


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise _damaged()
    return value


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise _damaged()
    return value


def _int(value: Value) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _damaged()
    return value


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise _damaged() from None


def _damaged() -> DecodingError:
    return DecodingError("The record of an introduction is damaged.")
