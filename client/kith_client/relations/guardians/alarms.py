"""What a person has to know of their guardians at once.

One issue for each guardian, split and matter, which is brought up to date: so there is a bound, and nothing that
somebody says before can keep a later alarm from being seen.
"""

from __future__ import annotations

from typing import Final

from kith_client.book.layers import Layers
from kith_client.relations.draft import Draft
from kith_client.relations.inbox import Inbox
from kith_client.relations.records import Channel
from kith_protocol import labels
from kith_protocol.commit import RECORD_ID_BYTES
from kith_protocol.guardian import GuardState
from kith_protocol.suite import labelled_hash

_ALARM: Final = labels.PREFIX + "guardian-alarm"
_AGAIN: Final = "'kith guardians add' makes new shares for all who stay."
_STATES: Final = {
    GuardState.UNREADABLE: "{} could not open the share of your recovery phrase.",
    GuardState.RELEASED: "{} heard in your name that they are your guardian no more, and erases the share in 180 "
    "days. If you did not say so, somebody may have a device of yours ('kith device remove --stolen').",
    GuardState.RESIGNED: "{} keeps no share of your recovery phrase any more.",
}


def tell_of_handing_out(inbox: Inbox, channel: Channel, split: bytes, name: str, given: int, needed: int) -> None:
    """A share was handed out; `split` is the record of the split, or empty where it is not known here."""
    again = "" if given == 1 else f" once more ({given} times by now)"
    text = (
        f"{name} handed out the share of your recovery phrase{again}. If you asked for it, all is well. If you did "
        f"not, somebody pretends to be you: call {name} and your other guardians now, so that nobody gives more. "
        f"Whoever has {needed} shares can read your address book and speak in your name; then only a new address book "
        "helps, and your peers have to hear of it from you in person."
    )
    inbox.keep_told(_id(channel.peer, split, "given"), "alarm", channel.id, text)


def tell_of_state(inbox: Inbox, channel: Channel, split: bytes, name: str, state: GuardState) -> None:
    """A guardian of the split that counts keeps no share of it any more, or never did."""
    text = f"{_STATES[state].format(name)} {_AGAIN}"
    inbox.keep_told(_id(channel.peer, split, "state"), "alarm", channel.id, text)


def tell_of_end(draft: Draft, peer: bytes, split: bytes) -> None:
    """The relationship with a guardian of the split that counts is over."""
    name = Layers(draft.contents).peer_names(peer)[0]
    text = f"{name} is not connected with you any more; the share of your recovery phrase goes in 180 days. {_AGAIN}"
    draft.keep_told(_id(peer, split, "end"), "alarm", peer, text)


def _id(peer: bytes, split: bytes, matter: str) -> bytes:
    return labelled_hash(_ALARM, peer, split, matter.encode())[:RECORD_ID_BYTES]
