"""A world of two servers, Anna with two devices, and Bob: edits made apart, syncs that fail in every way, crashes.

Hypothesis draws what happens. In the end all devices are equal, no value that was entered is lost, and Bob has exactly
Anna's view for him; at no moment did he hold a property outside every view that Anna ever granted.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from kith_client.book import contacts, grants, me, notes
from kith_client.book.problems import BookError
from kith_client.book.views import view_of
from kith_client.contacts.model import Property
from kith_client.errors import ServerUnreachable
from kith_client.lifecycle.linking import add_device, join_vault
from kith_client.lifecycle.setup import create_vault
from kith_client.online import home_server, signed_in
from kith_client.relations.peers import their_properties
from kith_client.stamp import Contents, Edit, of_kind
from kith_client.store.home import Home
from kith_client.sync.befriend import accept_invite, make_invite
from kith_client.sync.run import sync
from kith_client.vault import Vault
from tests.support.faults import Crash, Fault, FaultyHomeServer, Plan
from tests.support.mail_world import Site, sites

T = TypeVar("T")
FACETS = ("work", "private")
ANNAS = ("laptop", "phone")

EXAMPLES = int(os.environ.get("KITH_WORLD_EXAMPLES", "6"))
"""`KITH_WORLD_EXAMPLES=200 pytest tests/system/test_world.py` is the long run."""
STEPS = 25


class World(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.vaults: dict[str, Vault] = {}
        self.homes: dict[str, Home] = {}
        self.urls: dict[str, str] = {}
        self.entered: set[str] = set()
        self.shown: set[tuple[str, str]] = set()
        self.counter = 0
        self.sites: list[Site] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, 60))

    def clock(self) -> int:
        return self.sites[0].clock()

    @initialize()
    def begin(self) -> None:
        self.run(self._begin())

    async def _begin(self) -> None:
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="kithbook-world-")))
        self.sites = await self.stack.enter_async_context(sites(folder, "anna-server", "bob-server"))
        self.sites[1].clock = self.sites[0].clock
        self.homes = {name: Home(folder / name) for name in (*ANNAS, "bob")}
        self.urls = {"laptop": self.sites[0].url, "phone": self.sites[0].url, "bob": self.sites[1].url}
        for name, person in (("laptop", "Anna Beck"), ("bob", "Bob Lund")):
            await create_vault(self.homes[name], self.urls[name], person, name, clock=self.clock)
            self.vaults[name] = await Vault.open(self.homes[name], clock=self.clock)
        await self._connect()

    async def _connect(self) -> None:
        anna, bob = self.vaults["laptop"], self.vaults["bob"]
        async with home_server(anna) as annas, home_server(bob) as bobs:
            made = await make_invite(anna, annas)
            await accept_invite(bob, bobs, made.link)
            for vault, server in ((anna, annas), (bob, bobs), (anna, annas), (bob, bobs)):
                await sync(vault, server)
            codes: asyncio.Queue[str] = asyncio.Queue()

            async def join() -> Vault:
                code = await codes.get()
                return await join_vault(self.homes["phone"], code, self.urls["phone"], "phone", clock=self.clock)

            async def agree(_: str) -> bool:
                return True

            _, self.vaults["phone"] = await asyncio.gather(add_device(anna, annas, codes.put, agree), join())
        self._note_views()

    def fresh(self) -> str:
        self.counter += 1
        return f"value{self.counter:04}x"

    def edit(self, name: str, make: Callable[[Contents], Edit]) -> None:
        """Applies an edit that is possible now; one that is not changes nothing."""
        vault = self.vaults[name]
        try:
            edit = make(vault.contents)
        except BookError:
            return
        self.run(vault.apply(edit))
        self._note_views()

    def enter(self) -> str:
        """A value that must never be lost."""
        value = self.fresh()
        self.entered.add(value)
        return value

    def _note_views(self) -> None:
        """Remembers every property that Anna's views, on any of her devices, have ever let Bob see."""
        for name in ANNAS:
            if name in self.vaults:
                contents = self.vaults[name].contents
                for peer in of_kind(contents, "peer"):
                    self.shown |= {(prop.name, prop.value) for prop in view_of(contents, peer)}

    def some(self, name: str, kind: str, choice: int) -> bytes | None:
        records = sorted(of_kind(self.vaults[name].contents, kind))
        return records[choice % len(records)] if records else None

    @rule(name=st.sampled_from((*ANNAS, "bob")))
    def add_contact(self, name: str) -> None:
        value = self.enter()
        self.edit(name, lambda contents_: contacts.add_contact(self.vaults[name].stamp(), value)[0])

    @rule(name=st.sampled_from(ANNAS), choice=st.integers(0, 50), prop=st.sampled_from(("note", "nickname", "fn")))
    def set_property(self, name: str, choice: int, prop: str) -> None:
        record, value = self.some(name, "contact", choice), self.fresh()
        if record is None:
            return
        stamp = self.vaults[name].stamp()
        self.entered.add(value)
        before = len(self.vaults[name].contents[record].units)
        self.edit(name, lambda held: contacts.set_property(held, stamp, record, prop, value)[0])
        assert len(self.vaults[name].contents[record].units) >= before

    @rule(name=st.sampled_from(ANNAS), choice=st.integers(0, 50))
    def remove_contact(self, name: str, choice: int) -> None:
        record = self.some(name, "contact", choice)
        if record is not None:
            self.edit(name, lambda held: contacts.remove_contact(held, self.vaults[name].stamp(), record))

    @rule(name=st.sampled_from(ANNAS), choice=st.integers(0, 50))
    def add_note(self, name: str, choice: int) -> None:
        record = self.some(name, "contact", choice)
        if record is not None:
            value = self.enter()
            day = date(2026, 11, 23)
            self.edit(name, lambda _: notes.add_note(self.vaults[name].stamp(), record, value, at=day)[0])

    @rule(name=st.sampled_from(ANNAS), prop=st.sampled_from(("tel", "email")), facet=st.sampled_from(FACETS))
    def set_my_card(self, name: str, prop: str, facet: str) -> None:
        value = self.fresh() + ("@example.org" if prop == "email" else "")
        self.edit(name, lambda held: me.set_mine(held, self.vaults[name].stamp(), prop, value, [facet])[0])

    @rule(name=st.sampled_from(ANNAS), facet=st.sampled_from(FACETS), give=st.booleans())
    def grant_or_withdraw(self, name: str, facet: str, give: bool) -> None:
        change = grants.grant if give else grants.withdraw

        def make(held: Contents) -> Edit:
            return change(held, self.vaults[name].stamp(), grants.resolve_target(held, "Bob Lund"), facet)

        self.edit(name, make)

    @rule(
        name=st.sampled_from((*ANNAS, "bob")),
        fault=st.sampled_from(tuple(Fault)),
        at=st.integers(0, 12),
    )
    def sync_with_fault(self, name: str, fault: Fault, at: int) -> None:
        self.run(self._sync(name, Plan(fault, at)))
        self._note_views()
        self._check_bob_within_views()

    @precondition(lambda self: bool(self.sites))
    @rule(which=st.integers(0, 1))
    def restart_server(self, which: int) -> None:
        async def restart() -> None:
            await self.sites[which].stop()
            await self.sites[which].start()

        self.run(restart())

    async def _sync(self, name: str, plan: Plan) -> None:
        vault = self.vaults[name]
        try:
            async with FaultyHomeServer.connect(vault.device.server) as server:
                server.plan = plan  # type: ignore[attr-defined]  # `connect` gives a FaultyHomeServer
                await sync(vault, signed_in(server, vault.device, self.clock), patience=1.0)
        except ServerUnreachable:
            assert plan.fault is not Fault.NONE
        except Crash:
            await vault.close()
            self.vaults[name] = await Vault.open(self.homes[name], clock=self.clock)

    def _check_bob_within_views(self) -> None:
        for prop in self._bobs_card():
            assert (prop.name, prop.value) in self.shown, f"Bob holds {prop.name}, which no view ever showed"

    def _bobs_card(self) -> list[Property]:
        contents = self.vaults["bob"].contents
        (peer,) = of_kind(contents, "peer").values()
        contact = peer.value("contact")
        assert isinstance(contact, bytes)
        return [prop for prop, _ in their_properties(contents, contact)]

    def teardown(self) -> None:
        try:
            if "phone" in self.vaults:
                self.check_in_the_end()
        finally:
            self.run(self._end())
            self.loop.close()

    async def _end(self) -> None:
        for vault in self.vaults.values():
            await vault.close()
        await self.stack.aclose()

    def check_in_the_end(self) -> None:
        for name in (*ANNAS, *ANNAS, "bob", *ANNAS, "bob", *ANNAS, "bob"):
            self.run(self._sync(name, Plan()))
        laptop, phone = (dict(self.vaults[name].contents) for name in ANNAS)
        assert laptop == phone
        held = [*laptop.values(), *self.vaults["bob"].contents.values()]
        everything = repr([content.to_map() for content in held])
        assert [value for value in self.entered if value not in everything] == []
        (peer,) = of_kind(laptop, "peer")
        mine = sorted((prop.name, prop.value) for prop in view_of(laptop, peer))
        assert sorted((prop.name, prop.value) for prop in self._bobs_card()) == mine


TestWorld = World.TestCase
TestWorld.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
