"""Whether the one whom a person meets is somebody they know already, and under which name.

A key is met, not a name: whoever was introduced under a friend's name may come along under their own. So the question
says what is known, and where it does not fit, that is told.
"""

from __future__ import annotations

from kith_client.book.layers import Layers
from kith_client.contacts.text import search_key
from kith_client.relations.draft import Draft
from kith_client.relations.introductions.suspicion import PersonChanged, doubted, vouched_by
from kith_client.relations.joining import peer_of_person
from kith_client.relations.meeting import Them
from kith_client.relations.records import PeerRecord
from kith_client.stamp import Contents, Stamp


def question(contents: Contents, them: Them) -> str:
    """What the person is asked. Holds names: never logged."""
    peer = peer_of_person(contents, them.persona.person)
    if peer is None:
        return f"Become peers with '{them.name}'?"
    known, by = Layers(contents).peer_names(peer.id)[0], vouched_by(contents, peer.trust)
    introduced = "" if by is None else f", introduced by '{by}'"
    return f"They call themselves '{them.name}'. You know this person as '{known}'{introduced}. Is it them?"


def not_them(contents: Contents, stamp: Stamp, them: Them) -> PersonChanged | None:
    """The person said no: where these are the keys of a peer under another name, that peer may be somebody else."""
    peer = peer_of_person(contents, them.persona.person)
    if peer is None or _fits(contents, peer, them):
        return None
    draft = Draft(contents, stamp)
    blame, name = doubted(draft, peer), Layers(contents).peer_names(peer.id)[0]
    draft.tell(
        "alarm",
        peer.id,
        f"Somebody whom you met, and who calls themselves {them.name}, has the keys of the peer whom you know as "
        f"{name}, and you said that it is somebody else. {blame} Ask {name} on another way.".replace("  ", " "),
    )
    text = "You declined: the one whom you met has the keys of a peer whom you know under another name."
    return PersonChanged(text, draft.edit, blame)


def _fits(contents: Contents, peer: PeerRecord, them: Them) -> bool:
    called = Layers(contents).peer_called(peer.id)
    return search_key(them.name) in {search_key(name) for name in (*called.own, *called.said)}
