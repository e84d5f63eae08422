"""Epoch keys: sealed to each member, committed to in the chain, linked backwards (spec: vault.md, Epochs).

How the sealed keys travel is `sealedkeys`; this module is for members, who can open them.
"""

from __future__ import annotations

from collections.abc import Iterable

from kith_protocol import labels
from kith_protocol.errors import Alarm, AlarmCode, Undecryptable
from kith_protocol.member import Member, MemberKeys
from kith_protocol.sealedkeys import FIRST_EPOCH as FIRST_EPOCH
from kith_protocol.sealedkeys import NO_KEYS as NO_KEYS
from kith_protocol.sealedkeys import SealedKey as SealedKey
from kith_protocol.sealedkeys import SealedKeys as SealedKeys
from kith_protocol.sealedkeys import encode_keys as encode_keys
from kith_protocol.sealedkeys import key_names as key_names
from kith_protocol.sealedkeys import parse_keys as parse_keys
from kith_protocol.suite import KEY_BYTES, decrypt, derive, encrypt, equal, seal


def epoch_commitment(epoch: int, key: bytes) -> bytes:
    """What a commit's body says of a new epoch's key: binds it without giving it away. 32 bytes.

    The vault's id is no part of it: the first epoch begins before there is one.
    """
    return derive(key, labels.EPOCH_COMMITMENT, _number(epoch))


def seal_epoch_key(
    key: bytes,
    vault: bytes,
    epoch: int,
    members: Iterable[Member],
    *,
    previous: bytes = b"",
    nonce: bytes = b"",
) -> SealedKeys:
    """Seals `key` to each of `members`; with `previous` (and 24 fresh bytes `nonce`) links the epoch before.

    `vault` is the vault id, zeros for genesis.
    """
    sealed = [
        SealedKey(
            member.id,
            seal(member.seal_key, labels.EPOCH_KEY, vault, _number(epoch), member.id, plaintext=key),
        )
        for member in members
    ]
    link = b""
    if previous:
        link = encrypt(key, labels.EPOCH_PREVIOUS, vault + _number(epoch), previous, nonce=nonce)
    return SealedKeys(tuple(sorted(sealed, key=lambda item: item.member)), link)


def open_epoch_key(keys: SealedKeys, vault: bytes, epoch: int, member: MemberKeys, commitment: bytes) -> bytes:
    """The key of `epoch` for `member`, checked against the chain. Raises the alarm `wrong-epoch`."""
    mine = next((item for item in keys.keys if item.member == member.id), None)
    if mine is None:
        raise Alarm(AlarmCode.WRONG_EPOCH, f"The key of epoch {epoch} was not sealed to this device.")
    try:
        key = member.seal.open(labels.EPOCH_KEY, vault, _number(epoch), member.id, sealed=mine.sealed)
    except Undecryptable:
        raise Alarm(AlarmCode.WRONG_EPOCH, f"The sealed key of epoch {epoch} does not open.") from None
    return _checked(key, epoch, commitment)


def open_previous_key(keys: SealedKeys, vault: bytes, epoch: int, key: bytes, before: int, commitment: bytes) -> bytes:
    """The key of the epoch `before` `epoch`, whose `key` is known. Raises the alarm `wrong-epoch`."""
    try:
        previous = decrypt(key, labels.EPOCH_PREVIOUS, vault + _number(epoch), keys.previous)
    except Undecryptable:
        raise Alarm(AlarmCode.WRONG_EPOCH, f"The key of epoch {before} does not open from epoch {epoch}.") from None
    return _checked(previous, before, commitment)


def _checked(key: bytes, epoch: int, commitment: bytes) -> bytes:
    if len(key) != KEY_BYTES or not equal(epoch_commitment(epoch, key), commitment):
        raise Alarm(AlarmCode.WRONG_EPOCH, f"The key of epoch {epoch} is not the one that the chain names.")
    return key


def _number(epoch: int) -> bytes:
    return epoch.to_bytes(8, "big")


def mirror_key(epoch_key: bytes) -> bytes:
    """The key under which a device seals what it keeps for itself alone, such as its log."""
    return derive(epoch_key, labels.MIRROR_KEY)
