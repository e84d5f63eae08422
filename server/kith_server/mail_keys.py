"""Typed keys for what mailboxes, gateway and relay need; `mail` fills them."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from kith_server.directory import Directory
from kith_server.gateway_operations import Gateway
from kith_server.relay.statements import Statements
from kith_server.relay.worker import Relay
from kith_server.server_keys import ServerKeys
from kith_server.storage.mail_interface import HandleStore, MailboxStore, RelayStore

SERVER_KEYS: Final = web.AppKey("server_keys", ServerKeys)
MAILBOXES: Final[web.AppKey[MailboxStore]] = web.AppKey("mailboxes")
HANDLES: Final[web.AppKey[HandleStore]] = web.AppKey("handles")
RELAYED: Final[web.AppKey[RelayStore]] = web.AppKey("relayed")
GATEWAY: Final = web.AppKey("gateway", Gateway)
DIRECTORY: Final = web.AppKey("directory", Directory)
RELAY: Final = web.AppKey("relay", Relay)
STATEMENTS: Final = web.AppKey("statements", Statements)
PAGES: Final = web.AppKey("pages", asyncio.Semaphore)
"""Turns for reading and sending pages of parcels."""
