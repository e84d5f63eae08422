"""Group cards of an import to circles: members are known only once all contacts have been taken in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kith_client.contacts.escapes import unescape
from kith_client.contacts.fields import properties
from kith_client.contacts.groups import MAX_CIRCLE_NAME, group_members, plain_uid
from kith_client.contacts.model import Card
from kith_client.contacts.views import display_name


@dataclass(frozen=True, slots=True)
class Group:
    """A card that lists members. `uid` and `members` are as `plain_uid` gives them."""

    name: str
    uid: str
    members: tuple[str, ...]
    fingerprint: bytes


def group_of(card: Card) -> Group:
    """What has to be kept of a group's card until all contacts of the import are known."""
    uid = next((plain_uid(unescape(prop.value)) for prop in properties(card.units, "UID")), "")
    return Group(display_name(card.units)[:MAX_CIRCLE_NAME], uid, group_members(card), card.fingerprint)


def resolve_groups(groups: Iterable[Group], contacts: Mapping[str, bytes]) -> dict[str, frozenset[bytes]]:
    """Circle's name → ids of its contacts, given the contacts by `plain_uid`.

    A group in a group brings its members along, in loops too. Members that nobody knows are left out.
    """
    listed = list(groups)
    by_uid = {group.uid: group for group in listed if group.uid}
    circles: dict[str, frozenset[bytes]] = {}
    for group in listed:
        found = frozenset(contacts[uid] for uid in _reach(group, by_uid) if uid in contacts and uid not in by_uid)
        circles[group.name] = circles.get(group.name, frozenset()) | found
    return circles


def _reach(group: Group, by_uid: Mapping[str, Group]) -> set[str]:
    seen: set[str] = set()
    waiting = list(group.members)
    while waiting:
        uid = waiting.pop()
        if uid not in seen:
            seen.add(uid)
            waiting.extend(by_uid[uid].members if uid in by_uid else ())
    return seen
