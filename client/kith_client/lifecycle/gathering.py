"""Putting a recovery phrase together from guardians' shares, and naming what does not belong (spec: guardian.md).

Asks no server: whether a phrase opens the vault is found out by `recovering`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kith_client.qr import is_picture, read_qr
from kith_protocol.codes import code_kind
from kith_protocol.errors import Refused
from kith_protocol.guardian import parse_share_link
from kith_protocol.splitting import MAX_SHARES, Candidate, PhraseShare, candidates, read_share


@dataclass(frozen=True, slots=True)
class Place:
    """Where a vault is, as a guardian's QR code says."""

    host: str
    vault: bytes


@dataclass(frozen=True, slots=True)
class Given:
    """A share as it was handed over."""

    share: PhraseShare
    place: Place | None
    """Missing where only the words came."""

    def __repr__(self) -> str:
        return "Given(...)"


def read_given(text: str) -> Given:
    """What a person typed: 33 words, the text of a QR code, or the name of a picture of one.

    Reads a file: call it in a thread. Raises `Refused` (`share-...`, `wrong-code`), `NoPicture`, `NoCode`.
    """
    text = text.strip()
    if is_picture(text):
        text = read_qr(Path(text))
    if code_kind(text) is None:
        return Given(read_share(text), None)
    link = parse_share_link(text)
    return Given(link.share, Place(link.host, link.vault))


@dataclass(slots=True)
class Gathering:
    """The shares that came so far; people know them by their numbers, from 1."""

    given: list[Given] = field(default_factory=list)
    needed: int | None = None
    """How many the person says are needed; None where that was not said."""

    def add(self, given: Given) -> None:
        """One more. Raises `Refused` (`share-twice`, `shares-differ`, `guardians-count`)."""
        if self.needed not in (None, given.share.needed):
            raise Refused(
                "shares-differ",
                f"This share is of a split of which {given.share.needed} are needed, not {self.needed}: it does not "
                "count.",
            )
        before = next((place for place, each in enumerate(self.given, 1) if each.share == given.share), None)
        if before is not None:
            raise Refused("share-twice", f"This is share {before} once more. Each guardian has another one.")
        if len(self.given) >= MAX_SHARES:
            raise Refused("guardians-count", f"At most {MAX_SHARES} shares are looked at.")
        self.given.append(given)

    @property
    def missing(self) -> int:
        """How many more shares are needed at least."""
        counts = Counter(each.share.split for each in self.given)
        left = (each.share.needed - counts[each.share.split] for each in self.given)
        return max(0, min(left, default=_FEWEST))

    @property
    def strays(self) -> list[int]:
        """Numbers of the shares that are of another split than most. All, where no split has more than another."""
        counts = Counter(each.share.split for each in self.given)
        most = [split for split, count in counts.items() if count == max(counts.values())]
        if len(counts) == 1:
            return []
        return [n for n, each in enumerate(self.given, 1) if len(most) > 1 or each.share.split != most[0]]

    @property
    def is_of_one_split(self) -> bool:
        return len({each.share.split for each in self.given}) == 1

    def differing(self) -> Refused:
        """Why shares of several splits do not say by themselves where the address book is: one may be made up."""
        numbers: dict[tuple[int, ...], list[int]] = {}
        for n, each in enumerate(self.given):
            numbers.setdefault(each.share.split, []).append(n)
        stories = [
            f"{_names(ns)} of one of which {self.given[ns[0]].share.needed} are needed" for ns in numbers.values()
        ]
        return Refused(
            "share-place",
            f"The shares are of different splits: {'; '.join(stories)}. Anybody can make up a split of an address book "
            "of their own. Say how many guardians you chose to be needed (--needed), or where your address book is "
            "(--server and --vault).",
        )

    def candidates(self) -> list[Candidate]:
        """What enough of the shares give; takes up to a second: call it in a thread."""
        return candidates([each.share for each in self.given])

    def place(self, candidate: Candidate) -> Place | None:
        """Where the shares behind a candidate say that the vault is; None where they came as words only.

        Raises `Refused` (`share-place`) where they do not agree: a guardian could lead astray.
        """
        said = {n: self.given[n].place for n in sorted(candidate.fitting) if self.given[n].place is not None}
        if len(set(said.values())) > 1:
            lines = [f"share {n + 1}: {place.host}, {place.vault.hex()}" for n, place in said.items() if place]
            raise Refused(
                "share-place",
                f"The shares name different servers or address books ({'; '.join(lines)}). Ask the guardians again, or "
                "say with --server and --vault where yours is.",
            )
        return next(iter(said.values()), None)

    def unfit(self, candidate: Candidate) -> str:
        """Names the shares that do not belong to a candidate; empty where all do."""
        wrong = [n for n in range(len(self.given)) if n not in candidate.fitting]
        strays = [n for n in wrong if self.given[n].share.split != self._split_of(candidate)]
        forged = [n for n in wrong if n not in strays]
        lines = []
        if strays:
            lines.append(f"{_are_strays(strays)}.")
        if forged:
            which = f"Share {_names(forged)} does" if len(forged) == 1 else f"The shares {_names(forged)} do"
            lines.append(f"{which} not fit the others: the words are in order, but they are not what was split.")
        return " ".join(lines)

    def verdict(self) -> Refused:
        """Why no phrase came of the shares."""
        strays = [n - 1 for n in self.strays]
        if self.missing and not strays:
            return Refused("shares-missing", f"{_more(self.missing)}.")
        if self.missing:
            return Refused(
                "shares-differ",
                f"{_are_strays(strays)}; {_more(self.missing)}. Ask the guardians for the share of the newest split.",
            )
        return Refused(
            "shares-forged",
            "There are enough shares, and each is in order by itself, but they do not belong together: one of them is "
            "not what was split. Ask one more guardian: with another share it can be said which.",
        )

    def _split_of(self, candidate: Candidate) -> tuple[int, ...]:
        return self.given[min(candidate.fitting)].share.split


_FEWEST: Final = 2


def _names(numbers: list[int]) -> str:
    """Of shares counted from 0, as people know them."""
    names = [str(n + 1) for n in numbers]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _are_strays(numbers: list[int]) -> str:
    which = f"Share {_names(numbers)} is" if len(numbers) == 1 else f"The shares {_names(numbers)} are"
    return f"{which} of another split than the rest"


def _more(missing: int) -> str:
    which = "1 more share of the same split is" if missing == 1 else f"{missing} more shares of the same split are"
    return f"{which} needed"
