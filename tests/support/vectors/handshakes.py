"""Scenarios of the formats `handshake` and `reclaim`. Anna invites or takes back, Bob accepts or receives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from kith_protocol import labels
from kith_protocol.encoding import Statement, encode
from kith_protocol.handshake import ANSWER_BYTES, FINISH_CLASSES
from kith_protocol.handshake_state import (
    Answer,
    AnswerBody,
    Established,
    Finish,
    FinishBody,
    PendingAnswer,
    relationship_keys,
)
from kith_protocol.invite import OwnInvite, greeting_hash, new_invite
from kith_protocol.padding import pad_to
from kith_protocol.parcel import ParcelBody, Rekey, Share
from kith_protocol.persona import PersonaStatement
from kith_protocol.reclaim import RECLAIM_BYTES, Reclaim, ReclaimBody
from kith_protocol.relationship import Side
from kith_protocol.suite import (
    BOX_OVERHEAD,
    KEY_BYTES,
    SEAL_KEY_BYTES,
    SEAL_OVERHEAD,
    HybridSignKey,
    SealKey,
    derive,
    encrypt,
    frame,
    labelled_hash,
    mac,
)
from tests.protocol.people import BAD_ADDRESS, FINGERPRINT, NOW, fixed, flip, hybrid, mailbox_of
from tests.support.vectors.people import signed_persona
from tests.support.vectors.tape import Tape
from tests.support.vectors.vector import Json, Private, Vector

SUITE = b"\x01"
NONCE = fixed("nonce", 24)
OVERHEAD = 1 + KEY_BYTES + SEAL_OVERHEAD + BOX_OVERHEAD


class Person:
    """A person with a root, and personas that the root signed."""

    def __init__(self, name: str, tape: Tape, number: int = 1) -> None:
        self.root = hybrid(f"{name}-root")
        self.daily = hybrid(f"{name}-daily-{number}")
        self.seal = SealKey(fixed(f"{name}-seal-{number}"))
        statement = PersonaStatement(1, self.root.public, self.daily.public, self.seal.public, number)
        self.raw = signed_persona(tape, statement, self.root)
        self.id = statement.person

    def keys(self, name: str) -> dict[str, Private]:
        return {f"{name}-root": self.root, f"{name}-daily": self.daily, f"{name}-seal": self.seal}


class Scene:
    """Anna's invite, and whoever knows all secrets of a handshake but no private keys of others."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.anna, self.bob, self.mallory = (Person(name, tape) for name in ("anna", "bob", "mallory"))
        self.own = self.invite(self.anna)
        self.greeting = greeting_hash(self.own.greeting)
        self.sealed_answer = tape.seal_to(
            SealKey(self.own.seal_seed).public,
            labels.ANSWER_SEAL,
            *(SUITE, self.own.invite.link_id, self.greeting),
            plaintext=fixed("secret-ba"),
        )
        self.answer = self.answered(self.answer_body())
        self.answer_hash = self.hash_of(self.answer_body())
        self.pending = PendingAnswer(
            *(self.own.host, self.own.secret, self.own.fingerprint, self.own.greeting, self.answer_hash),
            *(fixed("secret-ba"), fixed("bob-relationship"), mailbox_of("bob", "b.example")),
        )
        self.sealed_finish = tape.seal_to(
            SealKey(fixed("bob-relationship")).public,
            labels.FINISH_SEAL,
            *(SUITE, self.own.invite.link_id, self.answer_hash),
            plaintext=fixed("secret-ab"),
        )
        self.secrets = fixed("secret-ab") + fixed("secret-ba") + self.own.secret

    def invite(self, person: Person) -> OwnInvite:
        return new_invite(
            *("a.example", FINGERPRINT, person.raw, "Anna", NOW), reusable=False, randomness=fixed("invite", 80)
        )

    def answer_body(self, **fields: Any) -> bytes:
        mailbox = mailbox_of("bob", "b.example").address
        body = AnswerBody(1, self.bob.raw, "Bob", SealKey(fixed("bob-relationship")).public, mailbox)
        return encode(msgspec.structs.replace(body, **fields))

    def hash_of(self, body: bytes) -> bytes:
        return labelled_hash(labels.ANSWER_HASH, self.greeting, self.sealed_answer, body)

    def answered(
        self, body: bytes, by: Person | None = None, to: bytes = b"", over: bytes = b"", says: bytes = b""
    ) -> bytes:
        """An answer with `body`, signed by `by` for the person `to` over the body `over`."""
        by = by or self.bob
        hash_ = self.hash_of(over or body)
        signature = self.tape.sign(by.daily, labels.ANSWER_SIGN, says or by.id, to or self.anna.id, hash_)
        key = derive(fixed("secret-ba") + self.own.secret, labels.ANSWER_KEY, self.greeting, self.sealed_answer)
        return self._boxed(Answer(body, signature), key, labels.ANSWER, self.sealed_answer, ANSWER_BYTES)

    def finish_body(self, **fields: Any) -> bytes:
        body = FinishBody(1, SealKey(fixed("anna-relationship")).public, mailbox_of("anna").address)
        return encode(msgspec.structs.replace(body, **fields))

    def finished(
        self,
        body: bytes,
        first: ParcelBody | None = None,
        *,
        by: Person | None = None,
        to: bytes = b"",
        over: bytes = b"",
        mac_over: ParcelBody | None = None,
    ) -> bytes:
        """A finish with `body` and `first`, signed by `by` for `to` over the body `over`."""
        by, first = by or self.anna, first or ParcelBody()
        signed = labelled_hash(labels.TRANSCRIPT, self.greeting, self.answer_hash, self.sealed_finish, over or body)
        signature = self.tape.sign(by.daily, labels.FINISH_SIGN, by.id, to or self.bob.id, signed)
        transcript = labelled_hash(labels.TRANSCRIPT, self.greeting, self.answer_hash, self.sealed_finish, body)
        rs = relationship_keys(self.secrets, transcript).rs
        tag = mac(derive(rs, labels.FINISH_MAC), labels.FINISH_MAC, transcript, encode(mac_over or first))
        key = derive(self.secrets, labels.FINISH_KEY, self.answer_hash, self.sealed_finish)
        return self._boxed(
            Finish(body, signature, tag, first), key, labels.FINISH, self.sealed_finish, FINISH_CLASSES[0]
        )

    def _boxed(self, inner: Statement, key: bytes, label: str, sealed: bytes, size: int) -> bytes:
        padded = pad_to(encode(inner), size - OVERHEAD)
        associated = frame(label, SUITE, self.own.invite.link_id)
        return SUITE + sealed + encrypt(key, label, associated, padded, nonce=NONCE)


def handshakes(tape: Tape) -> Iterator[Vector]:
    scene = Scene(tape)
    yield from _answers(scene)
    yield from _finishes(scene)
    yield from _confirmations()


def _answers(scene: Scene) -> Iterator[Vector]:
    bob, mallory, anna = scene.bob, scene.mallory, scene.anna

    def vector(name: str, says: str, fails: str | None, raw: bytes = scene.answer, **turned: Json) -> Vector:
        inputs: dict[str, Json] = {"do": "open-answer", "invite": encode(scene.own).hex(), "answer": raw.hex()}
        who: dict[str, Json] = {"me": anna.raw.hex(), "expect": None, "known": []}
        keys = {**anna.keys("anna"), **bob.keys("bob"), **mallory.keys("mallory")}
        return Vector("handshake", f"answer-{name}", says, {**inputs, **who, **turned}, fails, keys)

    def saying(name: str, says: str, fails: str, **fields: Any) -> Vector:
        return vector(name, says, fails, scene.answered(scene.answer_body(**fields)))

    body = scene.answer_body()
    evil = scene.answer_body(mailbox=mailbox_of("mallory").address)
    other_key = scene.answer_body(seal_key=SealKey(fixed("mallory-relationship")).public)
    yield vector("opens", "Bob answers Anna's invite.", None)
    yield vector("expected", "The person that Anna made the invite for.", None, expect=bob.id.hex())
    yield vector("another-person", "Anna made the invite for somebody else.", "person-changed", expect=bytes(32).hex())
    yield vector("outdated", "A later persona of Bob's was seen.", "persona-outdated", known=[[bob.id.hex(), 2]])
    yield vector(
        "for-another-inviter",
        "Bob signed it for Mallory, who passes it on.",
        "bad-signature",
        scene.answered(body, to=mallory.id),
    )
    yield vector(
        "in-bobs-name",
        "Signed by Mallory, as if she were Bob.",
        "bad-signature",
        scene.answered(body, mallory, says=bob.id),
    )
    yield vector(
        "other-mailbox", "The mailbox is not the signed one.", "bad-signature", scene.answered(evil, over=body)
    )
    yield vector("other-key", "The key is not the signed one.", "bad-signature", scene.answered(other_key, over=body))
    own_root = scene.answered(scene.answer_body(persona=anna.raw), anna)
    yield vector("reflected", "Anna's own root on the other side.", "self-invite", own_root)
    yield vector("under-another-greeting", "Anna's invite has another greeting.", "undecryptable", **_other(scene))
    yield saying("suite-2", "Of a newer program, inside.", "unknown-suite", suite=2)
    yield saying("weak-key", "The X25519 half is zero.", "bad-key", seal_key=bytes(SEAL_KEY_BYTES))
    long = scene.answered(scene.answer_body(name="x" * 81))
    yield vector("long-name", "A name of 81 bytes.", "undecodable", long)
    yield saying("bad-host", "A mailbox on no host.", "undecodable", mailbox=BAD_ADDRESS)
    yield saying("no-persona", "Nothing where the persona should be.", "undecodable", persona=b"")
    yield vector("altered", "One bit was changed.", "undecryptable", flip(scene.answer, -1))
    yield vector("altered-seal", "One bit of the sealed secret was.", "undecryptable", flip(scene.answer, 700))
    yield vector("cut", "A byte is missing.", "undecryptable", scene.answer[:-1])
    yield vector("suite-byte-2", "Of a newer program.", "undecryptable", b"\x02" + scene.answer[1:])


def _other(scene: Scene) -> dict[str, Json]:
    other = msgspec.structs.replace(scene.own, greeting=scene.invite(scene.mallory).greeting)
    return {"invite": encode(other).hex()}


def _finishes(scene: Scene) -> Iterator[Vector]:
    anna, bob, mallory = scene.anna, scene.bob, scene.mallory
    body = scene.finish_body()
    right = scene.finished(body)

    def vector(name: str, says: str, fails: str | None, raw: bytes = right, **turned: Json) -> Vector:
        inputs: dict[str, Json] = {"do": "open-finish", "pending": encode(scene.pending).hex(), "finish": raw.hex()}
        keys = {**anna.keys("anna"), **bob.keys("bob"), **mallory.keys("mallory")}
        return Vector("handshake", f"finish-{name}", says, {**inputs, "me": bob.raw.hex(), **turned}, fails, keys)

    share = ParcelBody(((fixed("item", 16), 1),), messages=(Share(fixed("item", 16), 1, 3, b"payload"),))
    evil = scene.finish_body(mailbox=mailbox_of("mallory").address)
    other_key = scene.finish_body(seal_key=SealKey(fixed("mallory-relationship")).public)
    weak = ParcelBody(messages=(Rekey(bytes(SEAL_KEY_BYTES), mailbox_of("anna").address),))
    forged = "bad-signature"
    yield vector("opens", "Anna finishes.", None)
    yield vector("with-first-share", "It carries Anna's first share.", None, scene.finished(body, share))
    yield vector("by-another-persona", "Not by the person of the greeting.", forged, scene.finished(body, by=mallory))
    yield vector("for-another-accepter", "Anna signed it for Mallory.", forged, scene.finished(body, to=mallory.id))
    yield vector("other-mailbox", "The mailbox is not the signed one.", forged, scene.finished(evil, over=body))
    yield vector("other-key", "The key is not the signed one.", forged, scene.finished(other_key, over=body))
    swapped = scene.finished(body, share, mac_over=ParcelBody())
    yield vector("shares-exchanged", "The MAC does not cover the first shares.", forged, swapped)
    turned = msgspec.structs.replace(scene.pending, answer_hash=fixed("another answer"))
    yield vector("to-another-answer", "Bob's answer was another one.", "undecryptable", pending=encode(turned).hex())
    turned = msgspec.structs.replace(scene.pending, seal_seed=fixed("stranger"))
    yield vector("read-by-another", "Whoever found the link later.", "undecryptable", pending=encode(turned).hex())
    new = scene.finished(scene.finish_body(suite=2))
    yield vector("suite-2", "Of a newer program, inside.", "unknown-suite", new)
    no_share = scene.finished(scene.finish_body(seal_key=bytes(SEAL_KEY_BYTES)))
    yield vector("weak-key", "The X25519 half is zero.", "bad-key", no_share)
    yield vector("weak-first-key", "A key in the first shares is unusable.", "bad-key", scene.finished(body, weak))
    nowhere = scene.finished(scene.finish_body(mailbox=BAD_ADDRESS))
    yield vector("bad-host", "A mailbox on no host.", "undecodable", nowhere)
    yield vector("altered", "One bit was changed.", "undecryptable", flip(right, -1))
    yield vector("cut", "A byte is missing.", "undecryptable", right[:-1])
    yield vector("suite-byte-2", "Of a newer program.", "undecryptable", b"\x02" + right[1:])


def _confirmations() -> Iterator[Vector]:
    secrets, transcript = fixed("secrets", 96), fixed("transcript")
    right = relationship_keys(secrets, transcript).confirm

    def vector(name: str, says: str, fails: str | None, confirm: bytes) -> Vector:
        inputs = {"do": "confirm", "secrets": secrets.hex(), "transcript": transcript.hex(), "confirm": confirm.hex()}
        return Vector("handshake", f"confirmation-{name}", says, inputs, fails)

    other = relationship_keys(secrets, fixed("other")).confirm
    yield vector("right", "Bob holds the shared secret.", None, right)
    yield vector("other-transcript", "Of another handshake.", "bad-signature", other)
    yield vector("altered", "One bit was changed.", "bad-signature", flip(right, 31))
    yield vector("empty", "None.", "bad-signature", b"")


def reclaims(tape: Tape) -> Iterator[Vector]:
    old, anna, bob, mallory = (
        Person("anna", tape),
        Person("anna", tape, 2),
        Person("bob", tape),
        Person("mallory", tape, 2),
    )
    mailbox, mine = mailbox_of("anna-again").address, mailbox_of("bob", "b.example")
    known = Established(
        *(Side.ACCEPTER, fixed("rs"), fixed("relationship", 16), anna.id, old.raw, "Anna"),
        *(SealKey(fixed("anna-old")).public, fixed("bob-old"), mailbox_of("anna").address, mine, fixed("confirm")),
    )
    newer = SealKey(fixed("bob-seal-2"))

    def sealed(body: ReclaimBody, by: HybridSignKey = anna.daily, to: bytes = bob.id, over: bytes = b"") -> bytes:
        persons, raw = (SUITE, anna.id, bob.id), encode(body)
        inner = tape.seal_to(bob.seal.public, labels.RECLAIM_SEAL, *persons, plaintext=fixed("secret"))
        transcript = labelled_hash(labels.RECLAIM_TRANSCRIPT, *persons, inner, over or raw)
        payload = encode(Reclaim(raw, tape.sign(by, labels.RECLAIM_SIGN, anna.id, to, transcript)))
        key = derive(fixed("secret"), labels.RECLAIM_KEY, *persons, inner)
        padded = pad_to(payload, RECLAIM_BYTES - OVERHEAD)
        return SUITE + inner + encrypt(key, labels.RECLAIM, frame(labels.RECLAIM, *persons), padded, nonce=NONCE)

    good = ReclaimBody(1, anna.raw, SealKey(fixed("anna-again")).public, mailbox)
    right = sealed(good)

    def vector(name: str, says: str, fails: str | None, raw: bytes = right, **turned: Json) -> Vector:
        inputs: dict[str, Json] = {"reclaim": raw.hex(), "known": encode(known).hex(), "me": bob.raw.hex()}
        keys = {**anna.keys("anna"), **bob.keys("bob"), **mallory.keys("mallory")}
        return Vector(
            "reclaim", name, says, {**inputs, "seeds": [bob.seal.seed.hex()], "crossing": False, **turned}, fails, keys
        )

    def saying(name: str, says: str, fails: str, by: HybridSignKey = anna.daily, **fields: Any) -> Vector:
        return vector(name, says, fails, sealed(msgspec.structs.replace(good, **fields), by))

    again = msgspec.structs.replace(known, peer_persona=anna.raw)
    changed = encode(msgspec.structs.replace(good, seal_key=SealKey(fixed("mallory")).public))
    yield vector("opens", "The root names a new persona, which makes the relationship anew.", None)
    yield vector(
        "to-an-older-persona", "A thief of Bob's may have read it.", None, seeds=[newer.seed.hex(), bob.seal.seed.hex()]
    )
    yield vector("to-a-persona-not-kept", "Only the newer key is left.", "undecryptable", seeds=[newer.seed.hex()])
    yield vector("again", "It was taken in before.", "persona-outdated", known=encode(again).hex())
    crossed: dict[str, Json] = {"known": encode(again).hex(), "crossing": True}
    yield vector("crossing", "Bob's own reclaim to the same persona is on its way.", None, right, **crossed)
    yield vector(
        "crossing-to-an-older-persona",
        "One that Bob's thief may have read counts only with a higher number.",
        "persona-outdated",
        right,
        **{**crossed, "seeds": [newer.seed.hex(), bob.seal.seed.hex()]},
    )
    lower = sealed(msgspec.structs.replace(good, persona=old.raw), old.daily)
    yield vector("crossing-stolen-persona", "A lower number.", "persona-outdated", lower, **crossed)
    yield saying(
        "stolen-persona", "The thief uses the persona that she stole.", "persona-outdated", old.daily, persona=old.raw
    )
    yield saying(
        "another-root", "Mallory's root in place of Anna's.", "person-changed", mallory.daily, persona=mallory.raw
    )
    unsigned = signed_persona(
        tape, PersonaStatement(1, anna.root.public, anna.daily.public, anna.seal.public, 2), mallory.root
    )
    yield saying("root-did-not-sign", "A higher number without the root's word.", "bad-signature", persona=unsigned)
    yield vector("signed-by-the-thief", "By the old persona's key.", "bad-signature", sealed(good, old.daily))
    yield vector("signed-for-another", "Anna signed it for Mallory.", "bad-signature", sealed(good, to=mallory.id))
    yield vector("key-exchanged", "The key is not the signed one.", "bad-signature", sealed(good, over=changed))
    another = msgspec.structs.replace(known, peer=mallory.id)
    yield vector(
        "of-another-peer", "It came into the mailbox for Mallory.", "undecryptable", known=encode(another).hex()
    )
    yield vector("passed-on", "Bob's copy, given to Mallory.", "undecryptable", me=mallory.raw.hex())
    yield saying("suite-2", "Of a newer program, inside.", "unknown-suite", suite=2)
    yield saying("weak-key", "The X25519 half is zero.", "bad-key", seal_key=bytes(SEAL_KEY_BYTES))
    yield saying("bad-host", "A mailbox on no host.", "undecodable", mailbox=BAD_ADDRESS)
    yield vector("altered", "One bit was changed.", "undecryptable", flip(right, -1))
    yield vector("cut", "A byte is missing.", "undecryptable", right[:-1])
    yield vector("suite-byte-2", "Of a newer program.", "undecryptable", b"\x02" + right[1:])
