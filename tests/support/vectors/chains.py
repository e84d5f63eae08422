"""Scenarios of the formats `member`, `commit` and `chain`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from kith_protocol.chain import MAX_EPOCH_STEP, ZERO
from kith_protocol.commit import MAX_ABANDONED, sign_commit
from kith_protocol.encoding import encode
from kith_protocol.epoch import NO_KEYS, SealedKeys, epoch_commitment
from kith_protocol.member import Member, MemberKeys, MemberKind
from kith_protocol.suite import SIGNATURE_BYTES, digest
from tests.protocol.people import fixed
from tests.protocol.test_member import SMALL_ORDER
from tests.protocol.vaults import Sealer, Step, Story, genesis_body, keys_of, paper_of
from tests.support.vectors.vector import Json, Vector, keys_in, step_of

PHONE, TABLET, STRANGER, NEW_PAPER = keys_of("phone"), keys_of("tablet"), keys_of("stranger"), paper_of("anna-new")


def members() -> Iterator[Vector]:
    laptop, paper = keys_of("anna-laptop"), paper_of("anna")
    public = laptop.public

    def vector(name: str, says: str, member: bytes, fails: str | None = None) -> Vector:
        return Vector("member", name, says, {"member": member.hex()}, fails, {"laptop": laptop, "paper": paper})

    def turned(**fields: Any) -> bytes:
        return encode(msgspec.structs.replace(public, **fields))

    raw = encode(public)
    yield vector("device", "A device's public keys.", raw)
    yield vector("paper-key", "The paper key's public keys.", encode(paper.public))
    weak = turned(sign_key=SMALL_ORDER)
    yield vector("weak-sign-key", "Under a key of small order one signature fits every message.", weak, "bad-key")
    no_share = public.seal_key[:-32] + bytes(32)
    yield vector("zero-share", "The X25519 half is zero.", turned(seal_key=no_share), "bad-key")
    not_reduced = b"\xff" * 1184 + public.seal_key[-32:]
    yield vector("lattice-not-reduced", "ML-KEM coefficients over q.", turned(seal_key=not_reduced), "bad-key")
    yield vector("short-key", "A seal key of 1,215 bytes.", turned(seal_key=public.seal_key[:-1]), "undecodable")
    yield vector("unknown-kind", "Neither device nor paper key.", raw[:1] + b"\x03" + raw[2:], "undecodable")
    yield vector("long-number", "The kind encoded in two bytes.", raw[:1] + b"\xcc\x01" + raw[2:], "undecodable")
    yield vector("field-too-many", "A fourth field.", b"\x94" + raw[1:] + b"\xc0", "undecodable")
    yield vector("trailing-byte", "A byte after the end.", raw + b"\x00", "undecodable")


def commits(seal: Sealer) -> Iterator[Vector]:
    told = Story(seal=seal)
    genesis, ordinary = told.steps[0].commit, told.make().commit
    sign_key = told.device.sign.public

    def vector(name: str, says: str, raw: bytes, fails: str | None = None, key: bytes = sign_key) -> Vector:
        return Vector("commit", name, says, {"commit": raw.hex(), "sign_key": key.hex()}, fails, keys_in(told))

    def turned(**fields: Any) -> bytes:
        return sign_commit(msgspec.structs.replace(ordinary.body, **fields), told.device.sign).raw

    body, signature = ordinary.raw[:-SIGNATURE_BYTES], ordinary.raw[-SIGNATURE_BYTES:]
    yield vector("genesis", "The first commit of a vault; its hash is the vault's id.", genesis.raw)
    yield vector("ordinary", "A commit that changes nothing.", ordinary.raw)
    adding = told.make_adding(PHONE).commit.raw
    yield vector("adds-a-device", "A commit that adds a device.", adding)
    other = PHONE.sign.public
    yield vector("other-key", "The signature is another member's.", ordinary.raw, "bad-signature", other)
    flipped = body[:-1] + bytes([body[-1] ^ 1]) + signature
    yield vector("altered-body", "One bit of the tree was changed.", flipped, "bad-signature")
    unlabelled = told.device.sign.sign("kith/1/session", body)
    yield vector("other-label", "Signed under the label of a session.", body + unlabelled, "bad-signature")
    yield vector("suite-0", "A lower suite.", turned(suite=0), "downgrade")
    yield vector("suite-2", "A suite that version 1 does not know.", turned(suite=2), "downgrade")
    yield vector("too-short", "Nothing but a signature.", signature, "undecodable")
    yield vector("negative-number", "Commit number -1.", turned(number=-1), "undecodable")
    yield vector("number-too-large", "A number over 2^53.", turned(number=2**53 + 1), "undecodable")
    long_way = body[:1] + b"\xcc\x01" + body[2:] + signature
    yield vector("long-number", "The suite encoded in two bytes.", long_way, "undecodable")
    fields = msgspec.msgpack.decode(body)
    more = msgspec.msgpack.encode([*fields, None]) + signature
    yield vector("field-too-many", "A fifteenth field.", more, "undecodable")
    yield vector(
        "short-commitment", "An epoch's commitment of 31 bytes.", turned(epoch_commitment=bytes(31)), "undecodable"
    )
    two = (b"\x02" * 32, b"\x01" * 32)
    yield vector("removed-not-sorted", "Removed members out of order.", turned(removed=two), "undecodable")
    yield vector("removed-twice", "A member removed twice.", turned(removed=two[:1] * 2), "undecodable")
    yield vector("gives-up-others", "A commit that gives up two others.", turned(abandoned=two[::-1]))
    yield vector("abandoned-not-sorted", "Abandoned commits out of order.", turned(abandoned=two), "undecodable")
    yield vector("abandoned-twice", "A commit given up twice.", turned(abandoned=two[:1] * 2), "undecodable")
    yield vector("abandoned-short", "A commit's hash of 31 bytes.", turned(abandoned=(bytes(31),)), "undecodable")
    many = tuple(number.to_bytes(32, "big") for number in range(MAX_ABANDONED + 1))
    yield vector("abandoned-too-many", "2,001 commits given up.", turned(abandoned=many), "undecodable")


def chains(seal: Sealer) -> Iterator[Vector]:
    yield from _beginnings(seal)
    for make in (_following, _membership, _paper, _epochs, _repairs):
        yield from make(lambda: _with_phone(seal))


def _with_phone(seal: Sealer) -> Story:
    told = Story(seal=seal)
    told.add(PHONE)
    return told


def _vector(told: Story, name: str, says: str, step: Step | None = None, fails: str | None = None) -> Vector:
    """The story so far and then `step`; without it the story alone."""
    steps: list[Json] = [step_of(taken) for taken in told.steps]
    if step is not None:
        steps.append(step_of(step))
    others = {"phone": PHONE, "tablet": TABLET, "stranger": STRANGER, "new-paper": NEW_PAPER}
    return Vector("chain", name, says, {"steps": steps}, fails, keys_in(told, **others))


def _beginnings(seal: Sealer) -> Iterator[Vector]:
    told = Story(seal=seal)
    device, paper, key = told.device.public, told.paper.public, told.epoch_keys[1]
    yield _vector(told, "genesis", "A vault begins with its first device and the paper key.")

    def begun(name: str, says: str, fails: str, members: tuple[Member, ...] = (device, paper), **fields: Any) -> Vector:
        sealed = fields.pop("sealed", None) or seal(key, ZERO, 1, {m.id: m for m in members}.values())
        body = genesis_body(device, paper, key, sealed, **{"added": members, **fields})
        step = Step(sign_commit(body, told.device.sign), sealed)
        return Vector("chain", name, says, {"steps": [step_of(step)]}, fails, keys_in(told))

    yield begun("genesis-with-number-1", "A first commit that is not number 0.", "genesis", number=1)
    two = (device, PHONE.public)
    yield begun("genesis-without-paper-key", "Two devices begin a vault.", "genesis", two)
    twin = msgspec.structs.replace(device, kind=MemberKind.PAPER)
    yield begun("genesis-with-one-key-set", "Device and paper key are the same keys.", "genesis", (device, twin))
    yield begun("genesis-by-paper-key", "The paper key is named as author.", "unknown-member", author=paper.id)
    yield begun("genesis-in-epoch-2", "A vault begins with epoch 1.", "wrong-epoch", epoch=2)
    alone = seal(key, ZERO, 1, [device])
    yield begun("genesis-not-sealed-to-paper-key", "The key is sealed to one of two.", "wrong-epoch", sealed=alone)
    weak = msgspec.structs.replace(paper, sign_key=SMALL_ORDER)
    yield begun("genesis-with-weak-key", "The paper key is of small order.", "bad-key", (device, weak))


def _following(new: Callable[[], Story]) -> Iterator[Vector]:
    told = new()
    told.put(carla="met at PyCon")
    yield _vector(told, "ordinary", "A device added, then a commit with a record.")

    def refused(name: str, says: str, fails: str, author: MemberKeys | None = None, **fields: Any) -> Vector:
        return _vector(told, name, says, told.make(author, **fields), fails)

    yield refused("number-skipped", "A commit is left out.", "fork", number=4)
    yield refused(
        "parent-is-not-the-head", "A second commit on an older one.", "fork", parent=told.steps[1].commit.hash
    )
    yield refused("another-vault", "A commit of another vault.", "fork", vault=fixed("another vault"))
    yield _vector(told, "commit-repeated", "The last commit once more.", told.steps[-1], "fork")
    yield refused("stranger", "The author is no member.", "unknown-member", STRANGER)
    forged = Step(sign_commit(told.make().commit.body, PHONE.sign))
    yield _vector(told, "signed-by-another", "Names the laptop, signed by the phone.", forged, "unknown-member")
    told = new()
    told.remove(PHONE)
    yield _vector(told, "removed-member", "Written after its removal.", told.make(PHONE), "unknown-member")


def _membership(new: Callable[[], Story]) -> Iterator[Vector]:
    told = new()
    key = told.epoch_keys[1]
    two = (TABLET.public, STRANGER.public)
    sealed = told.seal(key, told.vault, 1, two)
    by_device = told.make(sealed=sealed, added=two)
    yield _vector(told, "device-adds-two", "A device adds one at a time.", by_device, "membership")
    by_paper = told.make(told.paper, sealed=sealed, added=two)
    told_by_paper = told.fork()
    told_by_paper.take(by_paper)
    yield _vector(told_by_paper, "paper-key-adds-two", "The paper key may add several.")
    again = told.make_adding(PHONE)
    yield _vector(told, "added-again", "The phone is there already.", again, "membership")
    itself = told.make_removing(PHONE, author=PHONE)
    yield _vector(told, "device-removes-itself", "It would choose the next key.", itself, "membership")
    nobody = told.make_removing(STRANGER)
    yield _vector(told, "removes-a-stranger", "Nobody of that id is there.", nobody, "membership")
    both = told.make_removing(PHONE, author=told.paper, added=(PHONE,))
    yield _vector(told, "removed-and-added", "In one commit.", both, "membership")
    told.remove(PHONE)
    yield _vector(told, "device-removed", "A removal begins epoch 2.")
    back = told.make_adding(PHONE)
    yield _vector(told, "removed-comes-back", "A removed id never returns.", back, "membership")


def _paper(new: Callable[[], Story]) -> Iterator[Vector]:
    told = new()
    by_device = told.make_removing(told.paper, added=(NEW_PAPER,))
    yield _vector(told, "device-replaces-paper-key", "Only the paper key may.", by_device, "membership")
    second = told.make_adding(NEW_PAPER, told.paper)
    yield _vector(told, "second-paper-key", "A vault has exactly one.", second, "membership")
    none = told.make_removing(told.paper, author=told.paper)
    yield _vector(told, "no-paper-key-left", "A vault has exactly one.", none, "membership")
    told.take(told.make_removing(told.paper, author=told.paper, added=(NEW_PAPER,)))
    told.take(told.make(NEW_PAPER))
    yield _vector(told, "paper-key-replaced", "By itself; the new one writes next.")


def _repairs(new: Callable[[], Story]) -> Iterator[Vector]:
    told, lost = new(), (fixed("lost commit"),)
    repaired = told.make_removing(TABLET, abandoned=lost, epoch=5, added=(STRANGER,))
    told_repaired = told.fork()
    told_repaired.take(repaired)
    yield _vector(told_repaired, "repaired", "Gives up a lost commit, shuts the tablet out that was never there.")
    back = told_repaired.make_adding(TABLET)
    yield _vector(told_repaired, "shut-out-by-a-repair", "It cannot be added any more.", back, "membership")
    ids = tuple(fixed(f"stranger {n}") for n in range(65))
    many = told.fork()
    many.take(many.make_removing(abandoned=lost, strangers=ids[:64]))
    one_more = many.make_removing(abandoned=lost, strangers=ids[64:])
    yield _vector(many, "repair-shuts-out-too-many", "A 65th that was never there.", one_more, "membership")
    many.take(many.make_removing(abandoned=lost, strangers=ids[:64]))
    yield _vector(many, "repair-shuts-out-the-same-again", "They are kept already.")
    no_epoch = told.make(abandoned=lost)
    yield _vector(told, "repair-without-epoch", "Keys of lost epochs may be out.", no_epoch, "wrong-epoch")
    itself = told.make_removing(PHONE, author=PHONE, abandoned=lost)
    yield _vector(told, "repair-removes-its-author", "As in every commit.", itself, "membership")
    paper = told.make_removing(told.paper, abandoned=lost, added=(NEW_PAPER,))
    yield _vector(told, "repair-replaces-paper-key", "A device never does.", paper, "membership")
    both = told.make_removing(TABLET, abandoned=lost, added=(TABLET,))
    yield _vector(told, "repair-adds-whom-it-removes", "In one commit.", both, "membership")
    told.remove(PHONE)
    gone = told.make_removing(author=PHONE, abandoned=lost)
    yield _vector(told, "repair-by-a-removed-member", "Written after its removal.", gone, "unknown-member")


def _epochs(new: Callable[[], Story]) -> Iterator[Vector]:
    told = new()
    no_epoch = told.make(removed=(PHONE.id,))
    yield _vector(told, "removal-without-epoch", "The removed one has the key.", no_epoch, "wrong-epoch")
    honest = told.make_removing(PHONE)

    def resealed(name: str, says: str, keys: SealedKeys) -> Vector:
        body = msgspec.structs.replace(honest.commit.body, keys=digest(encode(keys)))
        return _vector(told, name, says, Step(sign_commit(body, told.device.sign), keys), "wrong-epoch")

    unlinked = SealedKeys(honest.keys.keys)
    yield resealed("epoch-without-link", "The key before does not travel with it.", unlinked)
    for_phone = told.seal(told.epoch_keys[2], told.vault, 2, [PHONE.public]).keys
    everybody = tuple(sorted([*honest.keys.keys, *for_phone], key=lambda sealed: sealed.member))
    yield resealed(
        "epoch-sealed-to-removed", "The phone would go on reading.", SealedKeys(everybody, honest.keys.previous)
    )
    fewer = SealedKeys(honest.keys.keys[1:], honest.keys.previous)
    yield resealed("epoch-leaves-out-a-member", "Somebody could not read on.", fewer)
    exchanged = Step(honest.commit, NO_KEYS)
    yield _vector(told, "keys-exchanged", "Not the keys whose hash is signed.", exchanged, "wrong-epoch")
    keyless = told.make(added=(TABLET.public,))
    yield _vector(told, "added-without-key", "The tablet could not read.", keyless, "wrong-epoch")
    bare = told.make(epoch_commitment=fixed("commitment"))
    yield _vector(told, "commitment-without-epoch", "No epoch begins.", bare, "wrong-epoch")
    everyone = [standing.member for standing in told.chain.members.values()]
    for name, epoch in (("epoch-goes-back", 0), ("epoch-leaps", 2 + MAX_EPOCH_STEP)):
        sealed = told.seal(
            told.epoch_keys[2], told.vault, epoch, everyone, previous=told.epoch_keys[1], nonce=fixed("link", 24)
        )
        step = told.make(sealed=sealed, epoch=epoch, epoch_commitment=epoch_commitment(epoch, told.epoch_keys[2]))
        yield _vector(told, name, f"Epoch {epoch} cannot follow epoch 1.", step, "wrong-epoch")
