"""The records of those who ask through a reusable invite, read into typed values (spec: content.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kith_client.stamp import Contents, of_kind
from kith_protocol.content import Content
from kith_protocol.encoding import Value
from kith_protocol.errors import DecodingError, Refused
from kith_protocol.suite import digest

REQUEST: Final = "request"
"""Kind of the record."""
ASKED: Final = "asked"
"""On an invite: who asked through it, and what became of it."""
MAX_ASKED: Final = 1000
"""Once an invite remembers so many, it takes no more: what was forgotten could be put there again by a server."""
_UNITS: Final = ("invite", "person", "number", "name", "host", "answer", "at")


@dataclass(frozen=True, slots=True)
class Decision:
    """What the person decided about a request; carried out with the next sync."""

    accept: bool
    number: int
    """Of the persona that asked then."""
    invite: bytes
    """Id of the `invite` record through which it asked then."""
    answer: bytes
    """SHA-256 of the answer that waited then."""
    facets: tuple[str, ...] = ()
    """Granted beside those of the invite."""
    contact: bytes | None = None
    """The contact that this person is, where the person named one."""

    def to_value(self) -> dict[str, Value]:
        about: dict[str, Value] = {"number": self.number, "invite": self.invite, "answer": self.answer}
        return {"accept": self.accept, **about, "facets": list(self.facets), "contact": self.contact}

    def is_about(self, invite: bytes, answer: bytes, number: int) -> bool:
        """Whether it is about such an answer: a yes about exactly this one, a no about the persona."""
        same = (self.invite, self.answer) == (invite, digest(answer))
        return same if self.accept else number <= self.number


@dataclass(frozen=True, slots=True)
class Request:
    """One `request` record: the answer to a reusable invite, until it is decided."""

    id: bytes
    invite: bytes
    """Id of the `invite` record."""
    person: bytes
    number: int
    """Of the persona that asks."""
    name: str
    """What they call themselves; unproven."""
    host: str
    answer: bytes
    """As it came: it is opened again when it is accepted."""
    at: int
    """When it was taken in, in milliseconds since 1970."""
    decision: Decision | None
    """None also where the person asked in another way since: then it waits for a decision again."""

    def __repr__(self) -> str:
        return f"Request({self.id.hex()})"


@dataclass(frozen=True, slots=True)
class Asked:
    """One decided request, as an invite remembers it."""

    person: bytes
    number: int
    """Of the persona that asked."""
    answer: bytes
    """SHA-256 of the answer."""
    at: int
    """When it was decided, in milliseconds since 1970."""
    accepted: bool

    def to_value(self) -> dict[str, Value]:
        who: dict[str, Value] = {"person": self.person, "number": self.number}
        return {**who, "answer": self.answer, "at": self.at, "accepted": self.accepted}


def read_request(record: bytes, content: Content) -> Request:
    """Raises `DecodingError`."""
    match [content.value(unit) for unit in _UNITS]:
        case [bytes(invite), bytes(person), int(number), str(name), str(host), bytes(answer), int(at)]:
            decision = _decision(content.value("decision"))
            counts = decision is not None and decision.is_about(invite, answer, number)
            return Request(record, invite, person, number, name, host, answer, at, decision if counts else None)
        case _:
            raise _damaged()


def requests(contents: Contents) -> list[Request]:
    """All that wait or were not carried out yet, oldest first."""
    found = [read_request(record, content) for record, content in of_kind(contents, REQUEST).items()]
    return sorted(found, key=lambda request: (request.at, request.id))


def request_at(contents: Contents, record: bytes) -> Request:
    """The request of this record. Raises `Refused` (`no-such-request`)."""
    content = contents.get(record)
    if content is None or content.kind != REQUEST:
        raise Refused("no-such-request", "There is no such request. 'kith requests' shows them.")
    return read_request(record, content)


def asked(content: Content) -> list[Asked]:
    """Who asked through the invite with this content, oldest first. Raises `DecodingError`."""
    value = content.value(ASKED)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _damaged()
    return [_asked(each) for each in value]


def all_asked(contents: Contents) -> list[Asked]:
    """The same of all invites."""
    return [each for content in of_kind(contents, "invite").values() for each in asked(content)]


def asked_values(entries: Iterable[Asked]) -> list[Value]:
    """All of them, as the unit holds them."""
    return [each.to_value() for each in sorted(entries, key=lambda each: each.at)]


def is_full(content: Content) -> bool:
    """Whether nobody new can ask through the invite with this content any more."""
    return len(asked(content)) >= MAX_ASKED


def _asked(value: Value) -> Asked:
    match value:
        case {
            "person": bytes(person),
            "number": int(number),
            "answer": bytes(answer),
            "at": int(at),
            "accepted": bool(accepted),
        }:
            return Asked(person, number, answer, at, accepted)
        case _:
            raise _damaged()


def _decision(value: Value) -> Decision | None:
    match value:
        case None:
            return None
        case {
            "accept": bool(accept),
            "number": int(number),
            "invite": bytes(invite),
            "answer": bytes(answer),
            "facets": list(facets),
            "contact": bytes() | None as contact,
        }:
            granted = tuple(text for text in facets if isinstance(text, str))
            return Decision(accept, number, invite, answer, granted, contact)
        case _:
            raise _damaged()


def _damaged() -> DecodingError:
    return DecodingError("A record of the kind request is damaged.")
