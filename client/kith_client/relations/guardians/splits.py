"""My own guardians: the splits of my phrase, who is to have a share, and what they answered (spec: guardian.md).

No record ever holds a share that my vault could open: shares are sealed to their guardians while the phrase is typed.
What a guardian keeps of others is `guarding`'s; when something is said, `guardian_lines`' to decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeGuard

from kith_client.book.layers import Layers
from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.guardians.alarms import tell_of_end, tell_of_handing_out, tell_of_state
from kith_client.relations.inbox import Inbox
from kith_client.relations.joining import has_ended, is_connected, open_channels, persona_in
from kith_client.relations.records import Channel
from kith_client.stamp import Contents, Edit, Stamp, of_kind, the_one
from kith_protocol.content import Content
from kith_protocol.encoding import Value
from kith_protocol.errors import BadSignature, DecodingError, Refused
from kith_protocol.guardian import (
    MAX_GIVEN,
    MAX_TIME,
    Guard,
    GuardAnswer,
    GuardState,
    Release,
    check_split,
    seal_share,
    sign_release,
    sign_split,
)
from kith_protocol.phrase import entropy_of, paper_keys, root_key
from kith_protocol.splitting import MAX_SHARES, MIN_NEEDED, split_entropy
from kith_protocol.suite import HYBRID_SIGNATURE_BYTES, HybridSignKey

SPLIT: Final = "split"
"""Kind of the record: one for each split of the phrase."""
GUARDIAN: Final = "guardian/"
"""On a split, with the id of a `peer` record: whether that peer is to have a share of it."""
SEALED: Final = "sealed/"
"""The share, which only that guardian can open; until it answered."""
ENDED: Final = "ended/"
"""The person was told that the relationship with this guardian is over."""
RELEASE: Final = "release/"
"""The root's signature that this peer is a guardian no more, of this split and all earlier ones."""
ANSWER: Final = "answer/"
"""What the guardian said: the highest state, and every handing out that was told (how often by then, and when)."""
MAX_HEARD: Final = 16
"""Of these, the newest are kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a guardian said of its share."""

    state: GuardState
    heard: tuple[tuple[int, int], ...] = ()
    """(how often it was handed out by then, when), oldest first."""

    @property
    def given(self) -> int:
        """How often it was handed out, by the newest that was told."""
        return self.heard[-1][0] if self.heard else 0

    @property
    def given_at(self) -> int:
        return self.heard[-1][1] if self.heard else 0

    @property
    def is_over(self) -> bool:
        """Whether the guardian knows that it is none any more."""
        return self.state in (GuardState.RELEASED, GuardState.RESIGNED)


@dataclass(frozen=True, slots=True)
class Split:
    """One `split` record."""

    id: bytes
    made: int
    needed: int
    signature: bytes
    """By the root: what only a device wrote is no split."""
    guardians: Mapping[bytes, bool]
    """`peer` record → whether it is a guardian still."""
    sealed: Mapping[bytes, bytes]
    releases: Mapping[bytes, bytes]
    answers: Mapping[bytes, Answer]
    ended: frozenset[bytes]

    def __repr__(self) -> str:
        return f"Split({self.made})"

    def has(self, peer: bytes) -> bool:
        """Whether this peer is to have a share of it."""
        return self.guardians.get(peer, False)


@dataclass(frozen=True, slots=True)
class GuardianRow:
    """One guardian of mine for a list."""

    peer: bytes
    """The `peer` record."""
    since: int
    """When the split was made, in milliseconds since 1970."""
    state: str
    """`waiting` (the share is on its way), `kept`, `resigned`, `unreadable`; `removed` and `released` (has heard of it)
    of whom was a guardian before; `disconnected`."""
    given: int
    """How often the guardian handed a share out."""
    given_at: int


def read_split(record: bytes, content: Content) -> Split:
    """Raises `DecodingError` where it is damaged."""
    made, needed, signature = content.value("made"), content.value("needed"), content.value("signature")
    if type(made) is not int or type(needed) is not int or not isinstance(signature, bytes):
        raise _damaged()
    if not 1 <= made <= MAX_TIME or not MIN_NEEDED <= needed <= MAX_SHARES:
        raise _damaged()
    guardians = {peer: value is True for peer, value in _by_peer(content, GUARDIAN)}
    sealed = {peer: value for peer, value in _by_peer(content, SEALED) if isinstance(value, bytes)}
    releases = {peer: value for peer, value in _by_peer(content, RELEASE) if _is_signature(value)}
    answers = {peer: _answer(value) for peer, value in _by_peer(content, ANSWER)}
    ended = frozenset(peer for peer, _ in _by_peer(content, ENDED))
    return Split(record, made, needed, signature, guardians, sealed, releases, answers, ended)


def splits(contents: Contents) -> list[Split]:
    """All splits that my root made; the first one counts. None while my persona cannot be read."""
    kept = of_kind(contents, SPLIT)
    if not kept or the_one(contents, "persona") is None:
        return []
    root = records.persona_of(records.own_persona(contents).raw).root
    found = [read_split(record, content) for record, content in kept.items()]
    mine = (split for split in found if _is_by(root, split.id, split.made, split.needed, split.signature))
    return sorted(mine, key=lambda split: (-split.made, split.id))


def guardians_now(contents: Contents) -> list[bytes]:
    """The `peer` records of those who are guardians and could get a share of another split."""
    current = splits(contents)[:1]
    return [
        peer
        for split in current
        for peer in sorted(split.guardians)
        if split.has(peer)
        and is_connected(open_channels(contents, peer))
        and not (peer in split.answers and split.answers[peer].state is GuardState.RESIGNED)
    ]


def check_phrase(contents: Contents, paper: bytes, phrase: str) -> bytes:
    """The entropy of a phrase, if it is this vault's; `paper` is the id of its paper key.

    Raises `Refused` (`phrase-...`, `wrong-phrase`).
    """
    entropy = entropy_of(phrase)
    root = records.persona_of(records.own_persona(contents).raw).root
    if paper_keys(entropy).id != paper or root_key(entropy).public != root:
        raise Refused("wrong-phrase", "This is the recovery phrase of another address book. Nothing was sent.")
    return entropy


def make_split(
    contents: Contents, stamp: Stamp, vault: bytes, entropy: bytes, guardians: Sequence[bytes], needed: int
) -> Edit:
    """A new split among these peers (ids of `peer` records); it takes the place of the one before.

    Raises `Refused` (`guardians-count`, `not-connected`, `no-such-peer`).
    """
    if len(set(guardians)) != len(guardians) or len(guardians) > MAX_SHARES:
        raise Refused("guardians-count", f"A phrase is split among at most {MAX_SHARES} different guardians.")
    channels = {peer: _channel(contents, peer) for peer in guardians}
    shares = split_entropy(entropy, needed, len(guardians))
    before = splits(contents)
    made = max([stamp.now, *(split.made + 1 for split in before)])
    root, record = root_key(entropy), stamp.record_id()
    values: dict[str, Value] = {"made": made, "needed": needed}
    values["signature"] = sign_split(root, record, made, needed)
    for peer in {peer for split in before for peer in split.guardians}.difference(guardians):
        values |= _release(contents, root, peer, made)
    for (peer, channel), words in zip(channels.items(), shares, strict=True):
        values[GUARDIAN + peer.hex()] = True
        values[SEALED + peer.hex()] = seal_share(root, records.persona_of(persona_in(channel)), vault, made, words)
    return {record: stamp.content(SPLIT, values)}


def check_guardian(contents: Contents, peer: bytes) -> None:
    """Raises `Refused` (`no-guardian`) unless this peer is one."""
    current = splits(contents)[:1]
    if not current or not current[0].has(peer):
        raise Refused("no-guardian", "This peer is no guardian of yours. 'kith guardians' shows who is.")


def remove_guardian(contents: Contents, stamp: Stamp, entropy: bytes, peer: bytes) -> Edit:
    """The peer is to be no guardian any more. Raises `Refused` (`no-guardian`)."""
    check_guardian(contents, peer)
    draft, split = Draft(contents, stamp), splits(contents)[0]
    release = _release(contents, root_key(entropy), peer, split.made)
    draft.change(split.id, {GUARDIAN + peer.hex(): False, **release}, without=[SEALED + peer.hex()])
    return draft.edit


def word_for(all_splits: Sequence[Split], peer: bytes) -> Guard | Release | None:
    """What this peer has to hear now; None where there is nothing, or where it answered."""
    if all_splits and all_splits[0].has(peer):
        sealed = all_splits[0].sealed.get(peer)
        return None if sealed is None else Guard(all_splits[0].made, sealed)
    last = next((split for split in all_splits if peer in split.releases), None)
    answer = next((split.answers[peer] for split in all_splits if peer in split.answers), None)
    is_told = answer is not None and answer.is_over
    return None if last is None or is_told else Release(last.made, last.releases[peer])


def drop_void_shares(draft: Draft) -> None:
    """Erases sealed shares of splits that do not count any more."""
    for place, split in enumerate(splits(draft.contents)):
        void = [SEALED + peer.hex() for peer in split.sealed if place or not split.has(peer)]
        if void:
            draft.change(split.id, {}, without=void)


def tell_of_ends(draft: Draft) -> None:
    """Of each guardian of the split that counts whose relationship is over, once: one who can be reached is fewer."""
    for split in splits(draft.contents)[:1]:
        for peer in sorted(peer for peer in split.guardians if split.has(peer)):
            content = draft.contents.get(peer)
            if content is None or content.kind != "peer":
                continue
            is_over = has_ended(draft.contents, records.read_peer(peer, content))
            if is_over and peer not in split.ended:
                tell_of_end(draft, peer, split.id)
                draft.change(split.id, {ENDED + peer.hex(): True})
            elif peer in split.ended and is_connected(open_channels(draft.contents, peer)):
                draft.change(split.id, {}, without=[ENDED + peer.hex()])


def take_answer(inbox: Inbox, channel: Channel, message: GuardAnswer) -> None:
    """A guardian says how things stand; a share that it handed out is an alarm."""
    peer, known = channel.peer, splits(inbox.draft.contents)
    handing = (message.given, message.given_at)
    # No highest number: a thief would set it, and no handing out were ever told again.
    is_told = any(handing in split.answers[peer].heard for split in known if peer in split.answers)
    is_handed_out = bool(message.given) and not is_told
    split = next((each for each in known if each.made == message.made and peer in each.guardians), None)
    heard = split.answers.get(peer) if split is not None else None
    news = split is not None and (heard is None or message.state > heard.state)
    if split is not None and (news or is_handed_out):
        state = message.state if heard is None else max(message.state, heard.state)
        all_heard = {*(heard.heard if heard else ()), *([handing] if message.given else [])}
        kept: list[Value] = [list(each) for each in sorted(all_heard, key=_by_time)[-MAX_HEARD:]]
        said: list[Value] = [int(state), kept]
        # The guardian has it, or never will: no device of mine needs to keep it.
        inbox.draft.change(split.id, {ANSWER + peer.hex(): said}, without=[SEALED + peer.hex()])
    if is_handed_out:
        which, needed = (split.id, split.needed) if split is not None else (b"", MIN_NEEDED)
        tell_of_handing_out(inbox, channel, which, _name(inbox, peer), message.given, needed)
        inbox.event(peer, "handed out the share of your recovery phrase")
    if split is not None and news:
        _tell(inbox, channel, split, message.state, is_current=split is known[0])


def list_guardians(contents: Contents) -> list[GuardianRow]:
    """Those of the split that counts, then those who had a share before."""
    rows: dict[bytes, GuardianRow] = {}
    for place, split in enumerate(splits(contents)):
        for peer in sorted(split.guardians):
            if peer not in rows:
                rows[peer] = _row(contents, split, peer, is_current=not place and split.has(peer))
    return list(rows.values())


def _row(contents: Contents, split: Split, peer: bytes, *, is_current: bool) -> GuardianRow:
    answer = split.answers.get(peer)
    if not is_current:
        state = "released" if answer is not None and answer.is_over else "removed"
    elif answer is not None and answer.state is not GuardState.KEPT:
        state = answer.state.name.lower()
    elif not is_connected(open_channels(contents, peer)):
        state = "disconnected"
    else:
        state = "waiting" if answer is None else "kept"
    return GuardianRow(peer, split.made, state, answer.given if answer else 0, answer.given_at if answer else 0)


def _release(contents: Contents, root: HybridSignKey, peer: bytes, made: int) -> dict[str, Value]:
    """Nothing of a peer whose record cannot be read."""
    content = contents.get(peer)
    if content is None or content.kind != "peer":
        return {}
    return {RELEASE + peer.hex(): sign_release(root, records.read_peer(peer, content).person, made).signature}


@lru_cache(maxsize=256)
def _is_by(root: bytes, record: bytes, made: int, needed: int, signature: bytes) -> bool:
    try:
        check_split(root, record, made, needed, signature)
    except BadSignature:
        return False
    return True


def _is_signature(value: Value) -> TypeGuard[bytes]:
    return isinstance(value, bytes) and len(value) == HYBRID_SIGNATURE_BYTES


def _name(inbox: Inbox, peer: bytes) -> str:
    return Layers(inbox.draft.contents).peer_names(peer)[0]


def _tell(inbox: Inbox, channel: Channel, split: Split, state: GuardState, *, is_current: bool) -> None:
    if state is GuardState.KEPT:
        inbox.event(channel.peer, "keeps a share of your recovery phrase")
    elif is_current and split.has(channel.peer):
        tell_of_state(inbox, channel, split.id, _name(inbox, channel.peer), state)


def _by_time(handing: tuple[int, int]) -> tuple[int, int]:
    given, given_at = handing
    return given_at, given


def _channel(contents: Contents, peer: bytes) -> Channel:
    channel = records.channel_at(contents, records.peer_at(contents, peer).channel)
    if channel is None or channel.established is None or not is_connected(open_channels(contents, peer)):
        raise Refused("not-connected", "A guardian has to be somebody with whom you are connected.")
    return channel


def _by_peer(content: Content, prefix: str) -> Iterator[tuple[bytes, Value]]:
    for key, unit in content.units.items():
        if key.startswith(prefix):
            try:
                yield bytes.fromhex(key.removeprefix(prefix)), unit.value
            except ValueError:
                raise _damaged() from None


def _answer(value: Value) -> Answer:
    match value:
        case [int(state), list(heard)] if state in list(GuardState):
            return Answer(GuardState(state), tuple(sorted((_handing(each) for each in heard), key=_by_time)))
        case _:
            raise _damaged()


def _handing(value: Value) -> tuple[int, int]:
    match value:
        case [int(given), int(given_at)] if 0 < given <= MAX_GIVEN and 0 < given_at <= MAX_TIME:
            return given, given_at
        case _:
            raise _damaged()


def _damaged() -> DecodingError:
    return DecodingError("A record of the kind split is damaged.")
