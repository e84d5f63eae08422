"""Scenarios of the formats `linking` and `wire`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kith_protocol import labels, wire
from kith_protocol.encoding import Statement, encode
from kith_protocol.link_code import LinkCode, spoken_code
from kith_protocol.linking import (
    JoinGrant,
    JoinRequest,
    LinkEnd,
    LinkMachine,
    LinkRole,
    LinkStatement,
    MeetInvite,
    Purpose,
)
from kith_protocol.mailbox import MailboxKind
from kith_protocol.member import Member, MemberKind
from kith_protocol.persona import PersonaStatement, SignedPersona, verify_persona
from kith_protocol.phrase import root_key
from kith_protocol.suite import HYBRID_SIGNATURE_BYTES, SUITE, SealKey, SignKey
from tests.protocol.people import FINGERPRINT, fixed, flip, hybrid
from tests.support.vectors.tape import Tape
from tests.support.vectors.vector import Json, Vector

CODE, HOST, NONCE = spoken_code("7", fixed("code", 5)), "a.example", fixed("nonce", 24)
MEMBER = Member(MemberKind.DEVICE, SignKey(fixed("sign")).public, SealKey(fixed("seal")).public)
JOIN = JoinRequest(MEMBER, "Annas Telefon")
MEET = MeetInvite("a.example", fixed("invite"), FINGERPRINT, fixed("proof", HYBRID_SIGNATURE_BYTES))
GRANT = JoinGrant("https://a.example", FINGERPRINT, fixed("vault"), 7, fixed("head"), fixed("person"))


def entropy(role: LinkRole) -> bytes:
    return fixed(f"entropy of who {role}")


class Pair:
    """Both sides of a linking, as far as the confirmations."""

    def __init__(
        self,
        typed: LinkCode = CODE,
        host: str = HOST,
        purpose: Purpose = Purpose.DEVICE,
        shown: Purpose = Purpose.DEVICE,
        shows: str = f"entropy of who {LinkRole.SHOWS}",
    ) -> None:
        self.old = LinkMachine(LinkRole.SHOWS, CODE, HOST, shown)
        self.new = LinkMachine(LinkRole.TYPES, typed, host, purpose)
        self.of_old, self.of_new = self.old.start(fixed(shows)), self.new.start(entropy(LinkRole.TYPES))
        self.confirm_old = self.old.receive(self.of_new) or b""
        self.confirm_new = self.new.receive(self.of_old) or b""

    def join(self) -> bytes:
        """The first message of the one who types."""
        self.new.receive(self.confirm_old)
        return self.new.seal(JOIN, nonce=NONCE)

    def grant(self, message: LinkStatement = GRANT) -> bytes:
        """The first message of the one who shows."""
        self.old.receive(self.confirm_new)
        return self.old.seal(message, nonce=NONCE)


def linkings() -> Iterator[Vector]:
    def vector(name: str, says: str, *incoming: bytes, fails: bool = True, role: LinkRole = LinkRole.SHOWS) -> Vector:
        inputs: dict[str, Json] = {
            "role": role.value,
            "purpose": "device",
            "code": CODE.text,
            "host": HOST,
            "entropy": entropy(role).hex(),
            "nonce": NONCE.hex(),
            "incoming": [message.hex() for message in incoming],
        }
        return Vector("linking", name, says, inputs, "link-burned" if fails else None)

    pair = Pair()
    exchange, confirm = pair.of_new, pair.confirm_new
    join, grant = Pair().join(), Pair().grant()
    types = LinkRole.TYPES
    yield vector("asked-to-join", "The side that shows the code.", exchange, confirm, join, fails=False)
    yield vector("granted", "The side that types it.", pair.of_old, pair.confirm_old, grant, fails=False, role=types)
    yield vector("exchange-only", "Both have exchanged; nothing may leave yet.", exchange, fails=False)
    for name, says, other in (
        ("wrong-words", "Somebody guessed.", Pair(spoken_code("7", fixed("guess", 5)))),
        ("other-nameplate", "The right words at another nameplate.", Pair(LinkCode("8", CODE.secret))),
        ("other-host", "The right words at another server.", Pair(host="b.example")),
        ("other-purpose", "The code was typed as one for meeting.", Pair(purpose=Purpose.MEET)),
    ):
        yield vector(name, says, other.of_new, other.confirm_new)
    yield vector("exchange-reflected", "Its own message comes back.", pair.of_old)
    yield vector("confirmation-reflected", "Its own confirmation comes back.", exchange, pair.confirm_old)
    yield vector("confirmation-first", "Nothing was exchanged.", confirm)
    yield vector("exchange-twice", "The exchange again, in place of the confirmation.", exchange, exchange)
    yield vector("exchange-short", "A byte is missing.", exchange[:-1])
    yield vector("exchange-long", "A zero at the end.", exchange + b"\x00")
    yield vector("not-a-group-element", "Ones only.", b"B" + b"\xff" * 32)
    yield vector("confirmation-altered", "One bit was changed.", exchange, flip(confirm, 0))
    yield vector("confirmation-cut", "A byte is missing.", exchange, confirm[:-1])
    yield vector("message-altered", "One bit was changed.", exchange, confirm, flip(join, -1))
    yield vector("message-cut", "A byte is missing.", exchange, confirm, join[:-1])
    yield vector("message-twice", "The same message again.", exchange, confirm, join, join)
    yield vector("message-reflected", "Its own message comes back.", exchange, confirm, grant)
    yield vector(
        "request-to-the-other-side", "Its own request comes back.", pair.of_old, pair.confirm_old, join, role=types
    )


def meetings(tape: Tape) -> Iterator[Vector]:
    """The side that types, as far as the invite that the line brings."""
    meet = Purpose.MEET

    def vector(name: str, says: str, sent: LinkStatement | bytes, fails: str | None = "link-burned") -> Vector:
        pair = Pair(purpose=meet, shown=meet)
        message = sent if isinstance(sent, bytes) else pair.grant(sent)
        inputs: dict[str, Json] = {
            "role": LinkRole.TYPES.value,
            "purpose": meet.value,
            "code": CODE.text,
            "host": HOST,
            "entropy": entropy(LinkRole.TYPES).hex(),
            "nonce": NONCE.hex(),
            "incoming": [part.hex() for part in (pair.of_old, pair.confirm_old, message)],
        }
        return Vector("linking", f"meeting-{name}", says, inputs, fails)

    yield from _proofs(tape)
    pair = Pair(purpose=meet, shown=meet)
    yield vector("invited", "The invite of the one who shows the code.", MEET, None)
    yield vector("ended", "In its place: this side goes no further.", LinkEnd(), "link-declined")
    yield vector("of-a-device", "A grant, as if a device were added.", GRANT)
    yield vector("altered", "One bit of the invite was changed.", flip(pair.grant(MEET), -1))
    yield vector(
        "of-another-code", "The invite of another meeting.", Pair(purpose=meet, shown=meet, shows="another").grant(MEET)
    )
    yield vector("cut", "A byte is missing.", Pair(purpose=meet, shown=meet).grant(MEET)[:-1])


def _proofs(tape: Tape) -> Iterator[Vector]:
    """The side that types checks whether the one who shows the code has the keys of a persona."""
    anna, carla = (_persona(tape, name) for name in ("anna", "carla"))
    pair = Pair(purpose=Purpose.MEET, shown=Purpose.MEET)
    other = Pair(purpose=Purpose.MEET, shown=Purpose.MEET, shows="another")

    def signed(confirmation: bytes) -> bytes:
        return tape.sign(hybrid("anna"), labels.MEET_PROOF, confirmation, b"Anna")

    proof = signed(pair.confirm_old)

    def vector(name: str, says: str, persona: bytes, proof: bytes, called: str = "Anna", fails: bool = True) -> Vector:
        inputs: dict[str, Json] = {
            "role": LinkRole.TYPES.value,
            "purpose": Purpose.MEET.value,
            "code": CODE.text,
            "host": HOST,
            "entropy": entropy(LinkRole.TYPES).hex(),
            "nonce": NONCE.hex(),
            "incoming": [part.hex() for part in (pair.of_old, pair.confirm_old)],
            "proof": {"persona": persona.hex(), "name": called, "signature": proof.hex()},
        }
        return Vector("linking", f"meeting-proof-{name}", says, inputs, "link-burned" if fails else None)

    yield vector("right", "Signed for this exchange, with the keys of the persona.", anna, proof, fails=False)
    yield vector("of-another", "The persona of somebody else, which every peer of theirs has.", carla, proof)
    yield vector("other-name", "Another name than the one signed.", anna, proof, "Carla")
    yield vector("altered", "One bit was changed.", anna, flip(proof, -1))
    yield vector("empty", "No signature.", anna, b"")
    yield vector("turned-back", "The proof of the side that types.", anna, signed(pair.confirm_new))
    yield vector("other-exchange", "Signed in another exchange.", anna, signed(other.confirm_old))


def _persona(tape: Tape, name: str) -> bytes:
    sign, seal = hybrid(name), SealKey(fixed(f"{name}-seal")).public
    root = root_key(fixed(name))
    body = encode(PersonaStatement(SUITE, root.public, sign.public, seal, 1))
    return encode(SignedPersona(body, tape.sign(root, labels.PERSONA, body)))


def wires() -> Iterator[Vector]:
    def vector(name: str, says: str, kind: str, raw: bytes, fails: bool = True) -> Vector:
        return Vector("wire", name, says, {"kind": kind, "body": raw.hex()}, "undecodable" if fails else None)

    def right(name: str, says: str, body: Statement) -> Vector:
        return vector(name, says, type(body).__name__, encode(body), False)

    def wrong(name: str, says: str, body: Statement) -> Vector:
        return vector(name, says, type(body).__name__, encode(body))

    id_, hash_ = fixed("id", 16), fixed("hash")
    head = wire.Head(3, hash_)
    raw = encode(head)
    push = wire.Push(b"commit", b"keys", b"changes", ((id_, b"sealed"),))
    yield right("head", "Answer to a push.", head)
    yield right("push", "A commit with one record.", push)
    yield right("failure", "What is not a success.", wire.Failure("head-moved", "The vault has moved on."))
    yield right("register", "Begins a vault.", wire.Register("", b"genesis", b"keys"))
    yield right("mailbox", "Opens a mailbox.", wire.OpenMailbox(id_, hash_, MailboxKind.PARCELS))
    yield right("replaced", "What does not stand any more.", wire.ReplacedPage((wire.ReplacedRecord(2, id_, 1, b"x"),)))
    yield wrong("head-short-hash", "A hash of 31 bytes.", wire.Head(3, hash_[:-1]))
    yield wrong("push-short-id", "A record id of 15 bytes.", wire.Push(b"", b"", b"", ((id_[1:], b""),)))
    many = tuple((number.to_bytes(16, "big"), b"") for number in range(1001))
    yield wrong("push-too-many", "1,001 records.", wire.Push(b"", b"", b"", many))
    yield wrong("session-short-token", "A token of 31 bytes.", wire.SessionGrant(hash_[1:], 0))
    yield wrong("session-short-signature", "A signature of 63 bytes.", wire.SessionRequest(b"", bytes(63)))
    yield wrong(
        "mailbox-short-key", "A deposit key of 31 bytes.", wire.OpenMailbox(id_, hash_[1:], MailboxKind.PARCELS)
    )
    yield wrong("greeting-too-long", "Over 16 KiB.", wire.PutGreeting(bytes(wire.MAX_GREETING_BYTES + 1), 0))
    short = wire.StoredParcel(id_, id_[1:], 1, b"")
    yield wrong("parcel-short-slot", "A slot of 15 bytes.", wire.ParcelPage((short,), 0))
    yield wrong(
        "replaced-short-id", "An id of 15 bytes.", wire.ReplacedPage((wire.ReplacedRecord(2, id_[1:], 1, b""),))
    )
    yield vector("unknown-field", "A field more than there is.", "Head", b"\x93" + raw[1:] + b"\x00")
    yield vector("missing-field", "A field is missing.", "Head", b"\x91\x03")
    yield vector("trailing-byte", "A byte after the end.", "Head", raw + b"\x00")
    yield vector("cut", "The last byte is missing.", "Head", raw[:-1])
    yield vector("long-integer", "3 in two bytes.", "Head", b"\x92\xcc\x03" + raw[2:])
    yield vector("long-length", "A length in two bytes that fits in one.", "Head", raw[:2] + b"\xc5\x00\x20" + hash_)
    yield vector("unknown-kind-of-mailbox", "A kind that there is not.", "OpenMailbox", _kind(id_, hash_))
    yield vector("text-that-is-none", "A code that is not UTF-8.", "Failure", b"\x92\xa1\xff\xa0")
    yield vector("empty", "Nothing.", "Head", b"")
    yield from _frames(id_, hash_)


def _kind(id_: bytes, key: bytes) -> bytes:
    return encode(wire.OpenMailbox(id_, key, MailboxKind.PARCELS))[:-1] + b"\x7f"


def _frames(id_: bytes, hash_: bytes) -> Iterator[Vector]:
    def vector(name: str, says: str, raw: bytes, fails: bool = True) -> Vector:
        return Vector(
            "wire", f"frame-{name}", says, {"kind": "Frame", "body": raw.hex()}, "undecodable" if fails else None
        )

    def frame(of: Any) -> bytes:
        return wire.encode_frame(of)[4:]

    records = frame(wire.FeedRecords(((id_, b"sealed"),)))
    yield vector("head", "The first of a feed.", frame(wire.FeedHead(3, hash_, 9)), False)
    yield vector("records", "Records of the commit before it.", records, False)
    yield vector("end", "The last of a feed.", frame(wire.FeedEnd(3)), False)
    yield vector("unknown-tag", "Of a kind that there is not.", b"\x92\x63\x03")
    yield vector("short-id", "A record id of 15 bytes.", frame(wire.FeedRecords(((id_[1:], b""),))))
    yield vector("short-hash", "A hash of 31 bytes.", frame(wire.FeedHead(3, hash_[1:], 9)))
    yield vector("unknown-field", "A field more than there is.", b"\x93\x04\x03\x00")
    yield vector("cut", "The last byte is missing.", records[:-1])
    yield vector("trailing-byte", "A byte after the end.", records + b"\x00")
    yield vector("empty", "Nothing.", b"")


def play(inputs: dict[str, Json]) -> Json:
    """What one side of a linking sends and opens when these messages come in, in this order."""
    role = LinkRole(inputs["role"])
    nameplate, _, words = inputs["code"].partition("-")
    purpose = Purpose(inputs["purpose"])
    machine = LinkMachine(role, LinkCode(nameplate, words.encode()), inputs["host"], purpose)
    sent = [machine.start(bytes.fromhex(inputs["entropy"])).hex()]
    opened: list[Json] = []
    for place, text in enumerate(inputs["incoming"]):
        if place < 2:
            answer = machine.receive(bytes.fromhex(text))
            sent += [answer.hex()] if answer else []
        else:
            opened.append(_opened(machine, role, purpose, bytes.fromhex(text)))
    if "proof" in inputs:
        proof = inputs["proof"]
        persona = verify_persona(bytes.fromhex(proof["persona"]))
        machine.check_proof(persona, proof["name"], bytes.fromhex(proof["signature"]))
        opened.append({"person": persona.person.hex(), "name": proof["name"]})
    return {"sent": sent, "opened": opened, "state": machine.state.name.lower()}


def _opened(machine: LinkMachine, role: LinkRole, purpose: Purpose, raw: bytes) -> Json:
    if role is LinkRole.SHOWS:
        request = machine.open(raw, JoinRequest)
        return {"member": request.member.id.hex(), "name": request.name}
    if purpose is Purpose.MEET:
        met = machine.open(raw, MeetInvite)
        return {"host": met.host, "secret": met.secret.hex(), "fingerprint": met.fingerprint.hex()}
    grant = machine.open(raw, JoinGrant)
    return {"vault": grant.vault.hex(), "number": grant.number, "head": grant.head.hex(), "server": grant.server}
