"""Scenarios of the formats `parcel`, `link_code` and `phrase`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from msgspec.structs import replace as replaced

from kith_protocol import labels
from kith_protocol.encoding import encode
from kith_protocol.guardian import Guard, GuardAnswer, GuardState, Release
from kith_protocol.introduction import Introduce, IntroduceAnswer, IntroduceInvite
from kith_protocol.link_code import qr_code, spoken_code
from kith_protocol.padding import INNER_CLASSES, pad_to, smallest_class
from kith_protocol.parcel import (
    PARCEL_OVERHEAD,
    Bye,
    Moved,
    ParcelBody,
    ParcelContext,
    Rekey,
    Share,
    Withdraw,
)
from kith_protocol.phrase import phrase_of
from kith_protocol.relationship import Direction
from kith_protocol.suite import HYBRID_SIGNATURE_BYTES, SealKey, derive, encrypt, frame
from tests.protocol.people import BAD_ADDRESS, NOW, fixed, flip, mailbox_of
from tests.support.vectors.tape import Tape
from tests.support.vectors.vector import Json, Vector

KEY, NEWER = SealKey(fixed("receiver")), SealKey(fixed("receiver-newer"))
ITEM = fixed("item", 16)
CONTEXT = ParcelContext(
    fixed("rs"), fixed("relationship", 16), Direction.TO_ACCEPTER, fixed("mailbox", 16), fixed("slot", 16), 7
)
BODY = ParcelBody(((ITEM, 1),), ((ITEM, 3),), fixed("confirm"), (Share(ITEM, 1, 3, b"payload"), Withdraw(ITEM, 2)))


def parcels(tape: Tape) -> Iterator[Vector]:
    def sealed(plain: bytes, context: ParcelContext = CONTEXT) -> bytes:
        """What a peer seals, a hostile one too."""
        secret, fields = fixed("secret"), context.fields
        inner = tape.seal_to(KEY.public, labels.PARCEL_SEAL, *fields, plaintext=secret)
        key = derive(secret + context.rs, labels.PARCEL_KEY, *fields)
        size = smallest_class(len(plain), INNER_CLASSES, PARCEL_OVERHEAD)
        padded = pad_to(plain, size - PARCEL_OVERHEAD)
        box = encrypt(key, labels.PARCEL, frame(labels.PARCEL, *fields), padded, nonce=fixed("nonce", 24))
        return b"\x01" + inner + box

    def vector(name: str, says: str, raw: bytes, fails: str | None = "undecryptable", *keys: SealKey) -> Vector:
        inputs: dict[str, Json] = {
            "rs": CONTEXT.rs.hex(),
            "relationship": CONTEXT.relationship.hex(),
            "direction": CONTEXT.direction.name.lower(),
            "mailbox": CONTEXT.mailbox.hex(),
            "slot": CONTEXT.slot.hex(),
            "sequence": CONTEXT.sequence,
            "seeds": [key.seed.hex() for key in keys or (KEY,)],
            "parcel": raw.hex(),
        }
        return Vector("parcel", name, says, inputs, fails, {"receiver": KEY, "newer": NEWER})

    def saying(name: str, says: str, body: ParcelBody, fails: str = "undecodable") -> Vector:
        return vector(name, says, sealed(encode(body)), fails)

    right = sealed(encode(BODY))
    yield vector("opens", "A share, a withdrawal and what each side has.", right, None)
    yield vector("ends-the-relationship", "A goodbye.", sealed(encode(ParcelBody(messages=(Bye(),)))), None)
    address = mailbox_of("anna").address
    rekeyed = ParcelBody(messages=(Rekey(NEWER.public, address),))
    yield vector("announces-a-key", "A new key, and a mailbox.", sealed(encode(rekeyed)), None)
    moved = ParcelBody(messages=(Moved(address),))
    yield vector("announces-a-move", "A mailbox on another server.", sealed(encode(moved)), None)
    introduced = ParcelBody(messages=(Introduce(ITEM, "Carla", fixed("carla"), "You both fence.", NOW),))
    yield vector("introduces", "Somebody whom the sender knows.", sealed(encode(introduced)), None)
    agreed = ParcelBody(messages=(IntroduceAnswer(ITEM, True),))
    yield vector("agrees-to-be-introduced", "Consent; from the introducer, of both.", sealed(encode(agreed)), None)
    taken_back = ParcelBody(messages=(IntroduceAnswer(ITEM, False),))
    yield vector("takes-an-introduction-back", "By the introducer.", sealed(encode(taken_back)), None)
    passed_on = IntroduceInvite(ITEM, "b.example", fixed("invite"), fixed("server", 16))
    yield vector("passes-an-invite-on", "What both agreed to.", sealed(encode(ParcelBody(messages=(passed_on,)))), None)
    yield vector("gives-a-share", "To a guardian.", sealed(encode(ParcelBody(messages=(Guard(7, b"sealed"),)))), None)
    given = ParcelBody(messages=(GuardAnswer(7, GuardState.KEPT, 1, 8),))
    yield vector("handed-out", "A guardian handed the share out.", sealed(encode(given)), None)
    yield vector(
        "releases",
        "A guardian no more.",
        sealed(encode(ParcelBody(messages=(Release(7, fixed("release", HYBRID_SIGNATURE_BYTES)),)))),
        None,
    )
    yield vector("to-an-older-key", "The second key opens it.", right, None, NEWER, KEY)
    yield vector("to-a-key-not-kept", "Only the newer key is left.", right, "undecryptable", NEWER)
    yield vector("five-keys", "More than may be tried.", right, "limit-exceeded", *[NEWER] * 4, KEY)
    for name, context in {
        "other-secret": replace(CONTEXT, rs=fixed("other")),
        "other-relationship": replace(CONTEXT, relationship=bytes(16)),
        "turned-back": replace(CONTEXT, direction=Direction.TO_INVITER),
        "other-mailbox": replace(CONTEXT, mailbox=bytes(16)),
        "other-slot": replace(CONTEXT, slot=bytes(16)),
        "other-sequence": replace(CONTEXT, sequence=6),
    }.items():
        yield vector(name, "Sealed for another context.", sealed(encode(BODY), context))
    yield vector("altered", "One bit was changed.", flip(right, -1))
    yield vector("cut", "A byte is missing: of no class.", right[:-1])
    yield vector("suite-2", "Of a newer program.", b"\x02" + right[1:], "unknown-suite")
    yield vector("trailing-byte", "A byte after the body.", sealed(encode(BODY) + b"\x00"), "undecodable")
    yield saying("item-twice", "A list names an item twice.", ParcelBody(((ITEM, 1), (ITEM, 2))))
    yield saying("version-0", "Versions begin with 1.", ParcelBody(((ITEM, 0),)))
    yield saying("short-confirmation", "It has 31 bytes.", ParcelBody(confirm=bytes(31)))
    yield saying("bad-host", "A mailbox on no host.", ParcelBody(messages=(Moved(BAD_ADDRESS),)))
    carla = Introduce(ITEM, "Carla", fixed("carla"), "You both fence.", NOW)
    for name, says, wrong in (
        ("short-person", "A person id of 31 bytes.", replaced(carla, person=fixed("carla")[1:])),
        ("long-label", "A label of 257 bytes.", replaced(carla, label="a" * 257)),
        ("long-introduction", "A text of 4,097 bytes.", replaced(carla, text="a" * 4097)),
        ("introduction-before-1970", "It expires before all time.", replaced(carla, expires=-1)),
        ("introduction-for-ever", "It expires past the bound.", replaced(carla, expires=2**53 + 1)),
        ("short-introduction-id", "An id of 15 bytes.", IntroduceAnswer(ITEM[1:], True)),
        ("invite-on-a-bad-host", "A host in capitals.", replaced(passed_on, host="B.example")),
        ("invite-without-host", "No host.", replaced(passed_on, host="")),
        ("short-invite-secret", "A secret of 31 bytes.", replaced(passed_on, secret=fixed("invite")[1:])),
        ("long-invite-fingerprint", "A fingerprint of 17 bytes.", replaced(passed_on, fingerprint=bytes(17))),
    ):
        yield saying(name, says, ParcelBody(messages=(wrong,)))
    unsure = encode(agreed).replace(b"\xc3", b"\x01")
    yield vector("agrees-with-a-number", "1 where true belongs.", sealed(unsure), "undecodable")
    yield saying("split-0", "A split at no time.", ParcelBody(messages=(Guard(0, b""),)))
    never = ParcelBody(messages=(GuardAnswer(7, GuardState.KEPT, 1, 0),))
    yield saying("handed-out-never", "Handed out once, and never.", never)
    yield saying(
        "released-too-late", "Over 2^53.", ParcelBody(messages=(Release(2**53 + 1, bytes(HYBRID_SIGNATURE_BYTES)),))
    )
    weak = Rekey(KEY.public[:-32] + bytes(32), mailbox_of("anna").address)
    yield saying("weak-key", "The announced key is unusable.", ParcelBody(messages=(weak,)), "bad-key")


def link_codes() -> Iterator[Vector]:
    def vector(name: str, says: str, code: str, fails: str | None = "link-code") -> Vector:
        return Vector("link_code", name, says, {"code": code}, fails)

    spoken, scanned = spoken_code("7", fixed("code", 5)).text, qr_code("a.example", "42", fixed("qr", 16)).text
    plate, *words = spoken.split("-")
    yield vector("spoken", "A number and three words.", spoken, None)
    yield vector(
        "typed-with-spaces", "Case, spaces and hyphens are forgiven.", f" {plate} {' '.join(words)}".upper(), None
    )
    yield vector("scanned", "What stands in a QR code.", scanned, None)
    yield vector("two-words", "A word is missing.", "-".join([plate, *words[:2]]))
    yield vector("four-words", "A word too many.", spoken + "-" + words[0])
    yield vector("unknown-word", "A word that is not in the list.", "-".join([plate, *words[:2], "kithbook"]))
    yield vector("without-number", "Words only.", "-".join(words))
    yield vector("number-0", "No such number.", "-".join(["0", *words]))
    yield vector("seven-digits", "The number is too long.", "-".join(["1234567", *words]))
    yield vector("scanned-number-0", "No such number in a QR code.", scanned.replace("#42.", "#0."))
    yield vector("scanned-cut", "The last character is missing.", scanned[:-1])
    yield vector("scanned-other-bits", "Bits after the end are set.", scanned[:-1] + "B")
    yield vector("scanned-bad-host", "A folder in place of a host.", scanned.replace("a.example", "a/b"), "bad-host")
    yield from _meeting_codes(spoken, scanned)


def _meeting_codes(spoken: str, scanned: str) -> Iterator[Vector]:
    def vector(name: str, says: str, code: str, fails: str | None = "link-code", purpose: str = "meet") -> Vector:
        return Vector("link_code", f"meeting-{name}", says, {"code": code, "purpose": purpose}, fails)

    yield vector("with-host", "The code for meeting, as it is shown.", f"{spoken}@a.example", None)
    yield vector("without-host", "At one's own home server, or on the local network.", spoken, None)
    yield vector(
        "typed", "Case and spaces are forgiven.", f" {spoken.upper().replace('-', ' ')} @ A.Example:8400", None
    )
    yield vector("scanned", "What stands in a QR code.", f"kith-meet:a.example#{spoken}", None)
    yield vector("scanned-nearby", "On the local network only.", f"kith-meet:#{spoken}", None)
    yield vector("for-a-device", "A QR code that adds a device.", scanned, "wrong-code")
    yield vector(
        "at-device-join", "A code for meeting where a device is added.", f"{spoken}@a.example", "wrong-code", "device"
    )
    yield vector("qr-at-device-join", "The same, scanned.", f"kith-meet:a.example#{spoken}", "wrong-code", "device")
    yield vector("bad-host", "A folder in place of a host.", f"{spoken}@a/b", "bad-host")
    yield vector("empty-host", "Nothing after the @.", f"{spoken}@", "bad-host")
    yield vector("two-words", "A word is missing.", f"{spoken.rpartition('-')[0]}@a.example")
    yield vector("scanned-damaged", "No code after the host.", "kith-meet:a.example#")


def phrases() -> Iterator[Vector]:
    def vector(name: str, says: str, phrase: str, fails: str | None) -> Vector:
        return Vector("phrase", name, says, {"phrase": phrase}, fails)

    right = phrase_of(fixed("anna"))
    words = right.split()
    swapped = " ".join([words[1], words[0], *words[2:]])
    yield vector("right", "As it was shown.", right, None)
    yield vector("typed", "Case and spaces are forgiven.", "  " + right.upper().replace(" ", "\n "), None)
    yield vector("zeros", "32 bytes of zeros.", phrase_of(bytes(32)), None)
    yield vector("empty", "Nothing.", "", "phrase-length")
    yield vector("twelve-words", "Of another program.", " ".join(words[:12]), "phrase-length")
    yield vector("word-left-out", "23 words.", " ".join(words[1:]), "phrase-length")
    yield vector("word-too-many", "25 words.", right + " zoo", "phrase-length")
    yield vector("unknown-word", "A word that is not in the list.", " ".join([*words[:-1], "kith"]), "phrase-word")
    yield vector("abbreviated", "Four letters of each.", " ".join(word[:4] for word in words), "phrase-word")
    yield vector("swapped", "Two words change places.", swapped, "phrase-checksum")
    yield vector("all-the-same", "24 times the first word.", " ".join(["abandon"] * 24), "phrase-checksum")
