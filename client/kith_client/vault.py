"""The opened vault of one device: what stands, unsent edits included, and the way in for new edits.

Seals and opens records; asks no server. `kith_client.sync` brings it in step.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from kith_client.relations.soundness import is_sound
from kith_client.stamp import Contents, Edit, Stamp
from kith_client.store import keyfile
from kith_client.store.epoch_keys import open_epochs
from kith_client.store.home import Home
from kith_client.store.keyfile import DeviceKeys
from kith_client.store.mirror import CHAIN, Mirror
from kith_client.store.mirror_file import MirrorDamaged, unusable
from kith_client.store.record_index import RecordIndex
from kith_client.store.unlock import PromptForPassphrase, Unlocked, cannot_ask, unlock
from kith_protocol import labels
from kith_protocol.chain import Chain, thaw_chain
from kith_protocol.content import Content, content_of
from kith_protocol.encoding import Value, decode_map, encode_map
from kith_protocol.epoch import mirror_key
from kith_protocol.errors import DecodingError, Undecryptable
from kith_protocol.member import MemberKeys
from kith_protocol.record import open_record, record_key, seal_record
from kith_protocol.recordheader import read_header
from kith_protocol.suite import NONCE_BYTES, decrypt, encrypt

Clock = Callable[[], int]
"""Milliseconds since 1970."""

AUTHOR_BYTES: Final = 8
"""Bytes of a member's id that a unit keeps of its editor."""
_MANY: Final = 100
_SEAL_BATCH: Final = 200
"""Records sealed in a thread at a time."""


UNREADABLE: Final = Content("unreadable", {})
"""Stands for a record that a member wrote and this device cannot open."""


def system_clock() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the device's own log."""

    at: int
    what: str
    by: str


class RecordKeys:
    """The keys of one vault's records, by epoch."""

    def __init__(self, vault: bytes, epochs: Mapping[int, bytes]) -> None:
        self._vault = vault
        self._epochs = dict(epochs)
        self._keys = {epoch: record_key(key, vault) for epoch, key in epochs.items()}
        # What a device keeps for itself alone must stay readable when the epoch changes.
        self.mirror = mirror_key(epochs[min(epochs)])

    def epoch_key(self, epoch: int) -> bytes:
        """The key of an epoch itself, to be sealed to a new member."""
        return self._epochs[epoch]

    @property
    def epochs(self) -> list[int]:
        """Those whose key is known, newest first."""
        return sorted(self._epochs, reverse=True)

    def seal(self, record: bytes, content: Content, epoch: int) -> bytes:
        """The sealed record, under `epoch`."""
        key, nonce = self._keys[epoch], os.urandom(NONCE_BYTES)
        return seal_record(key, self._vault, record, epoch, content.to_map(), nonce=nonce)

    def open(self, record: bytes, blob: bytes) -> Content:
        """The content of a sealed record. Raises `Undecryptable` or `DecodingError`."""
        epoch = read_header(blob)[1]
        key = self._keys.get(epoch)
        if key is None:
            raise Undecryptable(f"A record is sealed for epoch {epoch}, whose key this device does not have.")
        return content_of(open_record(key, self._vault, record, blob))

    def open_all(self, rows: Iterable[tuple[bytes, bytes]]) -> dict[bytes, Content]:
        """Opens many. One that does not open, or does not say what its kind has to say, is `UNREADABLE`: a member's
        broken program must not stop the others."""
        return {record: self._open_sound(record, blob) for record, blob in rows}

    def _open_sound(self, record: bytes, blob: bytes) -> Content:
        try:
            content = self.open(record, blob)
        except (Undecryptable, DecodingError):
            return UNREADABLE
        return content if is_sound(record, content) else UNREADABLE


class Vault:
    """Use `Vault.open`; close it with `close`, which also lets other programs at it."""

    def __init__(self, home: Home, unlocked: Unlocked, clock: Clock) -> None:
        self.home = home
        self.device = unlocked.keys
        self._file_key = unlocked.file_key
        self.member: MemberKeys = unlocked.keys.member
        self.clock = clock
        self.mirror: Mirror
        self.chain: Chain
        self.record_keys: RecordKeys
        self.index = RecordIndex()
        self._contents: dict[bytes, Content] = {}
        self._awake = AsyncExitStack()

    @classmethod
    async def open(cls, home: Home, prompt: PromptForPassphrase = cannot_ask, clock: Clock = system_clock) -> Vault:
        """Unlocks the device's keys and reads the mirror. Raises `NoVault`, `WrongPassphrase`, `Busy`."""
        _spare_the_collector()  # of the program's modules, too
        vault = cls(home, await unlock(home, prompt), clock)
        await vault._wake()
        return vault

    async def close(self) -> None:
        """Closes the mirror and lets go of the lock."""
        await self._awake.aclose()

    @asynccontextmanager
    async def resting(self) -> AsyncIterator[None]:
        """Lets other programs at the vault, while this one waits for a person; then reads it again.

        Raises `Busy` where another program holds it when the block ends.
        """
        await self.close()
        try:
            yield
        finally:
            await self._wake()

    async def _wake(self) -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.home.locked())
            self.mirror = await Mirror.open(self.home.mirror)
            stack.push_async_callback(self.mirror.close)
            frozen = await self.mirror.state(CHAIN)
            if frozen is None:
                raise MirrorDamaged(
                    f"The local copy in {self.home.path} is not there. 'kith doctor --rebuild' makes it anew."
                )
            try:
                self.chain = thaw_chain(frozen)
            except DecodingError as error:
                raise unusable(error) from error
            await self.reload()
            self._awake = stack.pop_all()

    async def __aenter__(self) -> Vault:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @property
    def id(self) -> bytes:
        return self.device.vault

    @property
    def contents(self) -> Contents:
        """All records as they stand, unsent edits included."""
        return self._contents

    def stamp(self) -> Stamp:
        """What an edit made now by this device carries."""
        return Stamp(self.clock(), self.member.id[:AUTHOR_BYTES], os.urandom)

    async def apply(self, edit: Edit, what: Iterable[str] = ()) -> None:
        """Makes an edit on this device, durable before it returns; `what` says it in words for the log."""
        events = [self.seal_event(Event(self.clock(), text, "me")) for text in what]
        drafts = await self.seal_drafts({record: c for record, c in edit.items() if self._contents.get(record) != c})
        await self.mirror.save_drafts(drafts, events)
        self.show(edit)

    async def events(self, last: int = 500) -> list[Event]:
        """The newest entries of the device's log, oldest first."""
        return [self._open_event(blob) for blob in await self.mirror.events(last)]

    async def settle_at(self, server: str, fingerprint: bytes) -> None:
        """Makes another server the home server of this device: its URL and its key's fingerprint, in the key file."""

        def work() -> DeviceKeys:
            path = self.home.key_file
            raw = keyfile.with_other_server(path.read_bytes(), self._file_key, server, fingerprint)
            keyfile.write_key_file(path, raw, replace=True)
            return keyfile.open_key_file(raw, self._file_key)

        self.device = await asyncio.to_thread(work)

    # For kith_client.sync

    async def reload(self) -> None:
        """Reads everything from the mirror again."""
        self.record_keys = await self.record_keys_for(self.chain, staged=False, whole=False)
        await self.read_records()

    async def record_keys_for(self, chain: Chain, *, staged: bool, whole: bool) -> RecordKeys:
        """The keys of the epochs of `chain`: from the mirror's commits, those `staged` behind or instead of them.

        Raises the alarm `wrong-epoch` where the newest epoch is not for this device to read.
        """
        commits = await self.mirror.commits_with_keys(staged=staged, whole=whole)
        commitments = dict(chain.commitments)

        def work() -> RecordKeys:
            return RecordKeys(self.id, open_epochs(self.id, commits, self.member, commitments))

        return await asyncio.to_thread(work)

    async def read_records(self) -> None:
        """Opens all verified records and the unsent edits over them."""
        hashes: list[tuple[bytes, bytes]] = []
        contents: dict[bytes, Content] = {}

        def open_batch(rows: list[tuple[bytes, bytes, bytes]]) -> None:
            hashes.extend((record, hash_) for record, hash_, _ in rows)
            contents.update(self.record_keys.open_all((record, blob) for record, _, blob in rows))
            _spare_the_collector()

        await self.mirror.record_batches(open_batch)
        drafts = await self.mirror.drafts()
        self.index = await asyncio.to_thread(RecordIndex, hashes)
        self._contents = contents
        self.show(await self.open_drafts(drafts))

    async def open_drafts(self, drafts: Mapping[bytes, bytes | None]) -> Edit:
        """Unsent edits, opened."""

        def work() -> Edit:
            return {r: None if blob is None else self.record_keys.open(r, blob) for r, blob in drafts.items()}

        return await asyncio.to_thread(work)

    async def seal_drafts(self, edit: Edit) -> dict[bytes, bytes | None]:
        """An edit, sealed under the newest epoch."""
        items, sealed = list(edit.items()), {}

        def work(batch: list[tuple[bytes, Content | None]]) -> dict[bytes, bytes | None]:
            epoch = self.chain.epoch
            return {r: None if content is None else self.record_keys.seal(r, content, epoch) for r, content in batch}

        for start in range(0, len(items), _SEAL_BATCH):
            sealed.update(await asyncio.to_thread(work, items[start : start + _SEAL_BATCH]))
        return sealed

    def show(self, edit: Edit) -> None:
        """Lets `edit` stand in `contents`; the mirror has it already."""
        for record, content in edit.items():
            if content is None:
                self._contents.pop(record, None)
            else:
                self._contents[record] = content
        if len(edit) > _MANY:
            _spare_the_collector()

    def seal_note(self, note: Mapping[str, Value]) -> bytes:
        """Seals something that this device keeps for itself alone."""
        return encrypt(self.record_keys.mirror, labels.MIRROR, b"", encode_map(note), nonce=os.urandom(NONCE_BYTES))

    def open_note(self, blob: bytes) -> dict[str, Value]:
        """Opens what `seal_note` sealed. Raises `Undecryptable`."""
        return decode_map(decrypt(self.record_keys.mirror, labels.MIRROR, b"", blob))

    def seal_event(self, event: Event) -> bytes:
        return self.seal_note({"at": event.at, "what": event.what, "by": event.by})

    def _open_event(self, blob: bytes) -> Event:
        match self.open_note(blob):
            case {"at": int(at), "what": str(what), "by": str(by)}:
                return Event(at, what, by)
            case _:
                raise Undecryptable("An entry of the log is damaged.")


def _spare_the_collector() -> None:
    """Takes what stands now out of the cyclic collector's sight.

    Contents are large, long-lived and without cycles, and a full collection that walks over those of 10,000 contacts
    stops the event loop for half a second. Reference counting still frees them.
    """
    gc.freeze()
