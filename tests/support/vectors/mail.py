"""Scenarios of the formats `gateway`, `invite` and `mailbox`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from kith_protocol import labels
from kith_protocol.encoding import decode, encode
from kith_protocol.gateway import (
    REQUEST_OVERHEAD,
    UNREADABLE,
    Arguments,
    FetchGreeting,
    GreetingResult,
    GreetingStatus,
    LeaveMessage,
    LookForMessage,
    LookUp,
    LookUpResult,
    LookUpStatus,
    Operation,
    PutResult,
    PutStatus,
    RendezvousResult,
    RendezvousStatus,
    Request,
    gateway_key_id,
    make_request,
    request_hash,
    seal_answer,
)
from kith_protocol.gateway import Put as PutArguments
from kith_protocol.invite import GREETING_BYTES, Greeting, Invite, format_link, new_invite
from kith_protocol.mailbox import MAX_SLOTS, MailboxKind, sign_put
from kith_protocol.padding import CLASSES, INNER_CLASSES, pad_to
from kith_protocol.suite import BOX_OVERHEAD, SignKey, digest, encrypt
from tests.protocol.people import DAY, FINGERPRINT, NOW, fixed, flip, mailbox_of
from tests.support.vectors.people import GATEWAY, ROOT, STATED, STRANGER, signed_persona
from tests.support.vectors.tape import Tape
from tests.support.vectors.vector import Json, Vector

RESPONSE, NONCE = fixed("response"), fixed("nonce", 24)
FETCH = FetchGreeting(fixed("link", 16))
SLOT, PARCEL = fixed("slot", 16), bytes(INNER_CLASSES[0])
LOOK_UP = LookUp(fixed("handle"))
PUT = PutArguments(fixed("mailbox", 16), SLOT, 1, PARCEL, fixed("signature", 64))

LEAVE = LeaveMessage("427316", 0, b"A" * 33)
LOOK = LookForMessage("427316", 4)


def gateways(tape: Tape) -> Iterator[Vector]:
    yield from _requests(tape)
    yield from _answers()


def _requests(tape: Tape) -> Iterator[Vector]:
    key_id, pin = gateway_key_id(GATEWAY.public), STATED.fingerprint

    def sealed(padded: bytes, pinned: bytes = pin, label: str = labels.GATEWAY_REQUEST) -> bytes:
        return key_id + tape.seal_to(GATEWAY.public, label, pinned, key_id, plaintext=padded)

    def padded(asked: Arguments = FETCH, size: int = 0, **fields: Any) -> bytes:
        request = msgspec.structs.replace(make_request(asked, RESPONSE, NOW), **fields)
        return pad_to(encode(request), CLASSES[size] - REQUEST_OVERHEAD)

    def vector(name: str, says: str, raw: bytes, fails: bool = True, now: int = NOW) -> Vector:
        inputs = {"do": "open-request", "request": raw.hex(), "gateway_seed": GATEWAY.seed.hex()}
        where: dict[str, Json] = {"fingerprint": pin.hex(), "now": now}
        error = "undecryptable" if fails else None
        return Vector("gateway", f"request-{name}", says, {**inputs, **where}, error, {"gateway": GATEWAY})

    right = sealed(padded())
    yield vector("for-greeting", "Asks for the greeting of an invite.", right, False)
    yield vector("to-put", "Puts a parcel.", sealed(padded(PUT)), False)
    yield vector("to-look-up", "Looks a handle up.", sealed(padded(LOOK_UP)), False)
    yield vector("expired", "A millisecond late.", right, now=NOW + 1)
    yield vector("to-another-server", "Sealed for another server key.", sealed(padded(), bytes(16)))
    yield vector("to-another-key", "Names a key that is not there.", bytes(8) + right[8:])
    yield vector("under-another-label", "Sealed as a parcel.", sealed(padded(), label=labels.PARCEL_SEAL))
    yield vector("altered", "One bit was changed.", flip(right, -1))
    yield vector("cut", "A byte is missing: of no class.", right[:-1])
    yield vector("not-padded", "Zeros only.", sealed(bytes(CLASSES[0] - REQUEST_OVERHEAD)))
    yield vector("of-suite-0", "A lower suite.", sealed(padded(suite=0)))
    yield vector("with-other-arguments", "Those of a put.", sealed(padded(PUT, operation=Operation.GREETING)))
    yield vector("to-leave", "Leaves a message at a rendezvous.", sealed(padded(LEAVE)), False)
    yield vector("to-look", "Looks for one.", sealed(padded(LOOK)), False)
    for name, says, fields in (
        ("with-nameplate-0", "A nameplate with a leading zero.", {"nameplate": "042"}),
        ("with-long-nameplate", "Seven digits.", {"nameplate": "1234567"}),
        ("with-other-digits", "Digits of another script.", {"nameplate": "\u0664\u0662"}),
        ("with-index-6", "A seventh message.", {"index": 6}),
        ("with-index-below-0", "A message before the first.", {"index": -1}),
    ):
        raw = encode(msgspec.structs.replace(LOOK, **fields))
        yield vector(name, says, sealed(padded(LOOK, arguments=raw)))
    long = encode(msgspec.structs.replace(LEAVE, message=bytes(INNER_CLASSES[1] + 1)))
    yield vector("with-long-message", "A message over its limit.", sealed(padded(LEAVE, arguments=long, size=2)))
    short = padded(arguments=encode(FetchGreeting(bytes(15))))
    yield vector("with-short-link", "A link id of 15 bytes.", sealed(short))
    short = padded(LOOK_UP, arguments=encode(LookUp(bytes(31))))
    yield vector("with-short-handle", "The id of a handle with 31 bytes.", sealed(short))
    named = padded(LOOK_UP, arguments=b"\x91\xa4anna")
    yield vector("with-a-name", "A handle itself instead of its id.", sealed(named))


def _answers() -> Iterator[Vector]:
    fetch, put, look_up = (make_request(asked, RESPONSE, NOW) for asked in (FETCH, PUT, LOOK_UP))
    of = request_hash(b"a sealed request")

    def vector(name: str, says: str, raw: bytes, fails: bool = True, **turned: Json) -> Vector:
        inputs = {"do": "open-put-answer", "answer": raw.hex()}
        keys: dict[str, Json] = {"response_key": RESPONSE.hex(), "request_hash": of.hex()}
        error = "undecryptable" if fails else None
        return Vector("gateway", f"answer-{name}", says, {**inputs, **keys, **turned}, error)

    stored = seal_answer(put, of, PutResult(PutStatus.STORED), nonce=NONCE)
    found = seal_answer(fetch, of, GreetingResult(GreetingStatus.FOUND, b"greeting"), nonce=NONCE)
    missing = seal_answer(fetch, of, GreetingResult(GreetingStatus.NOT_FOUND), nonce=NONCE)
    asked: dict[str, Json] = {"do": "open-greeting-answer"}
    yield vector("stored", "The parcel was stored.", stored, False)
    yield vector("greeting", "There is a greeting.", found, False, **asked)
    yield vector("no-greeting", "None; as long as if there were one.", missing, False, **asked)
    yield vector("unreadable", "The gateway could not read the request.", UNREADABLE)
    yield vector("to-another-request", "Of another request.", stored, request_hash=fixed("other").hex())
    yield vector("under-another-key", "Made by a relay.", stored, response_key=fixed("other").hex())
    yield vector("altered", "One bit was changed.", flip(stored, -1))
    yield vector("nonce-altered", "One bit of the nonce was.", flip(stored, 0))
    yield vector("cut", "A byte is missing: of no class.", stored[:-1])
    yield vector("to-another-operation", "A greeting instead of a receipt.", found)
    look, leave = make_request(LOOK, RESPONSE, NOW), make_request(LEAVE, RESPONSE, NOW)
    met: dict[str, Json] = {"do": "open-rendezvous-answer"}
    message = RendezvousResult(RendezvousStatus.DONE, b"B" * 33)
    there = seal_answer(look, of, message, nonce=NONCE)
    yield vector("message", "The other side has left it.", there, False, **met)
    for status in (RendezvousStatus.NOT_YET, RendezvousStatus.NO_NAMEPLATE, RendezvousStatus.LATER):
        raw = seal_answer(look, of, RendezvousResult(status), nonce=NONCE)
        yield vector(f"message-{status.name.lower().replace('_', '-')}", "None, of the same length.", raw, False, **met)
    taken = seal_answer(leave, of, RendezvousResult(RendezvousStatus.TAKEN), nonce=NONCE)
    yield vector("place-taken", "Another message is there.", taken, False, **met)
    yield vector("message-altered", "One bit was changed.", flip(there, -1), **met)
    yield vector("message-unreadable", "The gateway could not read the request.", UNREADABLE, **met)
    yield vector("message-of-another-operation", "A receipt.", stored, **met)
    yield from _looked_up(vector, look_up, of)
    unknown = pad_to(b"\x91\x09", CLASSES[0] - BOX_OVERHEAD)
    raw = encrypt(RESPONSE, labels.GATEWAY_ANSWER, of, unknown, nonce=NONCE)
    yield vector("with-unknown-status", "A status that does not exist.", raw)


def _looked_up(vector: Callable[..., Vector], look_up: Request, of: bytes) -> Iterator[Vector]:
    def looked(name: str, says: str, result: LookUpResult, fails: bool = True) -> Vector:
        raw = seal_answer(look_up, of, result, nonce=NONCE)
        return vector(f"look-up-{name}", says, raw, fails, do="open-look-up-answer")

    yield looked("found", "Somebody who is found.", LookUpResult(LookUpStatus.FOUND, fixed("invite")), False)
    yield looked("nobody", "Unknown, or private.", LookUpResult(LookUpStatus.NOT_FOUND), False)
    yield looked("later", "The relay asked too often.", LookUpResult(LookUpStatus.LATER), False)
    yield looked("without-secret", "Found, and no secret.", LookUpResult(LookUpStatus.FOUND))
    yield looked("half-a-secret", "A secret of 16 bytes.", LookUpResult(LookUpStatus.FOUND, bytes(16)))
    private = LookUpResult(LookUpStatus.NOT_FOUND, fixed("invite"))
    yield looked("nobody-with-secret", "Not found, with a secret all the same.", private)


def invites(tape: Tape) -> Iterator[Vector]:
    yield from _links()
    yield from _greetings(tape)


def _links() -> Iterator[Vector]:
    invite = Invite("a.example:8400", fixed("invite"), FINGERPRINT)
    link = format_link(invite)
    token = link.partition("#")[2]

    def vector(name: str, says: str, text: str, fails: str | None = None) -> Vector:
        return Vector("invite", f"link-{name}", says, {"do": "read-link", "link": text}, fails)

    yield vector("short", "The form for those who have a client.", link)
    yield vector("web", "The form for everybody.", format_link(invite, web=True))
    yield vector("copied-with-space", "Case and space around are forgiven.", f" KITH:A.Example:8400#{token}\n")
    yield vector("of-version-2", "Of a newer program.", "kith:a.example#2.abc", "invite-version")
    yield vector("cut", "The last character is missing.", link[:-1], "invite-link")
    yield vector("too-long", "A character too many.", link + "A", "invite-link")
    yield vector("other-alphabet", "Base64 with a plus.", link[:-1] + "+", "invite-link")
    yield vector("without-secret", "Nothing after the host.", "kith:a.example", "invite-link")
    yield vector("http", "Not encrypted on its way.", f"http://a.example/i#{token}", "invite-link")
    yield vector("other-path", "Another page of the server.", f"https://a.example/x#{token}", "invite-link")
    yield vector("without-host", "No server is named.", f"kith:#{token}", "bad-host")
    yield vector("host-with-path", "Names a folder.", f"kith:a.example/x#{token}", "invite-link")
    yield vector("port-0", "No such port.", f"kith:a.example:0#{token}", "bad-host")
    yield vector("half-an-address", "It looks like an address and is none.", f"kith:127.1#{token}", "bad-host")


def _greetings(tape: Tape) -> Iterator[Vector]:
    persona = signed_persona(tape)
    own = new_invite(
        "a.example", FINGERPRINT, persona, "Anna", NOW + DAY, reusable=False, randomness=fixed("invite", 80)
    )
    greeting = decode(own.greeting, Greeting)

    def vector(name: str, says: str, raw: bytes, fails: str | None = "greeting-forged", now: int = NOW) -> Vector:
        inputs = {"do": "open-greeting", "link": format_link(own.invite), "greeting": raw.hex(), "now": now}
        return Vector("invite", f"greeting-{name}", says, inputs, fails, {"root": ROOT, "stranger": STRANGER})

    def sealed(invite: Invite = own.invite, suite: bytes = b"\x01", plain: bytes = own.greeting) -> bytes:
        padded = pad_to(plain, GREETING_BYTES - 1 - BOX_OVERHEAD)
        return suite + encrypt(invite.greeting_key, labels.GREETING, suite + invite.link_id, padded, nonce=NONCE)

    def turned(**fields: Any) -> bytes:
        return sealed(plain=encode(msgspec.structs.replace(greeting, **fields)))

    yield vector("opens", "Of the person who made the link.", sealed(), None)
    yield vector("at-its-end", "Its end is within.", sealed(), None, NOW + DAY)
    yield vector("expired", "A millisecond later.", sealed(), "invite-expired", NOW + DAY + 1)
    other = Invite("a.example", fixed("other"), FINGERPRINT)
    yield vector("of-another-link", "Of another invite.", sealed(other))
    yield vector("altered", "One bit was changed.", flip(sealed(), -1))
    yield vector("cut", "A byte is missing.", sealed()[:-1])
    yield vector("of-suite-0", "A lower suite.", sealed(suite=b"\x00"))
    yield vector(
        "by-a-stranger", "The persona is not signed by its root.", turned(persona=signed_persona(tape, key=STRANGER))
    )
    yield vector("with-weak-key", "The X25519 half is zero.", turned(seal_key=greeting.seal_key[:-32] + bytes(32)))
    yield vector("with-long-name", "A name of 81 bytes.", turned(name="a" * 81))
    yield vector("of-suite-2", "Of a newer program, though the link is not.", sealed(suite=b"\x02"))
    yield vector("suite-inside", "Its inner suite is 2.", turned(suite=2))


def mailboxes() -> Iterator[Vector]:
    address = mailbox_of("anna").address

    def vector(
        name: str,
        says: str,
        fails: str | None = None,
        *,
        by: SignKey = address.deposit,
        parcel: bytes = PARCEL,
        used: list[Json] | None = None,
        kind: MailboxKind = MailboxKind.PARCELS,
        **turned: Json,
    ) -> Vector:
        inputs: dict[str, Json] = {
            "deposit_key": address.deposit.public.hex(),
            "mailbox": address.mailbox.hex(),
            "slot": SLOT.hex(),
            "sequence": 5,
            "parcel": parcel.hex(),
            "signature": sign_put(by, address.mailbox, SLOT, 5, parcel).hex(),
            "kind": kind.name.lower(),
            "existing": used or [],
        }
        return Vector("mailbox", name, says, {**inputs, **turned}, fails, {"deposit": address.deposit})

    here, bad = SLOT.hex(), "bad-signature"
    yield vector("stored", "A slot that was not used yet.")
    yield vector("replaces", "A higher sequence.", used=[[here, 4]])
    yield vector("have", "The same sequence once more.", used=[[here, 5]])
    yield vector("lower", "A higher one was stored before.", used=[[here, 6]])
    yield vector("taken", "An answer is not replaced.", used=[[here, 4]], kind=MailboxKind.ANSWERS)
    four: list[Json] = [[fixed(f"slot {n}", 16).hex(), 1] for n in range(MAX_SLOTS[MailboxKind.ANSWERS])]
    yield vector("full", "Four answers are there.", used=four, kind=MailboxKind.ANSWERS)
    retired = MailboxKind.RETIRED
    yield vector("retired-stored", "A retired mailbox takes something into a free slot.", kind=retired)
    yield vector("retired-taken", "Nothing in a retired mailbox is replaced.", used=[[here, 4]], kind=retired)
    some: list[Json] = [[fixed(f"slot {n}", 16).hex(), 1] for n in range(MAX_SLOTS[retired])]
    yield vector("retired-full", "All slots of a retired mailbox are used.", used=some, kind=retired)
    yield vector("by-a-stranger", "Signed by another key.", bad, by=SignKey(fixed("stranger")))
    yield vector("other-mailbox", "Carried to another mailbox.", bad, mailbox=bytes(16).hex())
    yield vector("other-slot", "Carried to another slot.", bad, slot=bytes(16).hex())
    yield vector("higher-sequence", "Its sequence was raised.", bad, sequence=6)
    yield vector("lower-sequence", "Its sequence was lowered.", bad, sequence=4)
    exchanged = flip(sign_put(address.deposit, address.mailbox, SLOT, 5, PARCEL), 0).hex()
    yield vector("altered-signature", "One bit was changed.", bad, signature=exchanged)
    yield vector("cut-signature", "A byte is missing.", bad, signature=exchanged[:-2])
    whole = sign_put(address.deposit, address.mailbox, SLOT, 5, PARCEL).hex()
    yield vector("other-parcel", "Another parcel than was signed.", bad, parcel=flip(PARCEL, 0), signature=whole)
    yield vector("other-deposit-key", "The mailbox has another.", bad, deposit_key=STATED.server_key.hex())
    label = address.deposit.sign(labels.SESSION, address.mailbox, SLOT, (5).to_bytes(8, "big"), digest(PARCEL))
    yield vector("other-label", "Signed as if it were a session.", bad, signature=label.hex())
    yield vector("parcel-too-short", "A byte less than the class.", "limit-exceeded", parcel=PARCEL[:-1])
    yield vector("parcel-too-long", "A byte more.", "limit-exceeded", parcel=PARCEL + b"\x00")
    yield vector("empty-parcel", "Nothing.", "limit-exceeded", parcel=b"")
