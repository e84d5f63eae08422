"""What a client and its home server say to each other over HTTP (spec: home-server.md). Every body is MessagePack."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import ClassVar, Final

import msgspec

from kith_protocol.commit import MAX_CHANGES, RECORD_ID_BYTES
from kith_protocol.encoding import Statement
from kith_protocol.errors import DecodingError
from kith_protocol.mailbox import MAILBOX_BYTES, SLOT_BYTES, MailboxKind
from kith_protocol.member import Member
from kith_protocol.padding import INNER_CLASSES
from kith_protocol.suite import HASH_BYTES, SIGN_KEY_BYTES, SIGNATURE_BYTES

CONTENT_TYPE: Final = "application/x-msgpack"
MAX_PUSH_BYTES: Final = 16 * 1024 * 1024
MAX_FRAME_BYTES: Final = 4 * 1024 * 1024
"""One frame of the feed: a commit with its keys and change list, or a batch of records."""
MAX_PART_BYTES: Final = 5 * 1024 * 1024
"""Frames sent at once while a server is filled: at least one of the largest."""
MAX_FOLLOW_BYTES: Final = 2 * 1024 * 1024
LINK_ID_BYTES: Final = 16
INVITE_SECRET_BYTES: Final = 32
TOKEN_BYTES: Final = 32
MAX_RENDEZVOUS_BYTES: Final = INNER_CLASSES[1]
"""As large as the messages of a handshake, which pass a rendezvous as they are."""
RENDEZVOUS_MESSAGES: Final = 6
"""Of each side of a meeting."""
NAMEPLATE: Final = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)
MAX_GREETING_BYTES: Final = 16 * 1024


class Failure(Statement, frozen=True):
    """Body of every answer that is not a success."""

    code: str
    message: str


class Register(Statement, frozen=True):
    """`POST /v1/vaults`: begins a vault. Repeating it changes nothing."""

    token: str
    """Registration token; empty where registration is open."""
    genesis: bytes
    keys: bytes


class SessionRequest(Statement, frozen=True):
    """`POST /v1/sessions`."""

    SIZES: ClassVar[Mapping[str, int]] = {"signature": SIGNATURE_BYTES}

    statement: bytes
    signature: bytes


class SessionGrant(Statement, frozen=True):
    SIZES: ClassVar[Mapping[str, int]] = {"token": TOKEN_BYTES}

    token: bytes
    expires: int
    """Milliseconds since 1970, by the server's clock."""


class Push(Statement, frozen=True):
    """`POST /v1/vaults/{vault}/commits`: one commit with its records, atomic, on the current head."""

    commit: bytes
    keys: bytes
    changes: bytes
    records: tuple[tuple[bytes, bytes], ...]
    """`(record id, sealed record)` in the order of the change list; deleted ones have no entry."""

    def check(self) -> None:
        if len(self.records) > MAX_CHANGES:
            raise DecodingError(f"A push has at most {MAX_CHANGES} records.")
        if any(len(record) != RECORD_ID_BYTES for record, _ in self.records):
            raise DecodingError("A record id has 16 bytes.")


class Head(Statement, frozen=True):
    """The last commit of a vault: answer to a push, and to a poll."""

    SIZES: ClassVar[Mapping[str, int]] = {"hash": HASH_BYTES}

    number: int
    hash: bytes


# Filling a server with a vault that exists (spec: move.md): `BeginFill`, then parts of `FeedCommit` and `FeedRecords`
# frames in the order of a feed, last the `Head` that stands then.


class BeginFill(Statement, frozen=True):
    """`POST /v1/fills`: begins to fill the server, or goes on with what the same member began."""

    SIZES: ClassVar[Mapping[str, int]] = {"signature": SIGNATURE_BYTES}

    token: str
    """Registration token; empty where registration is open, or a fill of this vault began. Used up when it begins."""
    genesis: bytes
    keys: bytes
    member: Member
    """Who fills, and has to be a member when the vault is whole."""
    statement: bytes
    signature: bytes
    anew: bool
    """Whether what was filled so far is dropped."""

    def check(self) -> None:
        super().check()
        self.member.check()


class FillGrant(Statement, frozen=True):
    """Answer to `BeginFill`: a token for what follows, and the place after which to go on."""

    SIZES: ClassVar[Mapping[str, int]] = {"token": TOKEN_BYTES, "record": RECORD_ID_BYTES}

    token: bytes
    number: int
    """Of the last commit that is there."""
    record: bytes
    """The last record of that commit that is there; zeros where there is none."""


class Follow(Statement, frozen=True):
    """`POST /v1/vaults/{vault}/followed`: commits and sealed keys without records, so that the server which the vault
    left knows who is a member. The answer is `Followed`."""

    commits: tuple[tuple[bytes, bytes], ...]


class Followed(Statement, frozen=True):
    """What a server knows of a vault that left it."""

    known: Head
    """The last commit that was told; where none was, `here`."""
    here: Head
    """The last commit that was written here."""


# The feed, `GET /v1/vaults/{vault}/changes?after=N`: frames, each preceded by its length in four bytes, big-endian:
# first `FeedHead`, then for each commit after N one `FeedCommit` and the `FeedRecords` that it wrote and that still
# stand, last `FeedEnd`. `after=-1` streams the whole vault, genesis first.


class FeedHead(Statement, frozen=True, tag=1):
    """First frame: the head as the server has it now, and how much is to come."""

    SIZES: ClassVar[Mapping[str, int]] = {"hash": HASH_BYTES}

    number: int
    hash: bytes
    records: int
    """Records that will follow, for a progress bar; not to be relied upon."""


class FeedCommit(Statement, frozen=True, tag=2):
    commit: bytes
    keys: bytes
    changes: bytes
    """The change list; empty where it is older than the horizon."""


class FeedRecords(Statement, frozen=True, tag=3):
    """Records of the commit before it in the feed."""

    records: tuple[tuple[bytes, bytes], ...]

    def check(self) -> None:
        if any(len(record) != RECORD_ID_BYTES for record, _ in self.records):
            raise DecodingError("A record id has 16 bytes.")


class FeedEnd(Statement, frozen=True, tag=4):
    """Last frame: the head when the feed ended. A feed without it broke off."""

    number: int


Frame = FeedHead | FeedCommit | FeedRecords | FeedEnd

_encoder = msgspec.msgpack.Encoder()
_frame_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


def encode_frame(frame: Frame) -> bytes:
    """`length (4 bytes) ‖ frame`."""
    raw = _encoder.encode(frame)
    return len(raw).to_bytes(4, "big") + raw


def split_frames(raw: bytes | bytearray) -> list[Frame]:
    """Frames one after the other, each with its length. Raises `DecodingError`, also for a part of one at the end."""
    frames: list[Frame] = []
    place = 0
    while place < len(raw):
        size = int.from_bytes(raw[place : place + 4], "big")
        body = bytes(raw[place + 4 : place + 4 + size])
        if len(raw) < place + 4 or len(body) != size or size > MAX_FRAME_BYTES:
            raise DecodingError("A part of a feed is cut off or too long.")
        frames.append(decode_frame(body))
        place += 4 + size
    return frames


def decode_frame(raw: bytes) -> Frame:
    """One frame without its length. Raises `DecodingError`."""
    try:
        frame = _frame_decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        raise DecodingError("The server sent something that is not a part of a feed.") from None
    frame.check()
    return frame


# Mailboxes and greetings, the owner's side


class OpenMailbox(Statement, frozen=True):
    """`PUT /v1/vaults/{vault}/mailboxes/{read id}`. Repeating it changes nothing."""

    SIZES: ClassVar[Mapping[str, int]] = {"mailbox": MAILBOX_BYTES, "deposit_key": SIGN_KEY_BYTES}

    mailbox: bytes
    """The write id, which the peer knows."""
    deposit_key: bytes
    kind: MailboxKind


class PutGreeting(Statement, frozen=True):
    """`PUT /v1/vaults/{vault}/greetings/{link id}`."""

    sealed: bytes
    expires: int

    def check(self) -> None:
        if len(self.sealed) > MAX_GREETING_BYTES:
            raise DecodingError("A greeting is too long.")


class PutHandle(Statement, frozen=True):
    """`PUT /v1/vaults/{vault}/handles/{handle id}`. Repeating it changes nothing."""

    secret: bytes
    """Of the reusable invite that whoever asks for the handle gets; empty keeps the handle and shows it to nobody."""

    def check(self) -> None:
        if len(self.secret) not in (0, INVITE_SECRET_BYTES):
            raise DecodingError("A handle leads to the secret of an invite, or to nothing.")


class ReplacedRecord(Statement, frozen=True):
    """A sealed record that does not stand any more."""

    SIZES: ClassVar[Mapping[str, int]] = {"record": RECORD_ID_BYTES}

    number: int
    """Of the commit that replaced or deleted it."""
    record: bytes
    written: int
    """Of the commit that had written it, whose change list names its hash."""
    sealed: bytes


class ReplacedPage(Statement, frozen=True):
    """`GET /v1/vaults/{vault}/replaced?after=NUMBER&record=ID`: what was replaced or deleted in the last 30 days,
    oldest first. Number and record of the last entry give the next page; an empty one is the end."""

    records: tuple[ReplacedRecord, ...]

    def check(self) -> None:
        for record in self.records:
            record.check()


class StoredParcel(Statement, frozen=True):
    """A parcel as its owner fetches it."""

    SIZES: ClassVar[Mapping[str, int]] = {"mailbox": MAILBOX_BYTES, "slot": SLOT_BYTES}

    mailbox: bytes
    """The read id."""
    slot: bytes
    sequence: int
    parcel: bytes


class ParcelPage(Statement, frozen=True):
    """`GET /v1/vaults/{vault}/parcels?after=CURSOR`: what waits in all mailboxes of the vault, in order of arrival."""

    parcels: tuple[StoredParcel, ...]
    cursor: int
    """Give it as `after` to go on; unchanged where nothing follows."""

    def check(self) -> None:
        for parcel in self.parcels:
            parcel.check()


class DeleteParcels(Statement, frozen=True):
    """`POST /v1/vaults/{vault}/parcels/delete`: by SHA-256 of the parcel, once its content is in the vault."""

    hashes: tuple[bytes, ...]


# The relay


class RelayState(IntEnum):
    QUEUED = 1
    """Kept and tried again; ask later, or hand it over again to have it tried at once."""
    ANSWERED = 2
    """`answer` holds the sealed answer of the destination."""
    GIVEN_UP = 3
    """The destination could not be reached for 14 days, or this server must not reach out to it."""


class RelayRequest(Statement, frozen=True):
    """`POST /v1/vaults/{vault}/relay`: forward a sealed request. Repeating it tries again and changes nothing else."""

    host: str
    request: bytes


class RelayAnswer(Statement, frozen=True):
    """Also the answer to `GET /v1/vaults/{vault}/relay/{SHA-256 of the request}`; `DELETE` there forgets it."""

    state: RelayState
    answer: bytes
    reason: str
    """In plain words, where it is not answered."""


class Purpose(StrEnum):
    """What a code, and the nameplate in it, is for; a code for one thing opens no other."""

    DEVICE = "device"
    MEET = "meet"


class Nameplate(Statement, frozen=True):
    """Answer to `POST /v1/vaults/{vault}/rendezvous/{purpose}`: where two devices meet for ten minutes."""

    nameplate: str
    expires: int
