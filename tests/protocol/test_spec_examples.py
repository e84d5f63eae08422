"""The example bytes in the pages of `protocol/spec` are those that the code makes."""

from __future__ import annotations

from functools import lru_cache

import pytest

from kith_protocol import handshake, parcel, suite
from kith_protocol.encoding import encode
from kith_protocol.gateway import FetchGreeting, PutResult, PutStatus, gateway_key_id, make_request
from kith_protocol.invite import Invite, format_link
from kith_protocol.link_code import qr_code, spoken_code
from kith_protocol.linking import LinkMachine, LinkRole
from kith_protocol.mailbox import sign_put
from kith_protocol.padding import pad_to
from kith_protocol.parcel import Bye, ParcelBody, ParcelContext, Withdraw
from kith_protocol.persona import person_id, safety_number
from kith_protocol.phrase import paper_keys, phrase_of, root_key
from kith_protocol.relationship import Direction, SlotKind, slot_of
from kith_protocol.server_statement import server_fingerprint
from kith_protocol.share import CardView, NoteKind, SharedNote, SharedProperty, make_share
from kith_protocol.suite import SealKey, SignKey, digest
from tests.conftest import REPOSITORY

ZERO = bytes(32)
LABEL = "kith/1/test"


def suite_examples() -> dict[str, str]:
    return {
        "frame": suite.frame(LABEL, b"ab").hex(),
        "labelled_hash": suite.labelled_hash(LABEL, b"ab").hex(),
        "derive": suite.derive(ZERO, LABEL, b"ab").hex(),
        "mac": suite.mac(ZERO, LABEL, b"ab").hex(),
        "encrypt": suite.encrypt(ZERO, LABEL, b"", b"ab", nonce=bytes(24)).hex(),
        "sign_public": SignKey(ZERO).public.hex(),
        "signature": SignKey(ZERO).sign(LABEL, b"ab").hex(),
        "seal_public": digest(SealKey(ZERO).public).hex(),
        "hybrid_public": digest(suite.HybridSignKey(ZERO, ZERO).public).hex(),
    }


def phrase_examples() -> dict[str, str]:
    paper = paper_keys(ZERO)
    return {
        "phrase": phrase_of(ZERO),
        "paper_sign": paper.sign.public.hex(),
        "paper_seal": digest(paper.seal.public).hex(),
        "paper_id": paper.id.hex(),
        "root": digest(root_key(ZERO).public).hex(),
    }


def gateway_examples() -> dict[str, str]:
    return {
        "key_id": gateway_key_id(SealKey(ZERO).public).hex(),
        "request": encode(make_request(FetchGreeting(bytes(16)), ZERO, 1_800_000_000_000)).hex(),
        "result": encode(PutResult(PutStatus.STORED)).hex(),
    }


def invite_examples() -> dict[str, str]:
    invite = Invite("anna.example", ZERO, bytes(16))
    return {
        "link": format_link(invite),
        "web": format_link(invite, web=True),
        "link_id": invite.link_id.hex(),
        "greeting_key": invite.greeting_key.hex(),
        "mailbox": invite.mailbox.mailbox.hex(),
        "deposit": invite.mailbox.deposit.public.hex(),
    }


def handshake_examples() -> dict[str, str]:
    keys = handshake._keys(bytes(96), ZERO)
    return {
        "rs": keys.rs.hex(),
        "relationship": keys.relationship.hex(),
        "confirm": keys.confirm.hex(),
        "finish_mac": handshake._finish_mac(keys.rs, ZERO, ParcelBody()).hex(),
        "slot": slot_of(ZERO, Direction.TO_ACCEPTER, SlotKind.ITEM, bytes(16)).hex(),
    }


def parcel_examples() -> dict[str, str]:
    context = ParcelContext(ZERO, bytes(16), Direction.TO_ACCEPTER, bytes(16), bytes(16), 1)
    body = ParcelBody(((bytes(16), 2),), (), b"", (Withdraw(bytes(16), 2), Bye()))
    return {"body": encode(body).hex(), "key": parcel._key(context, ZERO).hex()}


def share_examples() -> dict[str, str]:
    tel = SharedProperty("", "TEL", (("TYPE", ("cell",)),), "+49 40 1234")
    return {
        "card": encode(CardView((tel,))).hex(),
        "note": encode(SharedNote(NoteKind.MET, 1_800_000_000_000, "Carla", "fences")).hex(),
        "share": encode(make_share(bytes(16), 1, CardView(()))).hex(),
    }


def linking_examples() -> dict[str, str]:
    code = spoken_code("7", b"\x01\x23\x45\x67\x89")
    old, new = (LinkMachine(role, code, "anna.example") for role in LinkRole)
    from_old, from_new = old.start(ZERO), new.start(b"\x01" * 32)
    of_old, of_new = old.receive(from_new), new.receive(from_old)
    assert of_old is not None
    assert of_new is not None
    return {
        "code": code.text,
        "qr": qr_code("anna.example", "7", bytes(16)).text,
        "from_old": from_old.hex(),
        "from_new": from_new.hex(),
        "of_old": of_old.hex(),
        "of_new": of_new.hex(),
    }


EXAMPLES = {
    "suite": suite_examples,
    "encoding": lambda: {"withdraw": encode(Withdraw(bytes(16), 300)).hex()},
    "padding": lambda: {"padded": pad_to(b"ab", 8).hex()},
    "phrase": phrase_examples,
    "persona": lambda: {
        "person": person_id(root_key(ZERO).public).hex(),
        "safety": safety_number(root_key(ZERO).public, root_key(b"\x01" * 32).public),
    },
    "server": lambda: {"fingerprint": server_fingerprint(SignKey(ZERO).public).hex()},
    "gateway": gateway_examples,
    "mailbox": lambda: {"put": sign_put(SignKey(ZERO), bytes(16), bytes(16), 1, bytes(2560)).hex()},
    "invite": invite_examples,
    "handshake": handshake_examples,
    "parcel": parcel_examples,
    "share": share_examples,
    "linking": linking_examples,
}


@lru_cache(maxsize=32)
def page(name: str) -> str:
    return " ".join((REPOSITORY / "protocol" / "spec" / f"{name}.md").read_text().split())


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_a_page_are_what_the_code_makes(name: str) -> None:
    for what, value in EXAMPLES[name]().items():
        assert value in page(name), f"{name}.md: {what}"
