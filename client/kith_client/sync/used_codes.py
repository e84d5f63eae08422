"""Codes for meeting that this device used up: whoever got our confirmation has had a guess, and there is no second one.

Kept sealed until the code is dead anyway, because a hash of its 33 bits would give it away.
"""

from __future__ import annotations

from typing import Final

from kith_client.line import gone
from kith_client.vault import Vault
from kith_protocol.encoding import Value
from kith_protocol.link_code import LinkCode
from kith_protocol.linking import LINK_LIFETIME
from kith_protocol.suite import digest

USED_CODES: Final = "used-codes"
"""State of the mirror: hash of a code -> when it was used up, in milliseconds."""


async def check_unused(vault: Vault, code: LinkCode) -> None:
    """Raises `Refused` (`link-burned`) where this device used the code up in the last ten minutes."""
    if _name(code) in await _used(vault):
        raise gone()


async def remember_used(vault: Vault, code: LinkCode) -> None:
    """On the disk before the confirmation leaves."""
    used: dict[str, Value] = {**await _used(vault), _name(code): vault.clock()}
    await vault.mirror.set_state({USED_CODES: vault.seal_note(used)})


async def _used(vault: Vault) -> dict[str, Value]:
    sealed = await vault.mirror.state(USED_CODES)
    if sealed is None:
        return {}
    earliest = vault.clock() - LINK_LIFETIME
    return {name: at for name, at in vault.open_note(sealed).items() if isinstance(at, int) and at > earliest}


def _name(code: LinkCode) -> str:
    """The host is left out: the same code may be typed with and without it."""
    return digest(code.nameplate.encode() + b"-" + code.secret).hex()
