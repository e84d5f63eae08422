"""The recovery phrase: 24 words for 32 bytes of entropy, and the keys that come from it (spec: phrase.md).

Making the entropy, showing the phrase and testing the person on it are left to the client.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from kith_protocol import labels
from kith_protocol.errors import Refused
from kith_protocol.member import MemberKeys, MemberKind
from kith_protocol.suite import HybridSignKey, SealKey, SignKey, derive

if TYPE_CHECKING:
    from mnemonic import Mnemonic

ENTROPY_BYTES: Final = 32
PHRASE_WORDS: Final = 24


def phrase_of(entropy: bytes) -> str:
    """The 24 BIP-39 words (English) for 32 bytes of entropy, with one space between them."""
    if len(entropy) != ENTROPY_BYTES:
        raise Refused("phrase-length", "A recovery phrase is made from 32 bytes.")
    return str(_mnemonic().to_mnemonic(entropy))


def entropy_of(phrase: str) -> bytes:
    """The 32 bytes behind a phrase as a person typed it: case, spaces and Unicode form are forgiven.

    Raises `Refused` with `phrase-length`, `phrase-word` (says which word, by position) or `phrase-checksum`.
    """
    words = unicodedata.normalize("NFKD", phrase).lower().split()
    if len(words) != PHRASE_WORDS:
        raise Refused("phrase-length", f"A recovery phrase has {PHRASE_WORDS} words; these are {len(words)}.")
    for position, word in enumerate(words, start=1):
        if word not in word_numbers():
            raise Refused("phrase-word", f"Word {position} of the recovery phrase is not in the word list; check it.")
    try:
        return bytes(_mnemonic().to_entropy(words))
    except ValueError:
        raise Refused(
            "phrase-checksum", "The words of the recovery phrase do not belong together; check each, and their order."
        ) from None


def paper_keys(entropy: bytes) -> MemberKeys:
    """The paper key: the member that the phrase stands for."""
    sign = SignKey(derive(entropy, labels.PAPER_SIGN))
    return MemberKeys(MemberKind.PAPER, sign, SealKey(derive(entropy, labels.PAPER_SEAL)))


def root_key(entropy: bytes) -> HybridSignKey:
    """The root key pair of the person; used at setup and in emergencies, never stored."""
    return HybridSignKey(derive(entropy, labels.ROOT_SIGN), derive(entropy, labels.ROOT_SIGN_PQ))


@lru_cache(maxsize=1)
def word_numbers() -> dict[str, int]:
    """The BIP-39 English words with their numbers, 0 to 2047."""
    return {word: number for number, word in enumerate(_mnemonic().wordlist)}


@lru_cache(maxsize=1)
def _mnemonic() -> Mnemonic:
    # Imported here: the package costs more than all of this one, and few commands need it.
    from mnemonic import Mnemonic

    return Mnemonic("english")
