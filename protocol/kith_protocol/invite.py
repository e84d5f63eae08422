"""Invites: a link with a one-time secret, and the greeting that waits under it (spec: invite.md).

All that a server needs to hold an invite comes from the secret by one-way derivation. What happens with a greeting is
decided in `handshake`; showing, revoking and counting invites is left to the client.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from kith_protocol import labels
from kith_protocol.codes import CodeKind, check_kind
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import (
    Alarm,
    AlarmCode,
    BadKey,
    BadSignature,
    DecodingError,
    Refused,
    Undecryptable,
)
from kith_protocol.gateway import LINK_ID_BYTES
from kith_protocol.host import check_host, parse_host
from kith_protocol.mailbox import MAILBOX_BYTES, MailboxAddress
from kith_protocol.padding import INNER_CLASSES, pad_to, unpad
from kith_protocol.persona import MAX_PERSONA_BYTES, PersonaStatement, verify_persona
from kith_protocol.server_statement import FINGERPRINT_BYTES, MAX_TIME
from kith_protocol.suite import (
    BOX_OVERHEAD,
    KEY_BYTES,
    SEAL_KEY_BYTES,
    SEED_BYTES,
    SUITE,
    SealKey,
    check_seal_key,
    decrypt,
    derive,
    encrypt,
    labelled_hash,
)
from kith_protocol.wire import INVITE_SECRET_BYTES as INVITE_SECRET_BYTES

INVITE_LIFETIME: Final = 7 * 24 * 3600 * 1000
"""Milliseconds that an invite lives by default."""
NEW_INVITE_RANDOM_BYTES: Final = INVITE_SECRET_BYTES + MAILBOX_BYTES + SEED_BYTES
MAX_NAME_BYTES: Final = 80
"""UTF-8 bytes of a display name in a greeting or an answer: what the largest answer has room for."""
GREETING_BYTES: Final = INNER_CLASSES[1]

_LINK: Final = re.compile(r"(?:kith:([^#/]*)|https://([^#/]*)/i)#([^#]*)", re.ASCII | re.IGNORECASE)
_TOKEN: Final = re.compile(r"1\.([A-Za-z0-9_-]{64})", re.ASCII)
_VERSION: Final = re.compile(r"[0-9]+\..*", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Invite:
    """What a link says."""

    host: str
    secret: bytes
    fingerprint: bytes
    """Of the server at `host`."""

    def __repr__(self) -> str:
        return "Invite(...)"

    @property
    def link_id(self) -> bytes:
        """Under which the server keeps the greeting, 16 bytes."""
        return derive(self.secret, labels.INVITE_ID, length=LINK_ID_BYTES)

    @property
    def greeting_key(self) -> bytes:
        """Encrypts the greeting, 32 bytes."""
        return derive(self.secret, labels.INVITE_KEY, length=KEY_BYTES)

    @property
    def mailbox(self) -> MailboxAddress:
        """Where the answer goes."""
        write_id = derive(self.secret, labels.INVITE_MAILBOX, length=MAILBOX_BYTES)
        seed = derive(self.secret, labels.INVITE_DEPOSIT, length=SEED_BYTES)
        return MailboxAddress(self.host, self.fingerprint, write_id, seed)


def parse_link(text: str) -> Invite:
    """Reads `kith:HOST#1.…` or `https://HOST/i#1.…`.

    Raises `Refused` with `wrong-code`, `invite-link`, `invite-version` or `bad-host`; none of them repeats the link.
    """
    check_kind(text, CodeKind.INVITE)
    found = _LINK.fullmatch(text.strip())
    if found is None:
        raise Refused("invite-link", "An invite is a link that begins with kith: or https: and has a # in it.")
    host, token = found[1] or found[2] or "", _TOKEN.fullmatch(found[3])
    if token is None:
        if _VERSION.fullmatch(found[3]) and not found[3].startswith("1."):
            raise Refused("invite-version", "The invite needs a newer Kithbook.")
        raise Refused("invite-link", "The invite is incomplete or damaged; copy all of it.")
    # 64 characters of the alphabet are 48 bytes, and no other 64 characters are the same ones.
    both = base64.urlsafe_b64decode(token[1])
    return Invite(parse_host(host).removesuffix(":443"), both[:INVITE_SECRET_BYTES], both[INVITE_SECRET_BYTES:])


def format_link(invite: Invite, *, web: bool = False) -> str:
    """The link's text; `web` gives the `https:` form for people who have no client yet."""
    token = base64.urlsafe_b64encode(invite.secret + invite.fingerprint).decode("ascii")
    return f"https://{invite.host}/i#1.{token}" if web else f"kith:{invite.host}#1.{token}"


class Greeting(Statement, frozen=True):
    """What whoever opens an invite learns of the inviter. The mailbox for the answer comes from the secret."""

    SIZES: ClassVar[Mapping[str, int]] = {"seal_key": SEAL_KEY_BYTES}

    suite: int
    persona: bytes
    """The signed persona statement."""
    name: str
    seal_key: bytes
    """Of this invite alone: the answer's secret is sealed to it."""
    expires: int
    """Milliseconds since 1970."""
    reusable: bool
    """Whether the answer is a request that a person decides on."""

    def check(self) -> None:
        super().check()
        if self.suite != SUITE:
            raise DecodingError("A greeting names another suite than the link does.")
        check_name(self.name)
        if not 0 <= self.expires <= MAX_TIME or len(self.persona) > MAX_PERSONA_BYTES:
            raise DecodingError("A greeting holds a value out of its bounds.")


class OwnInvite(Statement, frozen=True):
    """All that the inviter keeps of an invite, in the vault, until it is consumed, revoked or expired."""

    SIZES: ClassVar[Mapping[str, int]] = {
        "secret": INVITE_SECRET_BYTES,
        "fingerprint": FINGERPRINT_BYTES,
        "read_id": MAILBOX_BYTES,
        "seal_seed": SEED_BYTES,
    }

    host: str
    secret: bytes
    fingerprint: bytes
    read_id: bytes
    """Names the mailbox of the answers to its owner."""
    seal_seed: bytes
    """Of the key in the greeting."""
    greeting: bytes
    """As encoded, because signatures cover these bytes."""

    def __repr__(self) -> str:
        return "OwnInvite(...)"

    @property
    def invite(self) -> Invite:
        return Invite(self.host, self.secret, self.fingerprint)

    def check(self) -> None:
        super().check()
        check_host(self.host)


@dataclass(frozen=True, slots=True)
class OpenedGreeting:
    """A greeting that was verified."""

    raw: bytes
    """As encoded, before sealing."""
    greeting: Greeting
    persona: PersonaStatement


def new_invite(
    host: str, fingerprint: bytes, persona: bytes, name: str, expires: int, *, reusable: bool, randomness: bytes
) -> OwnInvite:
    """A fresh invite by the owner of the signed `persona`; `randomness` is 80 random bytes, `expires` milliseconds.

    Raises `Refused` (`name-too-long`, `name-not-text`).
    """
    if len(randomness) != NEW_INVITE_RANDOM_BYTES:
        raise Refused("randomness", f"A new invite takes {NEW_INVITE_RANDOM_BYTES} random bytes.")
    bound_name(name)
    secret, rest = randomness[:INVITE_SECRET_BYTES], randomness[INVITE_SECRET_BYTES:]
    read_id, seal_seed = rest[:MAILBOX_BYTES], rest[MAILBOX_BYTES:]
    greeting = Greeting(SUITE, persona, name, SealKey(seal_seed).public, expires, reusable)
    greeting.check()
    own = OwnInvite(parse_host(host), secret, fingerprint, read_id, seal_seed, encode(greeting))
    own.check()
    return own


def seal_greeting(own: OwnInvite, *, nonce: bytes) -> bytes:
    """What the server keeps under the link id: `suite ‖ box`, 14,848 bytes; `nonce` is 24 fresh random bytes."""
    invite = own.invite
    padded = pad_to(own.greeting, GREETING_BYTES - 1 - BOX_OVERHEAD)
    suite = bytes([SUITE])
    return suite + encrypt(invite.greeting_key, labels.GREETING, suite + invite.link_id, padded, nonce=nonce)


def open_greeting(invite: Invite, sealed: bytes, now: int) -> OpenedGreeting:
    """Opens and verifies the greeting that a server gave for `invite`; `now` in milliseconds.

    Raises the alarm `greeting-forged` for anything that the inviter cannot have made (the link's version fixes the
    suite), and `Refused` (`invite-expired`, `unknown-suite`).
    """
    try:
        opened = _open(invite, sealed)
    except (Undecryptable, DecodingError, BadSignature, BadKey):
        raise Alarm(
            AlarmCode.GREETING_FORGED, "The server gave a greeting that the person who invited cannot have made."
        ) from None
    if opened.greeting.expires < now:
        raise Refused("invite-expired", "The invite has expired; ask for a new one.")
    return opened


def greeting_hash(raw: bytes) -> bytes:
    """How the handshake names a greeting, 32 bytes."""
    return labelled_hash(labels.GREETING_HASH, raw)


def bound_name(name: str) -> None:
    """Raises `Refused` (`name-too-long`, `name-not-text`) for a display name that no greeting or answer can carry."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise Refused("name-not-text", "The display name holds something that is not text; type it again.") from None
    if length > MAX_NAME_BYTES:
        raise Refused("name-too-long", f"A display name has at most {MAX_NAME_BYTES} bytes; use a shorter one.")


def check_name(name: str) -> None:
    """The same for a name inside a statement: raises `DecodingError`."""
    if len(name.encode()) > MAX_NAME_BYTES:
        raise DecodingError("A display name is too long.")


def _open(invite: Invite, sealed: bytes) -> OpenedGreeting:
    if len(sealed) != GREETING_BYTES or sealed[0] != SUITE:
        raise Undecryptable("A greeting has the wrong size.")
    raw = unpad(decrypt(invite.greeting_key, labels.GREETING, sealed[:1] + invite.link_id, sealed[1:]))
    greeting = decode(raw, Greeting)
    check_seal_key(greeting.seal_key)
    return OpenedGreeting(raw, greeting, verify_persona(greeting.persona))
