"""The recovery phrase."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol.errors import Refused
from kith_protocol.member import MemberKind
from kith_protocol.phrase import entropy_of, paper_keys, phrase_of, root_key, word_numbers
from kith_protocol.suite import digest
from tests.protocol.people import fixed

ZERO = "abandon " * 23 + "art"


def code_of(phrase: str) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        entropy_of(phrase)
    return caught.value.code, str(caught.value)


@given(st.binary(min_size=32, max_size=32))
def test_every_entropy_comes_back_from_its_phrase(entropy: bytes) -> None:
    assert entropy_of(phrase_of(entropy)) == entropy


def test_phrases_are_those_of_bip39(shared: Path) -> None:
    checked = 0
    for entropy, phrase, *_ in json.loads((shared / "vectors" / "bip39.json").read_text())["english"]:
        if len(entropy) == 64:
            assert phrase_of(bytes.fromhex(entropy)) == phrase
            assert entropy_of(phrase).hex() == entropy
            checked += 1
        else:
            assert code_of(phrase)[0] == "phrase-length"
    assert checked >= 8


@pytest.mark.parametrize("typed", [ZERO.upper(), "  " + ZERO.replace(" ", " \t\n "), ZERO.replace("a", "ａ")])
def test_case_spaces_and_unicode_form_are_forgiven(typed: str) -> None:
    assert entropy_of(typed) == bytes(32)


def test_an_unknown_word_is_named_by_its_position_and_never_repeated() -> None:
    code, message = code_of(ZERO.replace("abandon", "sesame", 7).replace("sesame", "abandon", 6))
    assert code == "phrase-word"
    assert "Word 7 " in message
    assert "sesame" not in message


@pytest.mark.parametrize("phrase", ["", "abandon", ZERO + " art", "abandon " * 12])
def test_a_phrase_of_another_length_is_refused(phrase: str) -> None:
    assert code_of(phrase)[0] == "phrase-length"


def test_words_that_do_not_belong_together_are_refused() -> None:
    assert code_of("abandon " * 24)[0] == "phrase-checksum"
    words = phrase_of(fixed("entropy")).split()
    words[3], words[4] = words[4], words[3]
    assert code_of(" ".join(words))[0] == "phrase-checksum"


def test_entropy_of_another_length_is_refused() -> None:
    with pytest.raises(Refused):
        phrase_of(bytes(16))


def test_the_keys_of_a_phrase_are_all_different_and_always_the_same() -> None:
    paper, root = paper_keys(bytes(32)), root_key(bytes(32))
    assert len({paper.sign.seed, paper.seal.seed, root.seed, root.pq_seed}) == 4
    assert paper.kind is MemberKind.PAPER
    assert paper.id.hex() == "14f7e5df2a940a9ff030e43f2e633503cd1b3afeb5948197e6cd48a27fcef589"
    assert digest(root.public).hex() == "2660fd81937a59adf05893f871d82ca51fd4004e0f9401daf404f85dc42e4811"


def test_there_are_2048_words_and_four_letters_tell_them_apart() -> None:
    assert len({word[:4] for word in word_numbers()}) == 2048
