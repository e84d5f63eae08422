"""Splits of a phrase with fixed randomness, and shares that somebody changed."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from contextlib import contextmanager

from shamir_mnemonic import Share, shamir

from kith_protocol.splitting import split_entropy


@contextmanager
def _drawing_from(seed: str) -> Iterator[None]:
    before, rng = shamir.RANDOM_BYTES, random.Random(seed)
    shamir.RANDOM_BYTES = rng.randbytes
    try:
        yield
    finally:
        shamir.RANDOM_BYTES = before


def fixed_split(entropy: bytes, needed: int, count: int, seed: str = "split") -> tuple[str, ...]:
    """As `split_entropy`, the same in every run."""
    with _drawing_from(seed):
        return split_entropy(entropy, needed, count)


def forged(words: str, value: bytes) -> str:
    """A share of the same split and place, with a right checksum, that holds something else."""
    return str(dataclasses.replace(Share.from_mnemonic(words), value=value).mnemonic())


def altered(words: str, **fields: object) -> str:
    """A share with other parameters and a right checksum."""
    return str(dataclasses.replace(Share.from_mnemonic(words), **fields).mnemonic())
