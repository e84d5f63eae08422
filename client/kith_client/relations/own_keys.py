"""My side of a channel: my keys and mailboxes of it, what was announced, put and acknowledged (spec: content.md).

Reading and writing units only; when to make new keys is decided in `rekeying`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kith_protocol.content import Content, Unit
from kith_protocol.encoding import Value, decode, encode
from kith_protocol.errors import DecodingError
from kith_protocol.handshake import Established
from kith_protocol.mailbox import OwnMailbox
from kith_protocol.suite import SealKey

PUT: Final = "put/"
"""On a channel: the last sequence of an announcement for which the destination gave a receipt."""
ACKNOWLEDGED: Final = "acknowledged/"
"""On a channel: the version of an item that the peer says it has."""

LINE: Final = "line/"
"""On a channel: what was last said in a slot that only ever says how things stand now."""


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A private key of mine and the mailbox that was announced with it."""

    seed: bytes
    inbox: OwnMailbox
    sequence: int
    """Of the announcement; 0 for what came about with the handshake."""
    at: int
    """When it was made, in milliseconds since 1970; 0 for the handshake."""
    used: bool
    """Whether a parcel came there: then the peer has it, and nothing older is read."""

    def __repr__(self) -> str:
        return f"OwnKey(sequence={self.sequence}, used={self.used})"

    def to_value(self) -> dict[str, Value]:
        """What stands in the unit `own`."""
        inbox = encode(self.inbox)
        return {"seed": self.seed, "inbox": inbox, "sequence": self.sequence, "at": self.at, "used": self.used}


@dataclass(frozen=True, slots=True)
class Retired:
    """A mailbox of mine that a newer one replaced, and since when."""

    inbox: OwnMailbox
    at: int

    def to_value(self) -> dict[str, Value]:
        """What stands in the unit `retired`."""
        return {"inbox": encode(self.inbox), "at": self.at}


@dataclass(frozen=True, slots=True)
class Told:
    """What the peer was last told of its own items."""

    sequence: int = 0
    """Of the last parcel that told it and nothing else."""
    at: int = 0
    mailbox: bytes = b""
    """Where: the write id of the peer's mailbox."""
    digest: bytes = b""
    """Of the list of versions; empty where it has to be told again."""

    def to_value(self) -> dict[str, Value]:
        """What stands in the unit `told`."""
        return {"sequence": self.sequence, "at": self.at, "mailbox": self.mailbox, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class Line:
    """What is to be said in a slot of its own; a newer word takes the place of the one before."""

    sequence: int = 0
    digest: bytes = b""
    """Of the word; empty where nothing is to be said now."""

    def to_value(self) -> dict[str, Value]:
        """What stands in a unit `line/...`."""
        return {"sequence": self.sequence, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class Mine:
    """All of it."""

    keys: tuple[OwnKey, ...]
    """Newest first; only the last may be `used`. None before the handshake is done."""
    retired: tuple[Retired, ...]
    """Newest first."""
    closing: tuple[bytes, ...]
    """Read ids of mailboxes that the home server has still to delete."""
    acknowledged: Mapping[bytes, int]
    put: Mapping[str, int]
    told: Told
    lines: Mapping[str, Line]
    rekey_at: int
    """From when on a new key is due, in milliseconds since 1970; 0 where no date was drawn yet."""
    forced: int
    """When a new key was demanded; 0 where it never was."""
    bye: int
    """When I ended the relationship and since when the peer has to hear it; 0 where it need not."""

    @property
    def under_way(self) -> bool:
        """Whether the peer still has to learn of my newest key."""
        return bool(self.keys) and not self.keys[0].used

    @property
    def seal_keys(self) -> list[SealKey]:
        """What opens parcels, newest first."""
        return [SealKey(key.seed) for key in self.keys]


def read_mine(content: Content, established: Established | None) -> Mine:
    """From the units of a channel. Raises `DecodingError` where they are damaged."""
    return Mine(
        _keys(content, established),
        tuple(_retired(each) for each in _list(content, "retired")),
        tuple(_bytes(each) for each in _list(content, "closing")),
        {_hex(key.removeprefix(ACKNOWLEDGED)): _int(unit.value) for key, unit in _named(content, ACKNOWLEDGED)},
        {key.removeprefix(PUT): _int(unit.value) for key, unit in _named(content, PUT)},
        _told(content.value("told")),
        {key.removeprefix(LINE): _line(unit.value) for key, unit in _named(content, LINE)},
        _int(content.value("rekey_at") or 0),
        _int(content.value("forced") or 0),
        _int(content.value("bye") or 0),
    )


def _keys(content: Content, established: Established | None) -> tuple[OwnKey, ...]:
    if established is None:
        return ()
    if content.value("own") is None:
        return (OwnKey(established.seal_seed, established.inbox, 0, 0, True),)
    return tuple(_key(each) for each in _list(content, "own"))


def _key(value: Value) -> OwnKey:
    match value:
        case {"seed": bytes(seed), "inbox": bytes(inbox), "sequence": int(sequence), "at": int(at), "used": bool(used)}:
            return OwnKey(seed, decode(inbox, OwnMailbox), sequence, at, used)
        case _:
            raise _damaged()


def _retired(value: Value) -> Retired:
    match value:
        case {"inbox": bytes(inbox), "at": int(at)}:
            return Retired(decode(inbox, OwnMailbox), at)
        case _:
            raise _damaged()


def _told(value: Value) -> Told:
    match value:
        case None:
            return Told()
        case {"sequence": int(sequence), "at": int(at), "mailbox": bytes(mailbox), "digest": bytes(digest)}:
            return Told(sequence, at, mailbox, digest)
        case _:
            raise _damaged()


def _line(value: Value) -> Line:
    match value:
        case {"sequence": int(sequence), "digest": bytes(digest)}:
            return Line(sequence, digest)
        case _:
            raise _damaged()


def _named(content: Content, prefix: str) -> list[tuple[str, Unit]]:
    return [(key, unit) for key, unit in content.units.items() if key.startswith(prefix)]


def _list(content: Content, name: str) -> list[Value]:
    value = content.value(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _damaged()
    return value


def _int(value: Value) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _damaged()
    return value


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise _damaged()
    return value


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise _damaged() from None


def _damaged() -> DecodingError:
    return DecodingError("What a channel keeps of my own side is damaged.")
