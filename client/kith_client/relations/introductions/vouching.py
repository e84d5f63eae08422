"""Who comes through an introduction: only the person whom the introducer named, and on the introducer's word.

An answer to my invite, or the greeting of the invite that came to me, by anybody else is an alarm that names who
introduced us: nobody but the introducer and the other person had the invite.
"""

from __future__ import annotations

from kith_client.relations import records
from kith_client.relations.accepting import begin_channel
from kith_client.relations.draft import Draft
from kith_client.relations.inbox import Inbox, TakenIn
from kith_client.relations.introductions.introduced import introducer_of_introduction
from kith_client.relations.introductions.records import Introduction, read_introduction
from kith_client.relations.introductions.suspicion import doubted, introducer_name, tell_of_namesakes
from kith_client.relations.joining import attach, open_peer_of_contact
from kith_client.relations.records import Expected, InviteRecord
from kith_client.relations.trust import introduced_by, raised
from kith_client.stamp import Contents, Stamp
from kith_protocol.errors import Alarm, AlarmCode, Refused
from kith_protocol.invite import Invite, open_greeting


def vouch(draft: Draft, peer: bytes, by: bytes) -> None:
    """The peer came through an introduction by the person `by`."""
    trust = raised(records.peer_at(draft.contents, peer).trust, introduced_by(by))
    draft.change(peer, {"trust": trust})
    tell_of_namesakes(draft, peer)


def tell_of_stranger(inbox: Inbox, invite: InviteRecord, expected: Expected) -> None:
    """Somebody else than the person named answered the invite. It stays open for that person."""
    name = introducer_name(inbox.draft.contents, expected.by)
    text = (
        f"{name} introduced you to somebody, but another person answered the invite that you made for them. They were "
        f"not connected. Beside the person it was for, only {name} had the invite: ask them."
    )
    inbox.tell("alarm", invite.id, text)


def accept_introduced(
    contents: Contents, stamp: Stamp, record: bytes, greeting: bytes | None, host: str, fingerprint: bytes
) -> TakenIn:
    """Answers the invite that an introducer passed on; `greeting` is what lay under it, None where nothing does.

    `host` and `fingerprint` are my home server's. Whatever is wrong becomes an issue, and the invite is done with; but
    one server's forged greeting may be followed by the right one.
    """
    inbox = Inbox(Draft(contents, stamp))
    each = read_introduction(record, contents[record])
    by = introducer_of_introduction(contents, each)
    if each.link is None:
        return inbox.outcome
    if greeting is None:
        name = introducer_name(contents, by)
        _give_up(inbox, each, "invite", f"{name} introduced you to somebody, but the invite for it is gone.")
    elif not _contact_is_another(inbox, each, by):
        _answer(inbox, each, each.link.invite, greeting, (host, fingerprint), by)
    return inbox.outcome


def refuse_server(contents: Contents, stamp: Stamp, record: bytes, alarm: Alarm) -> TakenIn:
    """Gives up the invite that an introducer passed on, because the server that it names does not show the key that it
    names: whoever wrote the invite said so, and the server may have nothing to do with it."""
    inbox = Inbox(Draft(contents, stamp))
    each = read_introduction(record, contents[record])
    if each.link is not None:
        name = introducer_name(contents, introducer_of_introduction(contents, each))
        text = (
            f"{name} introduced you to somebody, and passed on an invite at {each.link.host}. {alarm} You were not "
            f"connected. Ask {name} whether that is the server of the other, and to introduce you once more."
        )
        _give_up(inbox, each, "alarm", text)
    return inbox.outcome


def _answer(
    inbox: Inbox, each: Introduction, invite: Invite, greeting: bytes, home: tuple[str, bytes], by: bytes
) -> None:
    draft, decision = inbox.draft, each.decision
    name = introducer_name(draft.contents, by)
    try:
        opened = open_greeting(invite, greeting, draft.stamp.now)
        channel = begin_channel(draft, invite, opened, *home, expect=each.person)
    except Alarm as alarm:
        if alarm.alarm is AlarmCode.PERSON_CHANGED:
            text = f"{name} introduced you to one person and passed on the invite of another. You were not connected."
            _give_up(inbox, each, "alarm", f"{text} Ask {name}.")
        else:
            inbox.tell("alarm", each.id, f"The invite that {name} passed on was not used. {alarm}")
        return
    except Refused as refusal:
        _give_up(inbox, each, "invite", f"The invite that {name} passed on cannot be used. {refusal}")
        return
    facets, contact = (decision.facets, decision.contact) if decision is not None else ((), None)
    peer = attach(draft, channel, each.person, opened.greeting.name, invite.host, contact, facets)
    draft.change(channel, {"peer": peer})
    vouch(draft, peer, by)
    draft.change(each.id, {"used": True})
    inbox.event(peer, f"was introduced to you by {name}")


def _contact_is_another(inbox: Inbox, each: Introduction, by: bytes) -> bool:
    """Since I agreed, the contact that I named became a peer with another root than the introducer says."""
    contact = each.decision.contact if each.decision is not None else None
    known = open_peer_of_contact(inbox.draft.contents, contact) if contact is not None else None
    if known is None or known.person == each.person:
        return False
    name = introducer_name(inbox.draft.contents, by)
    text = f"{name} introduced you to somebody for a contact that belongs to another person. You were not connected."
    _give_up(inbox, each, "alarm", f"{text} {doubted(inbox.draft, known)}".rstrip())
    return True


def _give_up(inbox: Inbox, each: Introduction, kind: str, text: str) -> None:
    inbox.draft.change(each.id, {"used": True})
    inbox.tell(kind, each.id, text)
