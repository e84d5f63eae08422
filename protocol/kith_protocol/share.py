"""Shares: what items a peer may let me have, and which version of each counts (spec: share.md).

How they look in an address book, and what of them one's own card grants, is left to the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum, auto
from typing import ClassVar, Final

from kith_protocol import labels
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import DecodingError, Refused
from kith_protocol.introduction import MAX_LABEL_BYTES
from kith_protocol.parcel import ITEM_ID_BYTES, MAX_BODY_BYTES, MAX_ITEMS, Share, Withdraw
from kith_protocol.server_statement import MAX_TIME
from kith_protocol.suite import labelled_hash

MAX_PAYLOAD_BYTES: Final = MAX_BODY_BYTES - 16 * 1024
"""A parcel must hold one payload beside both full lists of versions."""
MAX_PROPERTIES: Final = 512
MAX_PROPERTY_NAME_BYTES: Final = 128
MAX_PARAMETERS: Final = 64
MAX_PARAMETER_BYTES: Final = 4096
MAX_VALUE_BYTES: Final = 64 * 1024
MAX_NOTE_BYTES: Final = 64 * 1024
MAX_PHOTO_BYTES: Final = 56 * 1024
MAX_MEDIA_TYPE_BYTES: Final = 64
WITHDRAWN: Final = b""
"""Stands for the digest of an item that was withdrawn."""


class ShareKind(IntEnum):
    """What a share's payload is."""

    MY_CARD = 1
    CONTACT_CARD = 2
    NOTE = 3
    PHOTO = 4


class SharedProperty(Statement, frozen=True):
    """One vCard property as the sender keeps it: raw value, names and parameters in their original case."""

    group: str
    name: str
    params: tuple[tuple[str, tuple[str, ...]], ...]
    value: str

    def check(self) -> None:
        if not 0 < len(self.name.encode()) <= MAX_PROPERTY_NAME_BYTES or len(self.group) > MAX_PROPERTY_NAME_BYTES:
            raise DecodingError("The name of a shared property is missing or too long.")
        if len(self.params) > MAX_PARAMETERS or len(self.value.encode()) > MAX_VALUE_BYTES:
            raise DecodingError("A shared property is too long.")
        for name, values in self.params:
            if len(name.encode()) + sum(len(value.encode()) for value in values) > MAX_PARAMETER_BYTES:
                raise DecodingError("A parameter of a shared property is too long.")


class CardView(Statement, frozen=True):
    """The part of the sender's own card that this peer gets to see."""

    properties: tuple[SharedProperty, ...]

    def check(self) -> None:
        _check_properties(self.properties)


class ContactCard(Statement, frozen=True):
    """Somebody's card, from the sender's address book."""

    label: str
    """What the sender calls it."""
    properties: tuple[SharedProperty, ...]

    def check(self) -> None:
        if len(self.label.encode()) > MAX_LABEL_BYTES:
            raise DecodingError("The label of a shared card is too long.")
        _check_properties(self.properties)


class NoteKind(IntEnum):
    NOTE = 1
    MET = 2
    CALL = 3
    PROMISE = 4


class SharedNote(Statement, frozen=True):
    """A note, without its reminder."""

    kind: NoteKind
    at: int
    """Milliseconds since 1970: when it happened."""
    subject: str
    """The name of the person that it is about."""
    text: str

    def check(self) -> None:
        if not -MAX_TIME <= self.at <= MAX_TIME:
            raise DecodingError("The date of a shared note is out of its bounds.")
        if len(self.subject.encode()) > MAX_LABEL_BYTES or len(self.text.encode()) > MAX_NOTE_BYTES:
            raise DecodingError("A shared note is too long.")


class SharedPhoto(Statement, frozen=True):
    """A photo; an item of its own, so that a new phone number does not send it again."""

    SIZES: ClassVar[Mapping[str, int]] = {"card": ITEM_ID_BYTES}

    card: bytes
    """The item of the card that it belongs to."""
    media_type: str
    data: bytes

    def check(self) -> None:
        super().check()
        if not self.media_type.startswith("image/") or len(self.media_type.encode()) > MAX_MEDIA_TYPE_BYTES:
            raise DecodingError("A shared photo is not an image.")
        if not 0 < len(self.data) <= MAX_PHOTO_BYTES:
            raise DecodingError(f"A shared photo has at most {MAX_PHOTO_BYTES} bytes.")


Payload = CardView | ContactCard | SharedNote | SharedPhoto

_PAYLOADS: Final[Mapping[ShareKind, type[CardView] | type[ContactCard] | type[SharedNote] | type[SharedPhoto]]] = {
    ShareKind.MY_CARD: CardView,
    ShareKind.CONTACT_CARD: ContactCard,
    ShareKind.NOTE: SharedNote,
    ShareKind.PHOTO: SharedPhoto,
}
_KINDS: Final = {payload: kind for kind, payload in _PAYLOADS.items()}


def make_share(item: bytes, version: int, payload: Payload) -> Share:
    """The message that shares `payload`. Raises `DecodingError` where it is out of its bounds."""
    payload.check()
    share = Share(item, version, int(_KINDS[type(payload)]), encode(payload))
    share.check()
    _check_length(share)
    return share


def payload_of(share: Share) -> Payload | None:
    """What is shared; `None` for a kind that this program does not know. Raises `DecodingError`."""
    _check_length(share)
    try:
        kind = ShareKind(share.kind)
    except ValueError:
        return None
    return decode(share.payload, _PAYLOADS[kind])


def digest_of(message: Share | Withdraw) -> bytes:
    """What to remember of an item beside its version: a hash of its contents (32 bytes), or `WITHDRAWN`."""
    if isinstance(message, Withdraw):
        return WITHDRAWN
    return labelled_hash(labels.ITEM, message.item, message.kind.to_bytes(8, "big", signed=True), message.payload)


class Decision(Enum):
    """What becomes of a message about an item."""

    TAKE = auto()
    IGNORE = auto()
    """The same or a later version is known."""


def apply_share(known: Mapping[bytes, tuple[int, bytes]], message: Share | Withdraw) -> Decision:
    """Decides over a message; `known` maps items, withdrawn ones too, to (version, `digest_of`).

    Raises `Refused` with `item-equivocation` where one version has two contents, and `too-many-items`.
    """
    digest = digest_of(message)
    before = known.get(message.item)
    if before is not None and message.version < before[0]:
        return Decision.IGNORE
    if before is not None and message.version == before[0]:
        if digest != before[1]:
            raise Refused("item-equivocation", "The peer sent two different things as one version of an item.")
        return Decision.IGNORE
    _check_room(known, message)
    return Decision.TAKE


def _check_room(known: Mapping[bytes, tuple[int, bytes]], message: Share | Withdraw) -> None:
    others = sum(1 for item, (_, digest) in known.items() if digest != WITHDRAWN and item != message.item)
    if isinstance(message, Share) and others >= MAX_ITEMS:
        raise Refused("too-many-items", f"A peer shares at most {MAX_ITEMS} items.")


def _check_length(share: Share) -> None:
    if len(share.payload) > MAX_PAYLOAD_BYTES:
        raise DecodingError(f"A share holds at most {MAX_PAYLOAD_BYTES} bytes.")


def _check_properties(properties: tuple[SharedProperty, ...]) -> None:
    if len(properties) > MAX_PROPERTIES:
        raise DecodingError(f"A shared card has at most {MAX_PROPERTIES} properties.")
    for item in properties:
        item.check()
