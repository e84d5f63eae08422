"""Everything that has to change in the vault after a theft, beside who is a member (spec: stolen.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kith_client.book.layers import Layers
from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.homes import Place
from kith_client.relations.records import InviteState
from kith_client.relations.theft.decided import Version
from kith_client.relations.theft.home import settled_at
from kith_client.relations.theft.personas import renewed
from kith_client.relations.theft.undoing import Undone, undo
from kith_client.stamp import Contents, Edit, Stamp, overlay
from kith_protocol.content import Content
from kith_protocol.relationship import RelationshipState
from kith_protocol.suite import HybridSignKey

_NAMED: Final = 30
"""Names in a sentence; a thief may have made very many."""


@dataclass(frozen=True, slots=True)
class Afterwards:
    """What to commit."""

    edit: Edit
    persona: Edit
    """The new persona: after all of `edit`, since it is what makes every relationship be taken back."""
    text: str
    """What the person has to know."""


def after_theft(
    contents: Contents,
    histories: Mapping[bytes, Sequence[Version]],
    stamp: Stamp,
    root: HybridSignKey,
    place: Place,
) -> Afterwards:
    """Undoes what the removed devices wrote of relationships, revokes open invites, and makes a new persona.

    `place` is the home server in use. Raises `Refused` (`moved`) where the person moved the vault to another one.
    """
    undone = undo(contents, histories, stamp)
    gone = {record for record, content in undone.edit.items() if content is None}
    left = {record: content for record, content in overlay(contents, undone.edit).items() if record not in gone}
    home = settled_at(contents, left, stamp, place)
    draft = Draft(left, stamp)
    for invite in records.invites(left):
        if invite.state is InviteState.OPEN:
            draft.change(invite.id, {"state": InviteState.REVOKED.value})
    persona = renewed(contents, _written(histories), stamp, root)
    text = _text(left, undone, _unblocked(contents, undone.edit))
    if home:
        text += f" A removed device had said that the address book lives elsewhere; it lives on {place.host}."
    if len(draft.edit):
        text += " Your open invites are revoked; make new ones."
    draft.tell("alarm", next(record for record, content in persona.items() if content is not None), text)
    return Afterwards({**undone.edit, **home, **draft.edit}, persona, text)


def _written(histories: Mapping[bytes, Sequence[Version]]) -> Iterator[Content]:
    for versions in histories.values():
        yield from (each.content for each in versions if each.content is not None)


def _unblocked(contents: Contents, edit: Edit) -> list[bytes]:
    """`peer` records whose block is undone with the rest: a thief shuts out whom she likes."""
    changed = [(record, content) for record, content in edit.items() if content is not None and record in contents]
    return [
        record
        for record, content in changed
        if contents[record].value("blocked") is True and content.value("blocked") is not True
    ]


def _text(contents: Contents, undone: Undone, unblocked: Iterable[bytes]) -> str:
    layers = Layers(contents)
    waiting = [
        channel.peer
        for channel in records.channels(contents)
        if channel.state is RelationshipState.ANSWERED and records.has_peer(contents, channel)
    ]
    sentences = [
        "Your keys were replaced after a theft, and your peers are told. Whoever became one shortly before may be the "
        "thief: look through 'kith peers', and 'kith forget' whom you do not know. What the thief changed in your "
        "card, contacts and notes stands as it is: see 'kith me'.",
        _named(layers, undone.put_back, "Put back as it was before: what you decided about {}."),
        _named(
            layers,
            undone.strangers,
            "Added on a removed device: {}. They see nothing but your name until you grant them something; compare "
            "safety numbers first.",
        ),
        _named(
            layers,
            unblocked,
            "Blocked on a removed device, and not any more: {}. 'kith block' shuts them out again.",
        ),
        _listed(undone.handles, "Your handles as they were before, private where a removed device chose them: {}."),
        "Requests and introductions that a removed device wrote are gone; make yours anew." if undone.dropped else "",
        _named(layers, waiting, "Not connected yet: {}. If it does not come about, accept their invite anew."),
    ]
    return " ".join(each for each in sentences if each)


def _named(layers: Layers, peers: Iterable[bytes], sentence: str) -> str:
    return _listed(sorted({layers.peer_names(peer)[0] for peer in peers if peer in layers.contents}), sentence)


def _listed(names: Sequence[str], sentence: str) -> str:
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return sentence.format(", ".join([*names[:_NAMED], *more])) if names else ""
