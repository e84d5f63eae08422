"""Running a vector of the formats between persons and servers; the table that `running` takes in."""

from __future__ import annotations

from collections.abc import Callable

from kith_protocol.gateway import (
    Arguments,
    FetchGreeting,
    LeaveMessage,
    LookForMessage,
    LookUp,
    Put,
    arguments_of,
    gateway_key_id,
    open_greeting_answer,
    open_look_up_answer,
    open_put_answer,
    open_rendezvous_answer,
    open_request,
    request_hash,
)
from kith_protocol.handle import handle_id, parse_address, parse_new_handle
from kith_protocol.invite import format_link, open_greeting, parse_link
from kith_protocol.link_code import parse_code, parse_meeting_code
from kith_protocol.mailbox import MailboxKind, check_parcel_size, place, verify_put
from kith_protocol.parcel import ParcelContext, Share, open_parcel
from kith_protocol.persona import check_expected, safety_number, verify_persona
from kith_protocol.phrase import entropy_of, paper_keys, phrase_of, root_key
from kith_protocol.relationship import Direction
from kith_protocol.server_statement import verify_server_statement
from kith_protocol.share import apply_share, digest_of, payload_of
from kith_protocol.suite import SealKey, digest
from tests.support.vectors.vector import Json

Inputs = dict[str, Json]
unhex = bytes.fromhex


def _persona(inputs: Inputs) -> Json:
    statement = verify_persona(unhex(inputs["persona"]))
    expect = None if inputs["expect"] is None else unhex(inputs["expect"])
    check_expected(statement, expect=expect, known={unhex(person): number for person, number in inputs["known"]})
    return {
        "person": statement.person.hex(),
        "number": statement.number,
        "safety_number": safety_number(statement.root, unhex(inputs["reader"])),
    }


def _server_statement(inputs: Inputs) -> Json:
    raw, pinned = unhex(inputs["statement"]), unhex(inputs["fingerprint"])
    statement = verify_server_statement(raw, pinned, inputs["host"], inputs["now"])
    return {"fingerprint": statement.fingerprint.hex(), "gateway_key": statement.gateway_key.hex()}


def _gateway(inputs: Inputs) -> Json:
    if inputs["do"] == "open-request":
        return _request(inputs)
    key, of, raw = unhex(inputs["response_key"]), unhex(inputs["request_hash"]), unhex(inputs["answer"])
    if inputs["do"] == "open-greeting-answer":
        found = open_greeting_answer(key, of, raw)
        return {"status": found.status.name.lower(), "greeting": found.greeting.hex()}
    if inputs["do"] == "open-rendezvous-answer":
        passed = open_rendezvous_answer(key, of, raw)
        return {"status": passed.status.name.lower(), "message": passed.message.hex()}
    if inputs["do"] == "open-look-up-answer":
        looked = open_look_up_answer(key, of, raw)
        return {"status": looked.status.name.lower(), "secret": looked.secret.hex()}
    return {"status": open_put_answer(key, of, raw).status.name.lower()}


def _request(inputs: Inputs) -> Json:
    key, raw = SealKey(unhex(inputs["gateway_seed"])), unhex(inputs["request"])
    request = open_request({gateway_key_id(key.public): key}, unhex(inputs["fingerprint"]), raw, inputs["now"])
    asked = arguments_of(request)
    return {
        "operation": request.operation.name.lower(),
        "of": _about(asked),
        "response_key": request.response_key.hex(),
        "request_hash": request_hash(raw).hex(),
    }


def _about(asked: Arguments) -> Json:
    match asked:
        case FetchGreeting():
            return asked.link_id.hex()
        case Put():
            return asked.mailbox.hex()
        case LeaveMessage():
            return [asked.nameplate, asked.index, asked.message.hex()]
        case LookForMessage():
            return [asked.nameplate, asked.index]
        case LookUp():
            return asked.handle.hex()


def _invite(inputs: Inputs) -> Json:
    invite = parse_link(inputs["link"])
    if inputs["do"] == "read-link":
        return {
            "host": invite.host,
            "secret": invite.secret.hex(),
            "fingerprint": invite.fingerprint.hex(),
            "link_id": invite.link_id.hex(),
            "greeting_key": invite.greeting_key.hex(),
            "mailbox": invite.mailbox.mailbox.hex(),
            "deposit_key": invite.mailbox.deposit.public.hex(),
            "link": format_link(invite),
        }
    opened = open_greeting(invite, unhex(inputs["greeting"]), inputs["now"])
    return {"name": opened.greeting.name, "person": opened.persona.person.hex(), "number": opened.persona.number}


def _handle(inputs: Inputs) -> Json:
    if inputs["do"] == "choose":
        handle = parse_new_handle(inputs["text"])
        return {"handle": handle, "id": handle_id(handle).hex()}
    address = parse_address(inputs["text"])
    return {"handle": address.handle, "host": address.host, "id": handle_id(address.handle).hex()}


def _mailbox(inputs: Inputs) -> Json:
    parcel, slot = unhex(inputs["parcel"]), unhex(inputs["slot"])
    check_parcel_size(parcel)
    key, mailbox, signature = (unhex(inputs[name]) for name in ("deposit_key", "mailbox", "signature"))
    verify_put(key, mailbox, slot, inputs["sequence"], parcel, signature=signature)
    used = {unhex(known): sequence for known, sequence in inputs["existing"]}
    return place(used, slot, inputs["sequence"], MailboxKind[inputs["kind"].upper()]).name.lower()


def _parcel(inputs: Inputs) -> Json:
    rs, relationship, mailbox, slot = (unhex(inputs[name]) for name in ("rs", "relationship", "mailbox", "slot"))
    direction = Direction[inputs["direction"].upper()]
    context = ParcelContext(rs, relationship, direction, mailbox, slot, inputs["sequence"])
    body = open_parcel(context, [SealKey(unhex(seed)) for seed in inputs["seeds"]], unhex(inputs["parcel"]))
    return {
        "versions": [[item.hex(), version] for item, version in body.versions],
        "acknowledged": [[item.hex(), version] for item, version in body.acknowledged],
        "confirm": body.confirm.hex(),
        "messages": [type(message).__name__.lower() for message in body.messages],
    }


def _link_code(inputs: Inputs) -> Json:
    if inputs.get("purpose") == "meet":
        code = parse_meeting_code(inputs["code"])
        shown: Json = [code.meeting, code.meeting_qr]
    else:
        code = parse_code(inputs["code"])
        shown = code.text
    return {"nameplate": code.nameplate, "secret": code.secret.hex(), "host": code.host, "shown": shown}


def _phrase(inputs: Inputs) -> Json:
    entropy = entropy_of(inputs["phrase"])
    return {
        "entropy": entropy.hex(),
        "phrase": phrase_of(entropy),
        "paper_key": paper_keys(entropy).id.hex(),
        "root_hash": digest(root_key(entropy).public).hex(),
    }


def _share(inputs: Inputs) -> Json:
    share = Share(unhex(inputs["item"]), inputs["version"], inputs["kind"], unhex(inputs["payload"]))
    share.check()
    payload = payload_of(share)
    known = {unhex(item): (version, unhex(digest)) for item, version, digest in inputs["known"]}
    return {
        "payload": None if payload is None else type(payload).__name__,
        "digest": digest_of(share).hex(),
        "decision": apply_share(known, share).name.lower(),
    }


PEER_RUNNERS: dict[str, Callable[[Inputs], Json]] = {
    "persona": _persona,
    "server_statement": _server_statement,
    "gateway": _gateway,
    "invite": _invite,
    "handle": _handle,
    "mailbox": _mailbox,
    "parcel": _parcel,
    "link_code": _link_code,
    "phrase": _phrase,
    "share": _share,
}
