"""Adding a device, and meeting: two machines that share a short code agree on keys and swap a few statements
(spec: linking.md).

The code is good for one try: whatever goes wrong burns it. Carrying the messages, the ten minutes, asking the person,
and the commit that adds the member are left to the client; counting nameplates to the server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from kith_protocol import labels
from kith_protocol.commit import MAX_NUMBER
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import BadKey, BadSignature, DecodingError, KithError, Refused, Undecryptable
from kith_protocol.host import check_host, host_of_url, parse_host
from kith_protocol.invite import INVITE_SECRET_BYTES, Invite, check_name
from kith_protocol.link_code import LinkCode
from kith_protocol.member import Member
from kith_protocol.padding import INNER_CLASSES, pad_to, unpad
from kith_protocol.persona import MAX_PERSONA_BYTES, OwnPersona, PersonaStatement
from kith_protocol.server_statement import FINGERPRINT_BYTES
from kith_protocol.suite import (
    BOX_OVERHEAD,
    HASH_BYTES,
    HYBRID_SIGNATURE_BYTES,
    decrypt,
    derive,
    encrypt,
    equal,
    frame,
    labelled_hash,
    mac,
    verify_hybrid,
)
from kith_protocol.wire import Purpose as Purpose

if TYPE_CHECKING:
    from spake2 import SPAKE2_A, SPAKE2_B

LINK_LIFETIME: Final = 10 * 60 * 1000
"""Milliseconds that a code lives."""
EXCHANGE_BYTES: Final = 33
"""A SPAKE2 message: the side's letter and a group element."""
LINK_MESSAGE_BYTES: Final = INNER_CLASSES[0]
"""Every message after the confirmation has this length where a device is added."""
MEET_MESSAGE_BYTES: Final = INNER_CLASSES[1]
"""The same where two people meet: as long as the messages of the handshake that pass beside them."""
MAX_MESSAGES: Final = 16
"""Messages each way on one code."""
MAX_DEVICE_NAME_BYTES: Final = 200
MAX_URL_BYTES: Final = 512

_BURNED: Final = "The code is used up: it was typed wrong, or somebody guessed at it. Ask for a new one."


class LinkRole(StrEnum):
    """Who shows the code, and who types it."""

    SHOWS = "shows"
    TYPES = "types"


# Messages once both have confirmed


class JoinRequest(Statement, frozen=True):
    """The new device to the old one: add these keys."""

    member: Member
    name: str

    def check(self) -> None:
        self.member.check()
        self.member.check_keys()
        if len(self.name.encode()) > MAX_DEVICE_NAME_BYTES:
            raise DecodingError(f"The name of a device has at most {MAX_DEVICE_NAME_BYTES} bytes.")


class JoinGrant(Statement, frozen=True):
    """The old device to the new one, after its commit: where the vault is, and from which head to check the chain."""

    SIZES: ClassVar[Mapping[str, int]] = {
        "fingerprint": FINGERPRINT_BYTES,
        "vault": HASH_BYTES,
        "head": HASH_BYTES,
        "person": HASH_BYTES,
    }

    server: str
    """The home server's URL."""
    fingerprint: bytes
    vault: bytes
    number: int
    """Of the commit that is the head."""
    head: bytes
    """Its hash."""
    person: bytes

    def check(self) -> None:
        super().check()
        if not 0 <= self.number <= MAX_NUMBER or len(self.server) > MAX_URL_BYTES:
            raise DecodingError("A grant holds a value out of its bounds.")
        try:
            host_of_url(self.server)
        except Refused:
            raise DecodingError("A grant names no server.") from None


class MeetInvite(Statement, frozen=True):
    """Who shows the code to who types it: the invite whose greeting, answer and finish pass the same way."""

    SIZES: ClassVar[Mapping[str, int]] = {
        "secret": INVITE_SECRET_BYTES,
        "fingerprint": FINGERPRINT_BYTES,
        "proof": HYBRID_SIGNATURE_BYTES,
    }

    host: str
    secret: bytes
    fingerprint: bytes
    proof: bytes
    """Of the persona and name in the greeting that follows (`LinkMachine.prove`)."""

    @property
    def invite(self) -> Invite:
        return Invite(self.host, self.secret, self.fingerprint)

    def check(self) -> None:
        super().check()
        check_host(self.host)


class MeetReady(Statement, frozen=True):
    """Either side: I see who you are and agree; this is who I am. The handshake that follows has to show it."""

    SIZES: ClassVar[Mapping[str, int]] = {"proof": HYBRID_SIGNATURE_BYTES}

    persona: bytes
    """The signed persona statement."""
    name: str
    proof: bytes
    """That it is the one with these keys who speaks here (`LinkMachine.prove`)."""

    def check(self) -> None:
        super().check()
        check_name(self.name)
        if len(self.persona) > MAX_PERSONA_BYTES:
            raise DecodingError("A persona statement is too long.")


class LinkEnd(Statement, frozen=True):
    """Either side: I go no further. It does not say why."""


LinkStatement = JoinRequest | JoinGrant | MeetInvite | MeetReady | LinkEnd
LinkMessage = TypeVar("LinkMessage", JoinRequest, JoinGrant, MeetInvite, MeetReady, LinkEnd)


_END: Final = encode(LinkEnd())

# The machine


class LinkState(Enum):
    """Where one side stands."""

    IDLE = auto()
    EXCHANGING = auto()
    """Our SPAKE2 message is out; theirs is awaited."""
    CONFIRMING = auto()
    """Our confirmation is out; theirs is awaited. Nothing else may leave."""
    OPEN = auto()
    """Both know the code: messages may go."""
    BURNED = auto()
    """Something was wrong. Final."""


class LinkEvent(Enum):
    STARTED = auto()
    EXCHANGED = auto()
    CONFIRMED = auto()
    SENT = auto()
    RECEIVED = auto()
    FAILED = auto()


TRANSITIONS: Final[Mapping[tuple[LinkState, LinkEvent], LinkState]] = {
    (LinkState.IDLE, LinkEvent.STARTED): LinkState.EXCHANGING,
    (LinkState.EXCHANGING, LinkEvent.EXCHANGED): LinkState.CONFIRMING,
    (LinkState.CONFIRMING, LinkEvent.CONFIRMED): LinkState.OPEN,
    (LinkState.OPEN, LinkEvent.SENT): LinkState.OPEN,
    (LinkState.OPEN, LinkEvent.RECEIVED): LinkState.OPEN,
}
"""Every step that is allowed, for both roles; any other step, and every failure, leads to `BURNED`."""


class LinkMachine:
    """One side of a linking. Messages go out and come in as bytes, in order; errors burn the machine for good.

    Both sides `start`, and feed what arrives to `receive` until the state is `OPEN`; then `seal` and `open`.
    """

    def __init__(self, role: LinkRole, code: LinkCode, host: str, purpose: Purpose = Purpose.DEVICE) -> None:
        self._role = role
        self._code = code
        self._length = MEET_MESSAGE_BYTES if purpose is Purpose.MEET else LINK_MESSAGE_BYTES
        self._identities = tuple(_identity(purpose, side, host, code.nameplate) for side in LinkRole)
        self._state = LinkState.IDLE
        self._sent = 0
        self._received = 0
        self._outbound = b""
        self._key = b""
        self._transcript = b""
        self._spake: SPAKE2_A | SPAKE2_B | None = None

    @property
    def state(self) -> LinkState:
        return self._state

    @property
    def role(self) -> LinkRole:
        return self._role

    def burn(self) -> None:
        """Ends it: the time is over, or the person said no."""
        self._state = LinkState.BURNED

    def start(self, entropy: bytes) -> bytes:
        """The first message; `entropy` is 32 fresh random bytes. Costs some 15 ms."""
        self._step(LinkEvent.STARTED)
        self._spake = self._new_spake(entropy)
        self._outbound = self._spake.start()
        return self._outbound

    def receive(self, message: bytes) -> bytes | None:
        """Takes the other side's exchange, giving our confirmation, or its confirmation, giving nothing.

        Raises `Refused` (`link-burned`) where anything is wrong. Costs some 15 ms.
        """
        if self._state is LinkState.CONFIRMING:
            expected = self._confirmation(self._other)
            self._step(LinkEvent.CONFIRMED if equal(expected, message) else LinkEvent.FAILED)
            return None
        self._step(LinkEvent.EXCHANGED)
        self._agree(message)
        return self._confirmation(self._role)

    def seal(self, message: LinkStatement, *, nonce: bytes) -> bytes:
        """Encrypts a message to the other side, as long as every one; `nonce` is 24 fresh random bytes."""
        message.check()
        self._step(LinkEvent.SENT if self._sent < MAX_MESSAGES else LinkEvent.FAILED)
        self._sent += 1
        padded = pad_to(encode(message), self._length - BOX_OVERHEAD)
        return encrypt(self._message_key(self._role), labels.LINK_MESSAGE, _count(self._sent), padded, nonce=nonce)

    def open(self, raw: bytes, kind: type[LinkMessage]) -> LinkMessage:
        """Decrypts the other side's next message. Raises `Refused` (`link-burned`) where anything is wrong, and
        `link-declined` for a `LinkEnd` in the place of another kind."""
        self._step(LinkEvent.RECEIVED if self._received < MAX_MESSAGES else LinkEvent.FAILED)
        self._received += 1
        key = self._message_key(self._other)
        try:
            plain = unpad(decrypt(key, labels.LINK_MESSAGE, _count(self._received), raw))
            if plain == _END and kind is not LinkEnd:
                self.burn()
                raise Refused("link-declined", "The other side ended it. Nothing was kept.")
            return decode(plain, kind)
        except (Undecryptable, DecodingError, BadKey):
            raise self._burned() from None

    def prove(self, me: OwnPersona, name: str) -> bytes:
        """Signs, with the keys of a persona, that it is the one who knows this code and calls itself `name`.

        Good for this exchange and this side of it only. Costs some ms.
        """
        self._check_open()
        return me.sign.sign(labels.MEET_PROOF, self._confirmation(self._role), name.encode())

    def check_proof(self, persona: PersonaStatement, name: str, proof: bytes) -> None:
        """Whether the other side is the one with the keys of `persona`, a verified statement, under that name.

        A statement is known to every peer, so it proves nothing by itself. Raises `Refused` (`link-burned`).
        """
        self._check_open()
        fields = self._confirmation(self._other), name.encode()
        try:
            verify_hybrid(persona.sign_key, labels.MEET_PROOF, *fields, signature=proof)
        except BadSignature:
            self.burn()
            raise Refused(
                "link-burned", "The other side could not show that it is who it says. Nothing was kept."
            ) from None

    @property
    def _other(self) -> LinkRole:
        return LinkRole.TYPES if self._role is LinkRole.SHOWS else LinkRole.SHOWS

    def _check_open(self) -> None:
        if self._state is not LinkState.OPEN:
            raise self._burned()

    def _step(self, event: LinkEvent) -> None:
        following = TRANSITIONS.get((self._state, event))
        if following is None:
            raise self._burned()
        self._state = following

    def _burned(self) -> KithError:
        self._state = LinkState.BURNED
        return Refused("link-burned", _BURNED)

    def _new_spake(self, entropy: bytes) -> SPAKE2_A | SPAKE2_B:
        # Imported here: it precomputes for a tenth of a second, and few commands need it.
        from spake2 import SPAKE2_A, SPAKE2_B

        side = SPAKE2_A if self._role is LinkRole.SHOWS else SPAKE2_B
        shows, types = self._identities
        password = frame(labels.LINK_CODE, self._code.secret)
        return side(password, idA=shows, idB=types, entropy_f=_stream(entropy))

    def _agree(self, message: bytes) -> None:
        from spake2 import SPAKEError
        from spake2.ed25519_basic import NotOnCurve

        if self._spake is None or len(message) != EXCHANGE_BYTES:
            raise self._burned()
        try:
            key = self._spake.finish(message)
        except (SPAKEError, NotOnCurve, ValueError):
            raise self._burned() from None
        ours_first = self._role is LinkRole.SHOWS
        messages = (self._outbound, message) if ours_first else (message, self._outbound)
        self._key = key
        self._transcript = labelled_hash(labels.LINK_TRANSCRIPT, *self._identities, *messages)

    def _confirmation(self, role: LinkRole) -> bytes:
        key = derive(self._key, labels.LINK_CONFIRM, role.encode(), self._transcript)
        return mac(key, labels.LINK_CONFIRM, role.encode(), self._transcript)

    def _message_key(self, sender: LinkRole) -> bytes:
        return derive(self._key, labels.LINK_KEY, sender.encode(), self._transcript)


def _identity(purpose: Purpose, role: LinkRole, host: str, nameplate: str) -> bytes:
    return frame(labels.LINK_IDENTITY, purpose.encode(), role.encode(), parse_host(host).encode(), nameplate.encode())


def _count(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _stream(entropy: bytes) -> Callable[[int], bytes]:
    """What SPAKE2 draws its scalar from, so that randomness stays an argument."""
    drawn = 0

    def draw(length: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return derive(entropy, labels.LINK_SCALAR, _count(drawn), length=length)

    return draw
