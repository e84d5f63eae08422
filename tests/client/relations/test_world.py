"""Three people, faulty networks and dishonest servers, driven by Hypothesis.

At every step: nobody holds a property outside a view that was granted at some time, no item ever goes back to an older
version, and no version has two contents. In the end: handshakes have completed, and what each sees of a peer is exactly
what the peer's view says.
"""

from __future__ import annotations

import copy
from datetime import date
from functools import cache

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kith_client.book import shares
from kith_client.book.notes import add_note, remove_note
from kith_client.book.views import view_of
from kith_client.contacts.model import Property
from kith_client.relations.incoming import take_in
from kith_client.relations.outgoing import Outgoing
from kith_client.relations.peers import TheirLayer
from kith_client.relations.records import Channel, channels, invites, peers, their_items
from kith_client.stamp import of_kind
from kith_protocol.errors import KithError
from kith_protocol.relationship import RelationshipState
from tests.client.relations.people import Person, World

NAMES = ("Anna Beck", "Bob Kay", "Cleo Ray")
FACETS = st.sampled_from(("work", "private"))
WHO = st.sampled_from([name.split()[0].lower() for name in NAMES])
PROPS = st.sampled_from(("email", "tel", "title", "fn"))
ANY = st.integers(0, 10_000)


@cache
def fresh_world(acquainted: bool) -> World:
    world = World.of(*NAMES)
    for person in world.people.values():
        person.set_card("email", f"{person.name}@work", "work")
        person.set_card("tel", "+49 40 1234", "private")
    if acquainted:
        world.connect("anna", "bob", ("work",))
        world.connect("bob", "cleo", ("private",))
    return world


class ThreePeople(RuleBasedStateMachine):
    world: World

    @initialize(acquainted=st.booleans())
    def begin(self, acquainted: bool) -> None:
        self.world = copy.deepcopy(fresh_world(acquainted))
        self.links: list[tuple[str, str]] = []
        self.flying: list[tuple[Person, Outgoing]] = []
        self.views: dict[tuple[str, str], set[Property]] = {}
        self.texts: dict[tuple[str, str], set[str]] = {}
        self.versions: dict[tuple[str, bytes], dict[int, bytes]] = {}
        self.edits = 0

    def text(self) -> str:
        self.edits += 1
        return f"value {self.edits}"

    def pick_peer(self, person: Person, pick: int) -> bytes | None:
        mine = [peer.id for peer in peers(person.contents)]
        return mine[pick % len(mine)] if mine else None

    # What people do

    @rule(who=WHO, facet=FACETS)
    def invite(self, who: str, facet: str) -> None:
        self.links.append((who, self.world[who].invite(facet).link))

    @precondition(lambda self: self.links)
    @rule(who=WHO, pick=ANY, facet=FACETS)
    def accept(self, who: str, pick: int, facet: str) -> None:
        inviter, link = self.links[pick % len(self.links)]
        try:
            self.world[who].accept(link, self.world[inviter].server, facet)
        except KithError as refusal:
            self.expect(refusal, "self-invite", "already-connected", "already-accepted")
        except KeyError:
            pass  # the greeting is gone: the invite was used
        self.note_views(self.world[who])

    @rule(who=WHO, other=WHO, facet=FACETS)
    def invite_each_other(self, who: str, other: str, facet: str) -> None:
        self.invite(who, facet)
        self.invite(other, facet)
        self.accept(other, len(self.links) - 2, facet)
        self.accept(who, len(self.links) - 1, facet)

    @rule(who=WHO, prop=PROPS, facet=FACETS)
    def edit_card(self, who: str, prop: str, facet: str) -> None:
        person = self.world[who]
        facets = () if prop == "fn" else (facet,)
        person.set_card(prop, self.text(), *facets)
        self.note_views(person)

    @rule(who=WHO, pick=ANY, facet=FACETS, give=st.booleans())
    def grant_or_withdraw(self, who: str, pick: int, facet: str, give: bool) -> None:
        person = self.world[who]
        peer = self.pick_peer(person, pick)
        if peer is not None:
            try:
                (person.grant if give else person.withdraw)(peer, facet)
            except KithError as refusal:
                self.expect(refusal, "not-found")
            self.note_views(person)

    @rule(who=WHO, pick=ANY)
    def share_a_note(self, who: str, pick: int) -> None:
        person = self.world[who]
        peer = self.pick_peer(person, pick)
        if peer is not None:
            text = self.text()
            about = next(iter(of_kind(person.contents, "contact")))
            edit, note = add_note(person.stamp(), about, text, at=date(2026, 3, 1))
            person.commit(edit)
            person.commit(shares.share(person.contents, person.stamp(), note, peer))
            self.texts.setdefault((who, self.name_of(person, peer)), set()).add(text)

    @rule(who=WHO, pick=ANY, whole=st.booleans())
    def take_a_note_back(self, who: str, pick: int, whole: bool) -> None:
        person = self.world[who]
        shared = [(peer.id, note) for peer in peers(person.contents) for note in peer.shares if note in person.contents]
        if shared:
            peer, note = shared[pick % len(shared)]
            edit = remove_note(note) if whole else shares.unshare(person.contents, person.stamp(), note, peer)
            person.commit(edit)

    # What programs and networks do

    @rule(who=WHO)
    def sync(self, who: str) -> None:
        self.world.sync(self.world[who])

    @rule(who=WHO)
    def hand_over(self, who: str) -> None:
        person = self.world[who]
        waiting = {out.key for _, out in self.flying}
        self.flying += [(person, out) for out in person.to_send() if out.key not in waiting]

    @precondition(lambda self: self.flying)
    @rule(pick=ANY, again=st.booleans(), receipt=st.booleans())
    def a_put_arrives(self, pick: int, again: bool, receipt: bool) -> None:
        sender, out = self.flying[pick % len(self.flying)]
        status = self.world.server_at(out.host).put(out.put)
        if receipt:
            sender.receipt(out, status)
        if not again:
            self.flying.remove((sender, out))

    @precondition(lambda self: self.flying)
    @rule(pick=ANY)
    def a_put_is_lost(self, pick: int) -> None:
        del self.flying[pick % len(self.flying)]

    @rule(who=WHO, crash=st.booleans(), keep=st.integers(1, 4))
    def fetch_some(self, who: str, crash: bool, keep: int) -> None:
        person = self.world[who]
        person.serve()
        parcels = person.server.fetch(person.read_ids())
        person.rng.shuffle(parcels)
        if crash:
            take_in(person.contents, person.stamp(), parcels[:keep])  # and never committed
        else:
            person.take(parcels[:keep])

    @rule(who=WHO, pick=ANY)
    def a_server_gives_an_old_parcel_again(self, who: str, pick: int) -> None:
        person = self.world[who]
        mine = person.read_ids()
        old = [stored for stored in person.server.seen if stored.mailbox in mine]
        if old:
            person.take([old[pick % len(old)]])

    # What must hold

    def expect(self, refusal: KithError, *codes: str) -> None:
        if refusal.code not in codes:
            raise AssertionError(f"refused with {refusal.code}") from refusal

    def name_of(self, person: Person, peer: bytes) -> str:
        """Whose peer record this is."""
        wanted = person.contents[peer].value("person")
        return next(name for name, other in self.world.people.items() if other.id == wanted)

    def note_views(self, person: Person) -> None:
        for peer in peers(person.contents):
            key = (self.who(person), self.name_of(person, peer.id))
            self.views.setdefault(key, set()).update(view_of(person.contents, peer.id))

    def who(self, person: Person) -> str:
        return person.name.split()[0].lower()

    @invariant()
    def nobody_holds_what_was_never_granted(self) -> None:
        for person in self.world.people.values():
            self.note_views(person)
        for who, person in self.world.people.items():
            layer = TheirLayer(person.contents)
            for peer in peers(person.contents):
                sender = self.name_of(person, peer.id)
                held = {prop for prop, _ in layer.properties(peer.contact)}
                assert held <= self.views.get((sender, who), set())
            for note in layer.notes():
                sender = next(n for n, other in self.world.people.items() if other.id.hex() == note.peer)
                assert note.text in self.texts[sender, who]

    @invariant()
    def no_item_goes_back_or_has_two_contents(self) -> None:
        for who, person in self.world.people.items():
            for item in their_items(person.contents):
                seen = self.versions.setdefault((who, item.id), {})
                assert item.version >= max(seen, default=0)
                assert seen.setdefault(item.version, item.digest) == item.digest

    def teardown(self) -> None:
        if not hasattr(self, "links"):
            return
        self.world.settle()
        # Everything that the network still held arrives late, and every server gives all old parcels once more.
        for sender, out in self.flying:
            sender.receipt(out, self.world.server_at(out.host).put(out.put))
        for person in self.world.people.values():
            person.take([old for old in person.server.seen if old.mailbox in person.read_ids()])
        self.world.settle()
        self.no_item_goes_back_or_has_two_contents()
        self.nobody_holds_what_was_never_granted()
        for who, person in self.world.people.items():
            for peer in peers(person.contents):
                self.check_pair(who, self.name_of(person, peer.id))

    def check_pair(self, who: str, other: str) -> None:
        one, two = self.world[who], self.world[other]
        mine = [c for c in channels(one.contents) if self.name_of(one, c.peer) == other and not c.ended]
        theirs = [
            c
            for c in channels(two.contents)
            if self.name_of(two, c.peer) == who and c.state is RelationshipState.CONNECTED
        ]
        connected = [c for c in mine if c.state is RelationshipState.CONNECTED]
        if not connected:
            self.check_why_not(one, two, mine, theirs)
            return
        assert len(mine) == len(connected) == len(theirs) == 1
        secrets = {c.established.rs for c in (*mine, *theirs) if c.established is not None}
        assert len(secrets) == 1
        peer = next(p for p in peers(one.contents) if p.id == mine[0].peer)
        held = [prop for prop, _ in TheirLayer(one.contents).properties(peer.contact)]
        assert held == two.shows_to_person(one.id)
        notes = {note.text for note in TheirLayer(one.contents).notes() if note.peer == two.id.hex()}
        assert notes == two.notes_for(one.id)

    def check_why_not(self, one: Person, two: Person, mine: list[Channel], theirs: list[Channel]) -> None:
        """Only who came second to an invite may wait on."""
        assert not theirs
        secrets = {c.pending.invite_secret for c in mine if c.pending is not None}
        used = {i.own.secret for i in invites(two.contents) if i.answer is not None}
        assert secrets <= used


ThreePeople.TestCase.settings = settings(
    max_examples=50, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
test_three_people = ThreePeople.TestCase
