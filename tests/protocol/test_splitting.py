"""A phrase in shares: any that are needed give it back, fewer give nothing, and a bad one is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shamir_mnemonic import MnemonicError, combine_mnemonics

from kith_protocol.errors import Refused
from kith_protocol.splitting import MAX_SHARES, PhraseShare, candidates, read_share, split_entropy
from tests.protocol.people import fixed
from tests.support.splits import fixed_split, forged

ENTROPY = fixed("entropy")


def shares_of(needed: int, count: int, seed: str = "split") -> list[PhraseShare]:
    return [read_share(words) for words in fixed_split(ENTROPY, needed, count, seed)]


def bad(share: PhraseShare, seed: str = "forged") -> PhraseShare:
    return read_share(forged(share.words, fixed(seed)))


@st.composite
def splits(draw: st.DrawFn) -> tuple[bytes, int, int, list[int]]:
    count = draw(st.integers(2, 8))
    needed = draw(st.integers(2, count))
    return draw(st.binary(min_size=32, max_size=32)), needed, count, draw(st.permutations(range(count)))


@settings(max_examples=25, deadline=None)
@given(splits())
def test_any_that_are_needed_give_the_phrase_and_fewer_give_nothing(split: tuple[bytes, int, int, list[int]]) -> None:
    entropy, needed, count, order = split
    shares = [read_share(words) for words in split_entropy(entropy, needed, count)]
    chosen = [shares[place] for place in order[:needed]]
    assert [each.entropy for each in candidates(chosen)] == [entropy]
    assert candidates(chosen[1:]) == []
    assert [each.fitting for each in candidates(shares)] == [frozenset(range(count))]


def test_fewer_guardians_than_needed_learn_nothing() -> None:
    """Whatever the phrase is, the same shares could belong to it: a third that makes it so exists for every phrase."""
    from shamir_mnemonic import Share, shamir

    first, second, _ = shares_of(3, 3)
    known = [shamir.RawShare(each.place, Share.from_mnemonic(each.words).value) for each in (first, second)]
    for other in (ENTROPY, fixed("any"), bytes(32)):
        secret = shamir.EncryptedMasterSecret.from_master_secret(other, b"", first.split[0], True, 0).ciphertext
        third = shamir._interpolate([*known, shamir.RawShare(shamir.SECRET_INDEX, secret)], 2)
        points = [*known, shamir.RawShare(2, third)]
        assert shamir._interpolate(points, shamir.SECRET_INDEX) == secret
    assert candidates([first, second]) == []


@pytest.mark.parametrize("place", range(4))
def test_a_forged_share_among_more_than_are_needed_is_the_one_that_does_not_fit(place: int) -> None:
    shares = shares_of(3, 4)
    shares[place] = bad(shares[place])
    (found,) = candidates(shares)
    assert found.entropy == ENTROPY
    assert found.fitting == frozenset(range(4)) - {place}


def test_forged_shares_among_just_enough_give_nothing() -> None:
    first, second, _ = shares_of(2, 3)
    assert candidates([bad(first), second]) == []


def test_two_different_shares_of_one_place_are_never_taken_together() -> None:
    first, second, third = shares_of(2, 3)
    (found,) = candidates([first, bad(first), second, third])
    assert found.fitting == {0, 2, 3}


def test_shares_of_another_split_are_left_aside() -> None:
    mine, others = shares_of(2, 3), shares_of(2, 3, "another")
    assert candidates([mine[0], others[1]]) == []
    (found,) = candidates([others[0], mine[1], mine[2]])
    assert (found.entropy, sorted(found.fitting)) == (ENTROPY, [1, 2])


def test_guardians_who_forge_together_are_outweighed_and_both_stories_are_told() -> None:
    """They know enough shares to make others that fit; only the vault can tell which phrase is its own."""
    shares, lie = shares_of(2, 5), fixed_split(fixed("lie"), 2, 5, "split")
    story = [read_share(words) for words in lie]
    assert story[0].split == shares[0].split
    found = candidates([shares[0], story[1], story[2], shares[3], shares[4]])
    assert [(each.entropy, sorted(each.fitting)) for each in found] == [(ENTROPY, [0, 3, 4]), (fixed("lie"), [1, 2])]


def test_the_search_is_bounded() -> None:
    wrong = [bad(share, str(share.place)) for share in shares_of(8, MAX_SHARES)]
    assert candidates([*wrong, *wrong]) == []


@pytest.mark.parametrize(("needed", "count"), [(1, 3), (4, 3), (2, 17), (0, 0)])
def test_a_split_has_its_bounds(needed: int, count: int) -> None:
    with pytest.raises(Refused) as caught:
        split_entropy(ENTROPY, needed, count)
    assert caught.value.code == "guardians-count"


def test_only_a_whole_phrase_is_split() -> None:
    with pytest.raises(Refused) as caught:
        split_entropy(bytes(16), 2, 3)
    assert caught.value.code == "phrase-length"


def test_a_typing_error_is_named_by_its_place_and_no_word_is_repeated() -> None:
    words = shares_of(2, 3)[0].words.split()
    with pytest.raises(Refused, match="Word 7 is not") as caught:
        read_share(" ".join([*words[:6], "sesame", *words[7:]]))
    assert caught.value.code == "share-word"
    assert "sesame" not in str(caught.value)
    with pytest.raises(Refused, match="words 1, 33 are not"):
        read_share(" ".join(["sesame", *words[1:-1], "open"]))


def test_no_share_shows_itself() -> None:
    (found,) = candidates(shares_of(2, 2))
    assert repr(shares_of(2, 3)[0]) == "PhraseShare(...)"
    assert repr(found) == "Candidate(...)"


def test_the_official_vectors_hold_with_the_library_as_it_is_here(shared: Path) -> None:
    ours: list[bool] = []
    for says, words, secret, _ in json.loads((shared / "vectors" / "slip39.json").read_text()):
        if not secret:
            with pytest.raises(MnemonicError):
                combine_mnemonics(words, b"TREZOR")
            assert _ours(words) == [], says
            continue
        assert combine_mnemonics(words, b"TREZOR").hex() == secret, says
        if "256 bits" in says and "asic sharing" in says:
            # Others are refused: with work behind them, or in the older form.
            ours.append(says.startswith("45. Extendable"))
            given = combine_mnemonics(words, b"") if ours[-1] else None
            assert [getattr(each, "entropy", None) for each in _ours(words)] == ([given] if given else []), says
    assert ours == [False, True]


def _ours(words: list[str]) -> list[object]:
    """What our own reading makes of shares that must be refused."""
    try:
        return list(candidates([read_share(each) for each in words]))
    except Refused:
        return []


@pytest.mark.parametrize(("count", "places"), [(15, (0, 5, 10)), (16, (0, 6, 11)), (10, (0, 1, 2))])
def test_three_forged_shares_among_enough_good_ones_are_found(count: int, places: tuple[int, ...]) -> None:
    shares = [bad(s, str(n)) if n in places else s for n, s in enumerate(shares_of(7, count))]
    (found,) = candidates(shares)
    assert found.entropy == ENTROPY
    assert found.fitting == frozenset(range(count)) - set(places)


def test_the_place_of_a_share_does_not_tell_how_many_there_are() -> None:
    places = {tuple(share.place for share in shares_of(2, 3, str(seed))) for seed in range(20)}
    assert len(places) > 10
    assert {place for each in places for place in each} == set(range(MAX_SHARES))
