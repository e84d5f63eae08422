"""What a peer has to hear about guardians now, both ways; each side's newest word replaces the one before.

Planned like everything that leaves: sequence and digest are committed first, and the words sent while they still are
those (spec: guardian.md).
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.guardians.guarding import Guarding, guardings, plan_guardings, take_guard, take_release
from kith_client.relations.guardians.splits import Split, drop_void_shares, splits, take_answer, tell_of_ends, word_for
from kith_client.relations.inbox import Inbox
from kith_client.relations.own_keys import LINE, Line
from kith_client.relations.records import Channel
from kith_client.relations.rekeying import STANDING
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol import labels
from kith_protocol.encoding import encode
from kith_protocol.guardian import Guard, GuardAnswer, Release
from kith_protocol.suite import labelled_hash

GUARD: Final = "guard"
"""The line of a person to a guardian."""
GUARD_ANSWER: Final = "guard-answer"
"""The line of a guardian to the person."""
_LINE: Final = labels.PREFIX + "guardian-line"

Word = Guard | GuardAnswer | Release


class Words:
    """What every peer has to hear, as the records say."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    @cached_property
    def _splits(self) -> list[Split]:
        return splits(self._contents)

    @cached_property
    def _guardings(self) -> dict[bytes, Guarding]:
        return guardings(self._contents)

    def of(self, channel: Channel) -> dict[str, Word]:
        """Line → what stands on it, of one channel."""
        if channel.established is None:
            return {}
        guarding = self._guardings.get(channel.established.peer)
        said = {GUARD: word_for(self._splits, channel.peer), GUARD_ANSWER: guarding.answer if guarding else None}
        return {line: word for line, word in said.items() if word is not None}


def digest_of_word(word: Word | None) -> bytes:
    """What is committed of a word; empty where nothing is to be said."""
    return b"" if word is None else labelled_hash(_LINE, encode(word))


def plan_guardians(contents: Contents, stamp: Stamp) -> Edit:
    """What each peer is to hear, where that changed; and which shares are erased."""
    draft = Draft(contents, stamp)
    plan_guardings(draft)
    drop_void_shares(draft)
    tell_of_ends(draft)
    words = Words(draft.contents)
    for channel in records.channels(draft.contents):
        if channel.state in STANDING and records.has_peer(draft.contents, channel):
            _plan(draft, channel, words.of(channel))
    return draft.edit


def read_word(inbox: Inbox, channel: Channel, word: Word) -> None:
    """Takes in what a peer says. The order does not matter: by its split and state each word has its place."""
    if isinstance(word, GuardAnswer):
        take_answer(inbox, channel, word)
    elif isinstance(word, Guard):
        take_guard(inbox, channel, word)
    else:
        take_release(inbox, channel, word)


def _plan(draft: Draft, channel: Channel, words: dict[str, Word]) -> None:
    for name in (GUARD, GUARD_ANSWER):
        before, digest = channel.mine.lines.get(name, Line()), digest_of_word(words.get(name))
        if digest != before.digest:
            line = Line(before.sequence + bool(digest), digest)
            draft.change(channel.id, {LINE + name: line.to_value()})
