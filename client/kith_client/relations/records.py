"""The records that relationships are kept in, read into typed values (spec: content.md).

Reading only. A record that a newer or broken program damaged raises `DecodingError` and names its kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from kith_client.relations.own_keys import Mine, read_mine
from kith_client.stamp import Contents, of_kind, the_one
from kith_protocol.content import Content
from kith_protocol.encoding import Value, decode
from kith_protocol.errors import DecodingError, Refused
from kith_protocol.handshake import Established, PendingAnswer
from kith_protocol.invite import OwnInvite
from kith_protocol.mailbox import MailboxAddress, OwnMailbox
from kith_protocol.persona import FIRST_NUMBER, OwnPersona, PersonaStatement, SignedPersona
from kith_protocol.relationship import RelationshipState
from kith_protocol.suite import HybridSignKey, SealKey

FACET: Final = "facet/"
SHARE: Final = "share/"
DIRECTORY: Final = "directory"
"""On a peer, as `via`: the relationship began with a look-up of a handle."""
ENDED: Final = "ended/"
"""On a peer: this channel of it is to end, or has ended, because the person said so."""
ITEM: Final = "item/"
RECEIPT: Final = "receipt/"
ANNOUNCED: Final = "announced/"
"""On a channel: the version of an item that the peer says is current, where it has not arrived."""

FORMER: Final = "former"
"""On a channel: mailboxes of the peer that a newer one replaced."""
RECLAIM: Final = "reclaim"
"""On a channel: where its reclaim has to be put."""

UNREADABLE_KIND: Final = "unreadable"
"""Kind of what stands in the contents for a record that does not open."""

_T = TypeVar("_T", bound=object)


class InviteState(StrEnum):
    OPEN = "open"
    USED = "used"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Expected:
    """Whose answer alone an invite takes: that of a person to whom I was introduced."""

    person: bytes
    by: bytes
    """Person id of the introducer."""

    def to_value(self) -> dict[str, Value]:
        return {"person": self.person, "by": self.by}


@dataclass(frozen=True, slots=True)
class InviteRecord:
    """One `invite` record."""

    id: bytes
    own: OwnInvite
    nonce: bytes
    """With which the greeting is sealed: every device puts the same bytes at the server."""
    expires: int
    """Milliseconds since 1970."""
    facets: tuple[str, ...]
    contact: bytes | None
    reusable: bool
    state: InviteState
    created: int
    answer: bytes | None
    """SHA-256 of the answer that consumed it."""
    peer: bytes | None
    """The `peer` record of who came through it."""
    expected: Expected | None
    """None where anybody who has the link may answer."""
    handle: str | None
    """The handle of mine behind which it stands: whoever looks that up gets it."""


@dataclass(frozen=True, slots=True)
class Item:
    """A share that I send: what it carries, and the version that stands committed."""

    ref: str
    version: int
    digest: bytes
    gone: bool

    def to_value(self) -> dict[str, Value]:
        return {"ref": self.ref, "version": self.version, "digest": self.digest, "gone": self.gone}


@dataclass(frozen=True, slots=True)
class Channel:
    """One `channel` record. One of `pending` and `established` is there."""

    id: bytes
    peer: bytes
    state: RelationshipState
    pending: PendingAnswer | None
    established: Established | None
    step: bytes
    """The message of the handshake that has to reach the peer; empty once it did."""
    items: Mapping[bytes, Item]
    receipts: Mapping[bytes, int]
    announced: Mapping[bytes, int]
    address_sequence: int
    """Of the last message by which the peer changed its key or its mailbox."""
    mine: Mine
    """My own keys, mailboxes and announcements."""
    persona: int
    """Number of my persona under which it was made; a higher one of mine takes it back."""
    former: tuple[MailboxAddress, ...]
    """Mailboxes of the peer that a newer one replaced, newest first."""
    reclaim: tuple[MailboxAddress, ...] | None
    """Mailboxes of the peer for the reclaim in `step`; none once the peer has shown that it came; None where the
    relationship did not begin with a reclaim of mine."""
    parted: int
    """When the peer's farewell came, in milliseconds since 1970; 0 where none did."""

    @property
    def inbox(self) -> OwnMailbox:
        """My mailbox of this relationship."""
        kept = self.established or self.pending
        if kept is None:
            raise DecodingError("A record of the kind channel has no handshake.")
        return kept.inbox

    @property
    def sent(self) -> frozenset[str]:
        """The `ref`s that the peer has or is about to get."""
        return frozenset(item.ref for item in self.items.values() if not item.gone)

    @property
    def is_reclaiming(self) -> bool:
        """Whether the peer has still to hear of my reclaim, and of nothing else."""
        return bool(self.reclaim)

    @property
    def ended(self) -> bool:
        return self.state is RelationshipState.ENDED


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """One `peer` record."""

    id: bytes
    contact: bytes
    person: bytes
    name: str
    host: str
    channel: bytes
    trust: str
    facets: tuple[str, ...]
    shares: tuple[bytes, ...]
    blocked: bool
    """No handshake with this person is taken part in."""
    ended: tuple[bytes, ...]
    """Channels that the person ended."""
    via: str | None
    """`directory` where servers handed the key out; None where a person did."""

    def is_over(self, channel: bytes) -> bool:
        """Whether the person decided so; carried out with the next sync."""
        return self.blocked or channel in self.ended


@dataclass(frozen=True, slots=True)
class TheirItem:
    """One `theirs` record: something that a peer lets me have, `payload` None once withdrawn."""

    id: bytes
    channel: bytes
    item: bytes
    version: int
    kind: int
    payload: bytes | None
    digest: bytes
    at: int
    """When it came, in milliseconds since 1970."""


def read_invite(record: bytes, content: Content) -> InviteRecord:
    return InviteRecord(
        record,
        decode(_field(content, "invite", bytes), OwnInvite),
        _field(content, "nonce", bytes),
        _field(content, "expires", int),
        tuple(text for text in _field(content, "facets", list) if isinstance(text, str)),
        _optional(content, "contact", bytes),
        _field(content, "reusable", bool),
        _state(InviteState, content),
        _field(content, "created", int),
        _optional(content, "answer", bytes),
        _optional(content, "peer", bytes),
        _expected(content.value("expected")),
        _optional(content, "handle", str),
    )


def read_channel(record: bytes, content: Content) -> Channel:
    pending, established = _optional(content, "pending", bytes), _optional(content, "established", bytes)
    return Channel(
        record,
        _field(content, "peer", bytes),
        _state(RelationshipState, content),
        None if pending is None else decode(pending, PendingAnswer),
        None if established is None else decode(established, Established),
        _optional(content, "step", bytes) or b"",
        {key: _item(value) for key, value in _by_id(content, ITEM)},
        {key: _typed(content, value, int) for key, value in _by_id(content, RECEIPT)},
        {key: _typed(content, value, int) for key, value in _by_id(content, ANNOUNCED)},
        _optional(content, "address_sequence", int) or 0,
        read_mine(content, None if established is None else decode(established, Established)),
        _optional(content, "persona", int) or FIRST_NUMBER,
        _addresses(content, FORMER) or (),
        _addresses(content, RECLAIM),
        _optional(content, "parted", int) or 0,
    )


def read_peer(record: bytes, content: Content) -> PeerRecord:
    return PeerRecord(
        record,
        _field(content, "contact", bytes),
        _field(content, "person", bytes),
        _field(content, "name", str),
        _field(content, "host", str),
        _field(content, "channel", bytes),
        _field(content, "trust", str),
        tuple(sorted(key.removeprefix(FACET) for key, unit in content.units.items() if _on(key, FACET, unit.value))),
        tuple(sorted(key for key, value in _by_id(content, SHARE) if value is True)),
        content.value("blocked") is True,
        tuple(sorted(key for key, value in _by_id(content, ENDED) if value is True)),
        _optional(content, "via", str),
    )


def read_their_item(record: bytes, content: Content) -> TheirItem:
    return TheirItem(
        record,
        _field(content, "channel", bytes),
        _field(content, "item", bytes),
        _field(content, "version", int),
        _field(content, "kind", int),
        _optional(content, "payload", bytes),
        _field(content, "digest", bytes),
        content.units["version"].at,
    )


def invites(contents: Contents) -> list[InviteRecord]:
    """All invites, oldest first."""
    found = [read_invite(record, content) for record, content in of_kind(contents, "invite").items()]
    return sorted(found, key=lambda invite: (invite.created, invite.id))


def channels(contents: Contents) -> list[Channel]:
    """All channels, by id."""
    return [read_channel(record, content) for record, content in sorted(of_kind(contents, "channel").items())]


def peers(contents: Contents) -> list[PeerRecord]:
    """All peers, by id."""
    return [read_peer(record, content) for record, content in sorted(of_kind(contents, "peer").items())]


def their_items(contents: Contents) -> list[TheirItem]:
    """What all peers ever let me have, withdrawn items too, by id."""
    return [read_their_item(record, content) for record, content in sorted(of_kind(contents, "theirs").items())]


def is_unreadable(contents: Contents, record: object) -> bool:
    """Whether a record is there that does not open here: nobody knows what it says, so nothing follows from it."""
    content = contents.get(record) if isinstance(record, bytes) else None
    return content is not None and content.kind == UNREADABLE_KIND


def has_peer(contents: Contents, channel: Channel) -> bool:
    """Whether the `peer` record of a channel is here and can be read. Without it the channel rests."""
    content = contents.get(channel.peer)
    return content is not None and content.kind == "peer"


def peer_at(contents: Contents, record: bytes) -> PeerRecord:
    """The peer of this record. Raises `Refused` (`no-such-peer`)."""
    content = contents.get(record)
    if content is None or content.kind != "peer":
        raise Refused("no-such-peer", "There is no such peer. 'kith peers' shows them.")
    return read_peer(record, content)


def channel_at(contents: Contents, record: bytes) -> Channel | None:
    """The channel of this record, or None where there is none."""
    content = contents.get(record)
    return read_channel(record, content) if content is not None and content.kind == "channel" else None


def own_persona(contents: Contents) -> OwnPersona:
    """My persona with its private signing key. Raises `DecodingError` for a vault without one."""
    found = the_one(contents, "persona")
    if found is None:
        raise DecodingError("The address book has no persona; it was not set up to the end.")
    content = found[1]
    sign = HybridSignKey(_field(content, "sign_seed", bytes), _field(content, "sign_pq_seed", bytes))
    return OwnPersona(_field(content, "statement", bytes), sign)


def own_seal_key(contents: Contents) -> SealKey:
    """The private key to which others seal what is for me and no relationship. Raises `DecodingError`."""
    found = the_one(contents, "persona")
    if found is None:
        raise DecodingError("The address book has no persona; it was not set up to the end.")
    return SealKey(_field(found[1], "seal_seed", bytes))


def persona_seals(contents: Contents) -> list[SealKey]:
    """The private keys to which my persona's statements let others seal, newest first."""
    found = the_one(contents, "persona")
    if found is None:
        return []
    former = _optional(found[1], "former_seals", list) or []
    return [SealKey(_typed(found[1], seed, bytes)) for seed in (_field(found[1], "seal_seed", bytes), *former)]


def persona_of(raw: bytes) -> PersonaStatement:
    """What a signed persona statement says that was verified before it was stored."""
    return decode(decode(raw, SignedPersona).body, PersonaStatement)


def _field(content: Content, name: str, kind: type[_T]) -> _T:
    return _typed(content, content.value(name), kind)


def _optional(content: Content, name: str, kind: type[_T]) -> _T | None:
    value = content.value(name)
    return None if value is None else _typed(content, value, kind)


def _typed(content: Content, value: Value, kind: type[_T]) -> _T:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise DecodingError(f"A record of the kind {content.kind} is damaged.")
    return value


_State = TypeVar("_State", InviteState, RelationshipState)


def _state(states: type[_State], content: Content) -> _State:
    try:
        return states(_field(content, "state", str))
    except ValueError:
        raise DecodingError(f"A record of the kind {content.kind} has an unknown state.") from None


def _on(key: str, prefix: str, value: Value) -> bool:
    return key.startswith(prefix) and value is True


def _by_id(content: Content, prefix: str) -> Iterator[tuple[bytes, Value]]:
    for key, unit in content.units.items():
        if key.startswith(prefix):
            try:
                yield bytes.fromhex(key.removeprefix(prefix)), unit.value
            except ValueError:
                raise DecodingError(f"A record of the kind {content.kind} has a damaged unit name.") from None


def _addresses(content: Content, name: str) -> tuple[MailboxAddress, ...] | None:
    found = _optional(content, name, list)
    return None if found is None else tuple(decode(_typed(content, raw, bytes), MailboxAddress) for raw in found)


def _expected(value: Value) -> Expected | None:
    match value:
        case None:
            return None
        case {"person": bytes(person), "by": bytes(by)}:
            return Expected(person, by)
        case _:
            raise DecodingError("A record of the kind invite is damaged.")


def _item(value: Value) -> Item:
    match value:
        case {"ref": str(ref), "version": int(version), "digest": bytes(digest), "gone": bool(gone)}:
            return Item(ref, version, digest, gone)
        case _:
            raise DecodingError("An item of a channel is damaged.")
