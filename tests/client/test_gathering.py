"""Shares as guardians hand them over: what is missing, what does not belong, and who leads astray, by number."""

from __future__ import annotations

from pathlib import Path

import pytest

from kith_client.lifecycle.gathering import Gathering, Given, Place, read_given
from kith_client.qr import write_png
from kith_protocol.errors import KithError, Refused
from kith_protocol.guardian import ShareLink, format_share_link
from kith_protocol.splitting import Candidate, read_share
from tests.protocol.people import fixed
from tests.support.splits import fixed_split, forged

ENTROPY, VAULT = fixed("entropy"), fixed("vault")
MINE = fixed_split(ENTROPY, 2, 4)
OLD = fixed_split(ENTROPY, 2, 3, "an earlier split")
BAD = forged(MINE[0], fixed("forged"))


def gathered(*texts: str) -> Gathering:
    gathering = Gathering()
    for text in texts:
        gathering.add(read_given(text))
    return gathering


def link(words: str, host: str = "anna.example", vault: bytes = VAULT) -> str:
    return format_share_link(ShareLink(host, vault, read_share(words)))


def the_one(gathering: Gathering) -> Candidate:
    (found,) = gathering.candidates()
    assert found.entropy == ENTROPY
    return found


def refused(gathering: Gathering) -> tuple[str, str]:
    assert gathering.candidates() == []
    verdict = gathering.verdict()
    return verdict.code, str(verdict)


def test_enough_shares_give_the_phrase_and_none_is_named() -> None:
    gathering = gathered(MINE[2], MINE[0])
    assert (gathering.missing, gathering.strays, gathering.unfit(the_one(gathering))) == (0, [], "")


def test_too_few_shares_say_how_many_are_missing() -> None:
    assert refused(Gathering())[1] == "2 more shares of the same split are needed."
    assert refused(gathered(MINE[1])) == ("shares-missing", "1 more share of the same split is needed.")
    three = gathered(fixed_split(ENTROPY, 4, 5)[0])
    assert (three.missing, refused(three)[0]) == (3, "shares-missing")


def test_a_share_of_another_split_is_named() -> None:
    code, text = refused(gathered(fixed_split(ENTROPY, 3, 5)[0], OLD[1], fixed_split(ENTROPY, 3, 5)[1]))
    assert code == "shares-differ"
    assert "Share 2 is of another split than the rest" in text
    assert "1 more share of the same split is needed" in text


def test_shares_of_two_splits_of_which_none_has_more_are_both_named() -> None:
    code, text = refused(gathered(MINE[0], OLD[1]))
    assert code == "shares-differ"
    assert "The shares 1 and 2 are of another split" in text


def test_a_share_of_another_split_beside_enough_is_named_and_does_no_harm() -> None:
    gathering = gathered(OLD[0], MINE[1], MINE[2])
    assert gathering.unfit(the_one(gathering)) == "Share 1 is of another split than the rest."


def test_a_wrong_share_is_named() -> None:
    """Its words and checksum are right: only with one more than needed can it be told from the others."""
    code, text = refused(gathered(BAD, MINE[1]))
    assert code == "shares-forged"
    assert "one more guardian" in text
    gathering = gathered(BAD, MINE[1], MINE[3])
    assert "Share 1 does not fit the others" in gathering.unfit(the_one(gathering))


def test_a_share_that_came_twice_is_refused_by_its_number() -> None:
    gathering = gathered(MINE[0], MINE[1])
    with pytest.raises(Refused, match="share 2 once more") as caught:
        gathering.add(read_given(MINE[1].upper()))
    assert caught.value.code == "share-twice"


def test_no_more_than_sixteen_are_looked_at() -> None:
    gathering = gathered(*fixed_split(ENTROPY, 2, 16))
    with pytest.raises(Refused, match="At most 16"):
        gathering.add(read_given(OLD[0]))


def test_the_place_of_the_vault_comes_with_the_qr_codes() -> None:
    gathering = gathered(link(MINE[0]), MINE[1])
    assert gathering.place(the_one(gathering)) == Place("anna.example", VAULT)
    words_only = gathered(MINE[0], MINE[1])
    assert words_only.place(the_one(words_only)) is None


def test_a_guardian_who_names_another_server_is_noticed() -> None:
    gathering = gathered(link(MINE[0]), link(MINE[1], host="mallory.example"))
    with pytest.raises(Refused, match=r"share 2: mallory\.example") as caught:
        gathering.place(the_one(gathering))
    assert caught.value.code == "share-place"


def test_a_guardian_whose_share_is_bad_has_no_say_about_the_place() -> None:
    gathering = gathered(link(BAD, host="mallory.example"), link(MINE[1]), link(MINE[2]))
    assert gathering.place(the_one(gathering)) == Place("anna.example", VAULT)


def test_a_picture_of_the_code_is_read(tmp_path: Path) -> None:
    picture = tmp_path / "a share.png"
    write_png(link(MINE[0]), picture)
    assert read_given(f" {picture} ") == Given(read_share(MINE[0]), Place("anna.example", VAULT))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "share-length"),
        ("nowhere.png", "no-picture"),
        ("kith:anna.example#1.AAAA", "wrong-code"),
        ("abandon " * 33, "share-word"),
        (MINE[0].replace(" ", "  ")[:-9], "share-length"),
    ],
)
def test_what_is_no_share_is_refused_without_repeating_it(text: str, code: str) -> None:
    with pytest.raises(KithError) as caught:
        read_given(text)
    assert caught.value.code == code
    assert "abandon" not in str(caught.value)
