"""What HPKE and ML-DSA made, kept: both draw at random within the library, so a regenerated vector would differ.

Everything sealed and every such signature is kept under the hash of what went into it; it is made afresh only where
the scenario is new. `sealed.json` beside the vectors is this tape.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from kith_protocol.epoch import SealedKey, SealedKeys, seal_epoch_key
from kith_protocol.member import Member
from kith_protocol.suite import HybridSignKey, frame, labelled_hash, seal

NAME = "sealed.json"


class Tape:
    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._kept: dict[str, str] = json.loads(self._path.read_text()) if self._path.exists() else {}
        self._used: set[str] = set()
        self.fresh = 0
        """Things that had to be made anew."""

    def seal(
        self,
        key: bytes,
        vault: bytes,
        epoch: int,
        members: Iterable[Member],
        *,
        previous: bytes = b"",
        nonce: bytes = b"",
    ) -> SealedKeys:
        """As `seal_epoch_key`, with the randomness of the tape."""
        link = seal_epoch_key(key, vault, epoch, (), previous=previous, nonce=nonce).previous
        sealed = [SealedKey(member.id, self._sealed(key, vault, epoch, member)) for member in members]
        return SealedKeys(tuple(sorted(sealed, key=lambda item: item.member)), link)

    def text(self) -> str:
        """The tape as it should be kept: what was used, and nothing else."""
        return json.dumps({name: self._kept[name] for name in sorted(self._used)}, indent=1) + "\n"

    def seal_to(self, public: bytes, label: str, *fields: bytes, plaintext: bytes) -> bytes:
        """As `suite.seal`, with the randomness of the tape."""
        name = labelled_hash("tape seal", public, frame(label, *fields), plaintext)
        return self._kept_or(name, lambda: seal(public, label, *fields, plaintext=plaintext))

    def sign(self, key: HybridSignKey, label: str, *fields: bytes) -> bytes:
        """As `HybridSignKey.sign`, with the randomness of the tape."""
        name = labelled_hash("tape sign", key.public, frame(label, *fields))
        return self._kept_or(name, lambda: key.sign(label, *fields))

    def _sealed(self, key: bytes, vault: bytes, epoch: int, member: Member) -> bytes:
        name = labelled_hash("tape", key, vault, epoch.to_bytes(8, "big"), member.id)
        return self._kept_or(name, lambda: seal_epoch_key(key, vault, epoch, [member]).keys[0].sealed)

    def _kept_or(self, hashed: bytes, make: Callable[[], bytes]) -> bytes:
        name = hashed.hex()[:32]
        self._used.add(name)
        if name not in self._kept:
            self.fresh += 1
            self._kept[name] = make().hex()
        return bytes.fromhex(self._kept[name])
