"""A recovery phrase in shares, of which so many give it back: SLIP-39, one group (spec: guardian.md).

Splitting draws randomness inside the library, as sealing does. Who gets which share, and whether a phrase that was put
together opens a vault, is left to the client.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from typing import TYPE_CHECKING, Final

from kith_protocol.errors import Refused
from kith_protocol.phrase import ENTROPY_BYTES

if TYPE_CHECKING:
    from shamir_mnemonic import EncryptedMasterSecret, Share

MIN_NEEDED: Final = 2
MAX_SHARES: Final = 16
"""Of one split, and looked at together."""
SHARE_WORDS: Final = 33
MAX_COMBINATIONS: Final = 2000
"""Sets of shares that are tried for one split: about a second. Up to three bad shares among enough good ones are
found within the first 700."""

_BAD: Final = 3
_SHUFFLE_BYTES: Final = 16

_ITERATIONS: Final = 0
"""SLIP-39's exponent of the work behind its passphrase: ours is empty, so work would protect nothing."""


@dataclass(frozen=True, slots=True)
class PhraseShare:
    """One share whose words and checksum are right."""

    words: str
    """33 words of SLIP-39's list, with one space between them."""
    split: tuple[int, ...]
    """What all shares of one split have in common."""
    needed: int
    """How many of them give the phrase."""
    place: int
    """Tells the shares of one split apart, from 0."""

    def __repr__(self) -> str:
        return "PhraseShare(...)"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Entropy that shares give together; only its vault can tell whether it is the right one."""

    entropy: bytes
    fitting: frozenset[int]
    """Which of the given shares lead to it, counted from 0."""

    def __repr__(self) -> str:
        return "Candidate(...)"


def check_counts(needed: int, count: int) -> None:
    """Raises `Refused` (`guardians-count`) unless a phrase can be split so."""
    if not MIN_NEEDED <= count <= MAX_SHARES:
        raise Refused("guardians-count", f"There can be {MIN_NEEDED} to {MAX_SHARES} guardians; this would be {count}.")
    if not MIN_NEEDED <= needed <= count:
        raise Refused("guardians-count", f"Of {count} guardians, {MIN_NEEDED} to {count} can be needed, not {needed}.")


def split_entropy(entropy: bytes, needed: int, count: int) -> tuple[str, ...]:
    """`count` shares of a phrase's 32 bytes, of which any `needed` give it back.

    Raises `Refused` (`guardians-count`, `phrase-length`).
    """
    from shamir_mnemonic import generate_mnemonics, shamir

    check_counts(needed, count)
    if len(entropy) != ENTROPY_BYTES:
        raise Refused("phrase-length", "A recovery phrase is made from 32 bytes.")
    (shares,) = generate_mnemonics(1, [(needed, MAX_SHARES)], entropy, b"", iteration_exponent=_ITERATIONS)
    # Any of the 16 places: counted from the first, the place of a share would tell how many there are at least.
    return tuple(sorted(shares, key=lambda _: shamir.RANDOM_BYTES(_SHUFFLE_BYTES))[:count])


def read_share(text: str) -> PhraseShare:
    """A share as a person typed it: case, spaces and Unicode form are forgiven.

    Raises `Refused` (`share-length`, `share-word` with the positions, `share-checksum`, `share-form`); no message has
    a word of the share in it.
    """
    from shamir_mnemonic import MnemonicError, Share
    from shamir_mnemonic.wordlist import WORD_INDEX_MAP

    words = unicodedata.normalize("NFKD", text).lower().split()
    if len(words) != SHARE_WORDS:
        raise Refused("share-length", f"A guardian's share has {SHARE_WORDS} words; these are {len(words)}.")
    unknown = [str(position) for position, word in enumerate(words, start=1) if word not in WORD_INDEX_MAP]
    if unknown:
        which = f"Word {unknown[0]} is" if len(unknown) == 1 else f"The words {', '.join(unknown)} are"
        raise Refused("share-word", f"{which} not in the list that shares are made of; check the spelling.")
    joined = " ".join(words)
    try:
        share = Share.from_mnemonic(joined)
    except MnemonicError:
        raise Refused(
            "share-checksum",
            "The words of this share do not belong together: one is wrong, or two are exchanged. Compare each of them.",
        ) from None
    return _checked(share, joined)


def candidates(shares: Sequence[PhraseShare]) -> list[Candidate]:
    """Every entropy that enough of these shares give, those that most shares lead to first.

    Shares of different splits may stand beside each other, and wrong ones among right ones. At most 16 are looked at.
    """
    found: list[Candidate] = []
    given = list(enumerate(shares[:MAX_SHARES]))
    for split in dict.fromkeys(share.split for _, share in given):
        found += _of_one_split({index: share for index, share in given if share.split == split})
    return sorted(found, key=lambda candidate: -len(candidate.fitting))


def _checked(share: Share, words: str) -> PhraseShare:
    if (share.group_threshold, share.group_count) != (1, 1) or share.member_threshold < MIN_NEEDED:
        raise Refused(
            "share-form", "This is a share of another program: Kithbook makes one group, and needs at least two."
        )
    if share.iteration_exponent != _ITERATIONS or not share.extendable:
        # Refused before anything is derived: the exponent says how much work that is.
        raise Refused("share-form", "This is a share of another program: Kithbook's ask for no work behind them.")
    return PhraseShare(words, share.group_parameters(), share.member_threshold, share.index)


def _of_one_split(shares: dict[int, PhraseShare]) -> Iterator[Candidate]:
    needed = next(iter(shares.values())).needed
    known: list[frozenset[int]] = []
    tried = dict.fromkeys(islice(_choices(list(shares), needed), MAX_COMBINATIONS))
    for chosen in tried:
        if any(fitting.issuperset(chosen) for fitting in known):
            continue
        secret = _joined([shares[index] for index in chosen])
        if secret is None:
            continue
        # Any other share of the same polynomial may stand in for one of the chosen.
        rest = [shares[index] for index in chosen[1:]]
        others = (index for index in shares if index not in chosen)
        fitting = frozenset([*chosen, *(index for index in others if _joined([shares[index], *rest]) == secret)])
        known.append(fitting)
        yield Candidate(secret.decrypt(b""), fitting)


def _choices(indices: list[int], size: int) -> Iterator[tuple[int, ...]]:
    """All but a few first: up to three bad shares are left out by one of those, whichever they are."""
    for bad in range(min(_BAD, len(indices) - size) + 1):
        for left_out in combinations(indices, bad):
            yield tuple([index for index in indices if index not in left_out][:size])
    yield from combinations(indices, size)


def _joined(shares: Sequence[PhraseShare]) -> EncryptedMasterSecret | None:
    """What these shares give, or None where SLIP-39's digest says that they do not belong together."""
    from shamir_mnemonic import MnemonicError, decode_mnemonics, recover_ems

    try:
        return recover_ems(decode_mnemonics([share.words for share in shares]))
    except MnemonicError:
        return None
