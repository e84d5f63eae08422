"""Taking relationships back under a new persona of mine, after a theft (spec: reclaim.md).

Every channel knows the number of the persona under which it was made. Where mine is another by now, the plan of a sync
makes the relationship anew: in a channel of its own, with a reclaim that goes to every mailbox of the peer that is
known. Nothing else goes out in it before the peer has shown that the reclaim came.
"""

from __future__ import annotations

from typing import Final

from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.joining import end_others
from kith_client.relations.own_keys import PUT, Retired
from kith_client.relations.records import FORMER, RECLAIM, Channel, InviteState
from kith_client.relations.rekeying import DAY, MAX_RETIRED, RETIRED_FOR, STANDING, fresh_inbox
from kith_client.stamp import Contents, Edit, Stamp, of_kind, the_one
from kith_protocol.content import Content
from kith_protocol.encoding import Value, decode, encode
from kith_protocol.errors import BadKey, BadSignature, DecodingError, Refused
from kith_protocol.invite import Greeting
from kith_protocol.mailbox import MailboxAddress
from kith_protocol.reclaim import make_reclaim
from kith_protocol.relationship import RelationshipState
from kith_protocol.suite import KEY_BYTES, NONCE_BYTES, SEED_BYTES

UNREACHED: Final = (
    "A peer cannot be told of your new keys: none of the mailboxes is there any more that are known here, or what is "
    "known of the peer's keys is damaged. An invite for them ('kith invite') connects you anew, and shows who you are."
)
MAX_FORMER: Final = 16
"""Mailboxes remembered of one peer: as many as it keeps itself after a newer one replaced them."""
MAX_ENDED: Final = 3
"""Ended channels of one peer that are kept when another one is replaced."""
FORMER_EVERY: Final = 7 * DAY
"""Milliseconds in which one more of them is remembered at most. Peers change theirs less often, and what a thief
announces in a month leaves most of those of before."""


def plan_reclaims(contents: Contents, stamp: Stamp) -> Edit:
    """Makes every relationship anew that stands under another persona of mine, and revokes the invites of that one."""
    draft = Draft(contents, stamp)
    number = own_number(contents)
    for channel in records.channels(contents):
        stands = channel.state in STANDING and records.has_peer(contents, channel)
        # Whom the finish of the handshake has not reached knows of no relationship yet.
        is_begun = not channel.step or channel.is_reclaiming
        # A higher one than mine is nobody's but a thief's, who would keep it from being taken back.
        if number and channel.persona != number and stands and is_begun and channel.established is not None:
            _take_back(draft, channel, channel.established.peer_persona)
    for invite in records.invites(contents):
        persona = records.persona_of(decode(invite.own.greeting, Greeting).persona)
        if invite.state is InviteState.OPEN and persona.number < number:
            draft.change(invite.id, {"state": InviteState.REVOKED.value})
    return draft.edit


def _take_back(draft: Draft, channel: Channel, persona: bytes) -> None:
    """Where what the vault knows of the peer is no statement of its root, there is nobody to seal to."""
    try:
        reclaim(draft, channel, persona)
    except (BadSignature, BadKey, DecodingError, Refused):
        draft.change(channel.id, {"state": RelationshipState.ENDED.value}, without=["step"])
        draft.tell("alarm", channel.peer, UNREACHED)


def own_number(contents: Contents) -> int:
    """Of my persona; 0 where it cannot be read, so that nothing follows."""
    if the_one(contents, "persona") is None:
        return 0
    return records.persona_of(records.own_persona(contents).raw).number


def reclaim(draft: Draft, channel: Channel, persona: bytes, *more: MailboxAddress) -> None:
    """Makes the relationship of `channel` anew, by a reclaim sealed to the peer's signed `persona`.

    It goes to the mailboxes that are known, and to `more`.
    """
    old, stamp = channel.established, draft.stamp
    if old is None:
        return
    me = records.own_persona(draft.contents)
    to = list(dict.fromkeys([*more, old.outbox, *channel.former, *(channel.reclaim or ())]))[:MAX_FORMER]
    raw, established = make_reclaim(
        me,
        persona,
        old.name,
        seal_seed=stamp.random(SEED_BYTES),
        inbox=fresh_inbox(draft, channel),
        outbox=to[0],
        secret=stamp.random(KEY_BYTES),
        nonce=stamp.random(NONCE_BYTES),
    )
    values: dict[str, Value] = {"step": raw, RECLAIM: [encode(each) for each in to]}
    values[FORMER] = values[RECLAIM]
    replace_channel(
        draft, channel, {**values, "state": RelationshipState.FINISHED.value, "established": encode(established)}
    )


def replace_channel(draft: Draft, channel: Channel, values: dict[str, Value]) -> bytes:
    """A new channel of the same peer; its mailboxes of before stay open for the word of the peer's root alone."""
    now = draft.stamp.now
    inboxes = dict.fromkeys([*(key.inbox for key in channel.mine.keys), channel.inbox])
    kept = [Retired(inbox, now) for inbox in inboxes]
    kept += [each for each in channel.mine.retired if each.at + RETIRED_FOR > now and each.inbox not in inboxes]
    mine: dict[str, Value] = {
        "retired": [each.to_value() for each in kept[:MAX_RETIRED]],
        "closing": [*channel.mine.closing, *(each.inbox.read_id for each in kept[MAX_RETIRED:])],
    }
    made = draft.add("channel", {"peer": channel.peer, "persona": own_number(draft.contents), **mine, **values})
    # What it had goes over to the new one, so the home server has nothing to delete.
    ended: dict[str, Value] = {"state": RelationshipState.ENDED.value, "cleared": True}
    draft.change(channel.id, ended, without=["step", RECLAIM, "bye", "parted"])
    end_others(draft, channel.peer, made)
    draft.change(channel.peer, {"channel": made})
    _forget_replaced(draft, channel)
    return made


def _forget_replaced(draft: Draft, channel: Channel) -> None:
    """However often a peer takes the relationship back, little is kept of what is over: of its ended channels the
    newest few, and of the introductions that came through this one none which nobody decided."""
    over = [r for r, c in of_kind(draft.contents, "channel").items() if _is_over(c, channel.peer)]
    oldest_first = sorted(over, key=lambda record: (draft.contents[record].units["state"].at, record))
    gone = set(oldest_first[:-MAX_ENDED])
    for record, content in list(draft.contents.items()):
        undecided = content.kind == "introduction" and content.value("decision") is None
        through = content.value("channel")
        if record in gone or (content.kind == "theirs" and through in gone) or (undecided and through == channel.id):
            draft.remove(record)


def _is_over(channel: Content, peer: bytes) -> bool:
    """Whether nothing is to be done about a channel of this peer any more, at the home server either."""
    ended = channel.value("state") == RelationshipState.ENDED.value and channel.value("cleared") is True
    return ended and channel.value("peer") == peer and not channel.value("bye")


def note_heard(draft: Draft, channel: Channel) -> None:
    """The peer has shown that a reclaim of mine came: everything else may go out."""
    if channel.is_reclaiming:
        draft.change(channel.id, {RECLAIM: []}, without=["step", *(PUT + what for what in channel.mine.put)])


def put_name(mailbox: bytes) -> str:
    """Under which the receipt for a reclaim in one mailbox is kept."""
    return f"{RECLAIM}/{mailbox.hex()}"


def waiting_for(channel: Channel) -> list[MailboxAddress]:
    """The mailboxes for whose reclaim there is no receipt."""
    return [to for to in channel.reclaim or () if put_name(to.mailbox) not in channel.mine.put]
