"""What a person means by CONTACT, PEER, CIRCLE or the id of something: an id, the start of one, or words of a name.

My own names for people come first. What only a peer says (of itself, or on a card that it shares) decides where nobody
else could be meant at all: otherwise a peer could take a name and be granted what is meant for its bearer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from kith_client.book.layers import Called, Layers, peer_id
from kith_client.book.names import is_id, short_ids
from kith_client.book.problems import Ambiguous, Choice, NotFound
from kith_client.contacts.views import search_key
from kith_client.stamp import Contents, of_kind

MAX_CHOICES: Final = 20
"""Things that an error lists; more do not help anybody."""

_SURE_DIGITS: Final = 8
"""From so many hex digits on, a text is an id and no word."""


def resolve_contact(contents: Contents, text: str) -> bytes:
    """The id of the contact that is meant. Raises `NotFound` or `Ambiguous`."""
    layers = Layers(contents)
    return bytes.fromhex(_one(_contacts(layers), _cards(layers), text, "contact", "'kith list' shows them all."))


def resolve_shown(contents: Contents, text: str) -> bytes:
    """As `resolve_contact`, the cards that peers share included: those can be shown, not changed."""
    layers = Layers(contents)
    names = {**_contacts(layers), **_cards(layers)}
    return bytes.fromhex(_one(names, {}, text, "contact", "'kith list' shows them all."))


def resolve_peer(contents: Contents, text: str) -> bytes:
    """The id of the `peer` record that is meant; people know a peer by the person id.

    Raises `NotFound` or `Ambiguous`.
    """
    layers = Layers(contents)
    ids = {peer_id(contents, record): record for record in sorted(of_kind(contents, "peer"), reverse=True)}
    names = {shown: layers.peer_called(record) for shown, record in ids.items()}
    strangers = {
        given: called for given, called in _contacts(layers).items() if bytes.fromhex(given) not in layers.peers
    }
    others = {**strangers, **_cards(layers)}
    return ids[_one(names, others, text, "peer", "'kith peers' shows them all.")]


def _contacts(layers: Layers) -> dict[str, Called]:
    return {record.hex(): layers.called(record) for record in of_kind(layers.contents, "contact")}


def _cards(layers: Layers) -> dict[str, Called]:
    return {record.hex(): layers.called(record) for record in layers.cards}


def resolve_record(contents: Contents, kind: str, text: str, called: str, where: str) -> bytes:
    """The record of one kind by its id or the start of it. Raises `NotFound` or `Ambiguous`."""
    ids = {record.hex(): () for record in of_kind(contents, kind)}
    return bytes.fromhex(resolve_id(ids, text, called, where, lambda _: ""))


def resolve_id(ids: Mapping[str, object], text: str, called: str, where: str, name: Callable[[str], str]) -> str:
    """The one of these hex ids that `text` is or begins. Raises `NotFound` or `Ambiguous`."""
    wanted = text.strip().lower()
    found = [given for given in ids if is_id(wanted) and given.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise _several(called, {given: name(given) for given in found}, ids)
    raise NotFound(f"There is no {called} with this id; {where}", shown=f"There is no {called} '{text}'. {where}")


def _one(names: Mapping[str, Called], others: Mapping[str, Called], text: str, called: str, where: str) -> str:
    """The one of `names` that is meant; `others` are those who bear names as well, but cannot be meant here."""
    wanted = text.strip().lower()
    by_id = [given for given in names if is_id(wanted) and given.startswith(wanted)]
    by_name = [] if by_id and len(wanted) >= _SURE_DIGITS else _by_words(names, others, search_key(text).split())
    found = list(dict.fromkeys([*by_id, *by_name]))
    if len(found) == 1:
        return found[0]
    if found:
        everybody = {**others, **names}
        shown = {given: _shown(everybody[given], given in names, called) for given in found}
        raise _several(called if set(found) <= set(names) else "name", shown, everybody)
    raise NotFound(f"No {called} matches. {where}", shown=f"No {called} matches '{text.strip()}'. {where}")


def _shown(called: Called, eligible: bool, kind: str) -> str:
    return called.shown if eligible else f"{called.shown}, who is no {kind}"


def _by_words(names: Mapping[str, Called], others: Mapping[str, Called], words: list[str]) -> list[str]:
    """Those called exactly so; else those whose names have all the words; else those whose names' words begin so.

    With each rule my own names come first. A peer's word alone gives the peer, and everybody else whom the words fit
    by any rule: so either nobody else is meant, or the person is asked.
    """
    if not words:
        return []
    everybody = {**names, **others}
    own = {given: [search_key(name).split() for name in each.own] for given, each in everybody.items()}
    said = {given: [search_key(name).split() for name in each.said] for given, each in everybody.items()}
    rules: tuple[Callable[[list[str]], bool], ...] = (
        lambda name: name == words,
        lambda name: all(word in name for word in words),
        lambda name: all(any(part.startswith(word) for part in name) for word in words),
    )
    for fits in rules:
        mine = [given for given in names if any(map(fits, own[given]))]
        if mine:
            return mine
        if any(any(map(fits, said[given])) for given in names):
            loosest = rules[-1]
            return [given for given in everybody if any(map(loosest, own[given] + said[given]))]
    return []


def _several(called: str, found: Mapping[str, str], among: Mapping[str, object]) -> Ambiguous:
    short = short_ids(among)
    choices = tuple(Choice(short[given], name) for given, name in sorted(found.items(), key=lambda item: item[1]))
    more = f" The first {MAX_CHOICES}:" if len(choices) > MAX_CHOICES else ""
    message = f"{len(choices)} {called}s match; give more words, or an id.{more}"
    return Ambiguous(message, choices=choices[:MAX_CHOICES])
