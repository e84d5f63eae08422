"""Commands about peers, on the address books of people who really are connected."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from kith_client.book.layers import peer_id
from kith_client.qr import read_qr, write_png
from kith_client.relations.draft import Draft
from kith_client.relations.verify import mark_verified_by_code, safety_code_of, safety_number_of
from kith_protocol.codes import safety_code
from kith_protocol.content import Content
from tests.client.cli.kith import Kith, keys, lines
from tests.client.relations.people import Person, World
from tests.support.memory_book import MemoryBook
from tests.support.photos import photographed, picture


@pytest.fixture(scope="module")
def connected() -> World:
    """Anna invited Bob; both see each other's names."""
    world = World.of("Anna Beck", "Bob Klein")
    world["anna"].set_card("email", "anna@work", "work")
    world["anna"].set_card("tel", "1111", "private")
    world["bob"].set_card("tel", "2222", "private")
    world.connect("anna", "bob", ("work",))
    world["bob"].grant(world["bob"].peer_named("Anna Beck"), "private")
    world.settle()
    return world


@pytest.fixture
def anna(kith: Kith, connected: World) -> Kith:
    """`kith` of Anna."""
    kith.book = MemoryBook(records=dict(connected["anna"].contents), now=connected["anna"].now + 1000)
    return kith


def person(kith: Kith) -> str:
    record = next(record for record, content in kith.book.contents.items() if content.kind == "peer")
    return peer_id(kith.book.contents, record)


def test_peers_are_listed(anna: Kith) -> None:
    (peer,) = anna.do("peers")["peers"]
    assert {"id", "contact", "name", "host", "state", "trust", "facets", "updated"} <= set(peer)
    assert peer["id"] == person(anna)
    assert (peer["name"], peer["host"], peer["state"], peer["trust"]) == (
        "Bob Klein",
        "bob.example",
        "connected",
        "unverified",
    )
    assert peer["facets"] == ["work"]
    assert peer["named_by"] == "peer"
    shown = "Bob Klein (the peer's own word) bob.example connected unverified work"
    assert lines(anna("peers").out)[1] == f"{peer['id'][:8]} {shown}"


def test_peers_marks_what_a_peer_calls_itself_and_not_what_i_call_it(anna: Kith) -> None:
    anna.do("set", "bob", "fn", "Bobby")
    (peer,) = anna.do("peers")["peers"]
    assert (peer["name"], peer["named_by"]) == ("Bobby", "me")
    assert "own word" not in anna("peers").out


def test_what_a_peer_shares_stands_beside_what_i_know(anna: Kith) -> None:
    anna.do("set", "bob", "tel", "3333")
    (row,) = (row for row in anna.do("list")["contacts"] if row["peer"])
    assert (row["name"], row["phones"], row["peer"]) == ("Bob Klein", ["3333", "2222"], person(anna))
    page = anna.do("show", "bob")
    assert [(prop["value"], prop["from"]) for prop in page["properties"] if prop["name"] == "TEL"] == [
        ("3333", "me"),
        ("2222", person(anna)),
    ]
    assert page["trust"] == "unverified"
    assert any("TEL 2222 peer" in line for line in lines(anna("show", "bob").out))


def test_grant_and_withdraw_answer_with_the_view_that_preview_shows(anna: Kith) -> None:
    before = [{"name": "FN", "value": "Anna Beck"}, {"name": "EMAIL", "value": "anna@work"}]
    assert anna.do("preview", "bob") == {"view": before, "shared": []}
    granted = anna.do("grant", "Bob", "private")
    after = [*before, {"name": "TEL", "value": "1111"}]
    assert granted == {"views": {person(anna): after}}
    assert anna.do("preview", "bob")["view"] == after
    assert anna.do("withdraw", "bob", "private") == {"views": {person(anna): before}}
    assert lines(anna("preview", "bob").out) == ["PROPERTY VALUE", "FN Anna Beck", "EMAIL anna@work"]
    said = anna("grant", "bob", "private")
    assert said.err == "Granted.\n"
    assert lines(said.out)[0] == "Bob Klein sees:"


def test_a_facet_that_does_not_exist_or_was_not_granted_is_refused(anna: Kith) -> None:
    code, text = anna.fail("grant", "bob", "famly")
    assert code == "not-found"
    assert "private, work" in text
    assert "Granted are: work." in anna.fail("withdraw", "bob", "private")[1]
    assert anna.fail("grant", "Nobody", "work")[0] == "not-found"


def test_what_is_shared_is_named_and_shown_in_the_preview(anna: Kith) -> None:
    (carla,) = anna.add("Carla")
    note = anna.do("note", "add", "carla", "likes fencing")["id"]
    assert anna.do("share", "note", note[:6], "--with", "bob") == {"version": 1}
    assert anna.do("share", "card", "carla", "--with", "bob") == {"version": 1}
    shared = anna.do("preview", "bob")["shared"]
    assert keys(shared) == {"kind", "id", "name", "version"}
    assert {each["kind"]: each.get("text") for each in shared} == {"note": "likes fencing", "card": None}
    assert {(each["kind"], each["id"], each["name"]) for each in shared} == {
        ("note", note, "Carla"),
        ("card", carla, "Carla"),
    }
    anna.do("unshare", "note", note, "--with", "bob")
    assert [each["kind"] for each in anna.do("preview", "bob")["shared"]] == ["card"]
    assert anna.fail("unshare", "note", note, "--with", "bob")[0] == "not-found"
    assert anna.fail("share", "photo", "carla", "--with", "bob", code=2)[0] == "usage"
    assert anna.fail("share", "card", "bob", "--with", "bob")[0] == "not-allowed"


def test_preview_shows_the_properties_of_a_shared_card_and_none_that_stays_here(anna: Kith) -> None:
    anna.do("add", "Carla Ruiz", "--email", "carla@example.org", "--property", "note", "owes me a book")
    anna.do("share", "card", "carla", "--with", "bob")
    (shared,) = anna.do("preview", "bob")["shared"]
    values = {prop["name"]: prop["value"] for prop in shared["properties"]}
    assert values["EMAIL"] == "carla@example.org"
    assert "NOTE" not in values
    assert "UID" not in values
    said = lines(anna("preview", "bob").out)
    assert "The card of Carla Ruiz as the peer has it:" in said
    assert "EMAIL carla@example.org" in said[said.index("The card of Carla Ruiz as the peer has it:") :]
    assert "owes me a book" not in anna("preview", "bob").out


def test_withdraw_says_what_disappears_where_before_it_is_done(anna: Kith) -> None:
    said = anna("withdraw", "bob", "work")
    assert said.err.splitlines() == [
        "At the next syncs this disappears from the address book of Bob Klein: EMAIL anna@work.",
        "What was read or copied stays with them.",
        "Withdrawn.",
    ]


def test_a_withdrawal_that_takes_nothing_away_does_not_say_that_it_does(anna: Kith) -> None:
    anna.do("circle", "add", "Friends", "bob")
    anna.do("grant", "Friends", "work")
    said = anna("withdraw", "bob", "work")
    assert "disappears" not in said.err
    assert "still sees it through: Friends" in said.err


def test_unshare_says_what_disappears_where_before_it_is_done(anna: Kith) -> None:
    anna.add("Carla")
    anna.do("share", "card", "carla", "--with", "bob")
    said = anna("unshare", "card", "carla", "--with", "bob").err.splitlines()
    assert said[0] == (
        "At the next syncs the card disappears from the address book of Bob Klein. What was read or copied stays there."
    )
    assert said[1] == "Taken back from Bob Klein at the next sync."


def test_a_note_of_a_peer_is_not_mine_to_remove_and_the_error_says_whose_it_is(kith: Kith) -> None:
    world = World.of("Anna Beck", "Bob Klein")
    world.connect("anna", "bob")
    one, bob = world["anna"], world["bob"]
    kith.book = MemoryBook(records=bob.contents, now=bob.now + 1000)
    kith.add("Carla")
    note = kith.do("note", "add", "carla", "likes fencing")["id"]
    kith.do("share", "note", note, "--with", "anna")
    bob.now = kith.book.now
    world.settle()
    kith.book = MemoryBook(records=one.contents, now=one.now + 1000)
    (theirs,) = kith.do("note", "list")["notes"]
    for command in ("rm", "done"):
        code, text = kith.fail("note", command, theirs["id"][:8])
        assert code == "not-allowed"
        assert text.startswith("This note is Bob Klein's: it can only be read")
        assert "kith forget" in text


def test_removing_a_note_says_who_loses_it_and_the_log_whom_it_was_about(anna: Kith) -> None:
    anna.add("Carla")
    note = anna.do("note", "add", "carla", "likes fencing", "--remind", "tomorrow")["id"]
    anna.do("note", "done", note)
    anna.do("share", "note", note, "--with", "bob")
    assert "disappears from the address book of Bob Klein too" in anna("note", "rm", note).err
    assert [each["what"] for each in anna.do("log", "carla")["events"]] == [
        "added contact Carla",
        "added a note on Carla",
        "settled a reminder on Carla",
        "shared a note on Carla with Bob Klein",
        "removed a note on Carla",
    ]


def test_versions_go_on_with_the_relationship(kith: Kith) -> None:
    world = World.of("Anna Beck", "Bob Klein")
    world.connect("anna", "bob")
    one = world["anna"]

    def run(*args: str) -> int:
        kith.book = MemoryBook(records=one.contents, now=one.now + 1000)
        version: int = kith.do(*args)["version"]
        one.now = kith.book.now
        world.settle()
        return version

    kith.book = MemoryBook(records=one.contents, now=one.now + 1000)
    kith.add("Carla")
    versions = [run(word, "card", "carla", "--with", "bob") for word in ("share", "unshare", "share", "unshare")]
    assert versions == [1, 2, 3, 4]


def test_a_card_that_a_peer_shares_is_listed_and_can_only_be_read(kith: Kith) -> None:
    world = World.of("Anna Beck", "Bob Klein")
    world.connect("anna", "bob")
    one, bob = world["anna"], world["bob"]
    kith.book = MemoryBook(records=one.contents, now=one.now + 1000)
    kith.do("add", "Carla Ruiz", "--tel", "5555")
    note = kith.do("note", "add", "carla", "likes fencing", "--remind", "tomorrow")["id"]
    kith.do("share", "card", "carla", "--with", "bob")
    kith.do("share", "note", note, "--with", "bob")
    world.settle()
    kith.book = MemoryBook(records=bob.contents, now=bob.now + 1000)
    (row,) = (row for row in kith.do("list")["contacts"] if row["from"] != "me")
    assert (row["name"], row["phones"], row["from"]) == ("Carla Ruiz", ["5555"], person(kith))
    assert kith.do("show", "carla")["properties"][0]["from"] == person(kith)
    assert kith.fail("set", "carla", "tel", "1")[0] == "not-found"
    (shared,) = kith.do("note", "list")["notes"]
    assert (shared["text"], shared["name"], shared["remind"]) == ("likes fencing", "Carla Ruiz", None)
    assert shared["from"] == person(kith)


def test_safety_numbers_are_compared(anna: Kith, connected: World) -> None:
    number = anna.do("verify", "bob")["safety_number"]
    assert len(number.replace(" ", "")) == 60
    wrong = ("1" if number[0] != "1" else "2") + number[1:]
    assert anna.fail("verify", "bob", "--number", wrong)[0] == "safety-number-differs"
    assert anna.do("verify", "bob", "--number", "-", given=number + "\n")["trust"] == "verified"
    assert anna.do("peers")["peers"][0]["trust"] == "verified"
    assert anna.do("issues")["issues"] == [], "the agreement settles what the first comparison left"
    assert anna.fail("verify", "bob", "--number", wrong)[0] == "safety-number-differs"
    assert anna.do("peers")["peers"][0]["trust"] == "unverified", "a mismatch is remembered"
    (issue,) = anna.do("issues")["issues"]
    assert issue["kind"] == "alarm"
    assert "safety number" in issue["text"]
    assert "Read all 60 digits once more" in issue["text"]
    assert any("another safety number" in event["what"] for event in anna.do("log")["events"])
    anna.book = MemoryBook(records=dict(connected["bob"].contents))
    assert anna.do("verify", "anna")["safety_number"] == number


def test_invites_are_listed_and_revoked_without_showing_used_links(kith: Kith) -> None:
    world = World.of("Anna Beck", "Bob Klein")
    one = world["anna"]
    used, unused = one.invite("work"), one.invite()
    world["bob"].accept(used.link, one.server)
    world.settle()
    kith.book = MemoryBook(records=dict(one.contents), now=one.now)
    invites = {invite["id"]: invite for invite in kith.do("invites")["invites"]}
    assert invites[used.id.hex()]["state"] == "used"
    assert invites[used.id.hex()]["link"] is None
    assert invites[unused.id.hex()]["link"] == unused.link
    assert unused.link not in kith("invites").out
    kith.do("invites", "revoke", unused.id.hex()[:8])
    assert {invite["state"] for invite in kith.do("invites")["invites"]} == {"used", "revoked"}
    assert kith.fail("invites", "revoke", used.id.hex())[0] == "invite-used"


def test_the_contact_of_a_peer_can_be_removed_only_when_the_relationship_has_ended(anna: Kith) -> None:
    assert anna.fail("rm", "bob")[0] == "not-allowed"
    record, channel = next(item for item in anna.book.contents.items() if item[1].kind == "channel")
    ended = Content("channel", {**channel.units, "state": anna.book.stamp().unit("ended")})
    anna.book.put({record: ended})
    anna.do("rm", "bob")
    assert anna.do("list") == {"contacts": []}


def test_a_picture_on_my_card_reaches_those_who_may_see_it(kith: Kith, tmp_path: Path) -> None:
    world = World.of("Anna Beck", "Bob Klein")
    world.connect("anna", "bob")
    one, bob = world["anna"], world["bob"]
    path = tmp_path / "me.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    kith.book = MemoryBook(records=one.contents, now=one.now + 1000)
    kith.do("me", "set", "photo", str(path), "--facet", "private")
    kith.do("grant", "bob", "private")
    assert [each["name"] for each in kith.do("preview", "bob")["view"]] == ["FN", "PHOTO"]
    one.now = kith.book.now
    world.settle()
    kith.book = MemoryBook(records=bob.contents, now=bob.now + 1000)
    (card,) = kith.do("export", "anna")["contacts"]
    picture = card.replace("\r\n ", "").partition("PHOTO:data:image/png;base64,")[2].partition("\r\n")[0]
    assert base64.b64decode(picture) == path.read_bytes()


def screen(of: Person, name: str, folder: Path) -> str:
    """A photograph of what somebody's `kith verify NAME` shows."""
    path = folder / f"{of.name}.jpg"
    photographed(picture(safety_code_of(of.contents, of.peer_named(name))), 1).save(path, quality=70)
    return str(path)


def test_a_photograph_of_the_other_screen_verifies(anna: Kith, connected: World, tmp_path: Path) -> None:
    done = anna.do("verify", "bob", "--photo", screen(connected["bob"], "Anna Beck", tmp_path))
    assert done["trust"] == "verified"
    assert anna.do("peers")["peers"][0]["trust"] == "verified"


def test_the_written_code_is_what_the_other_side_takes(anna: Kith, connected: World, tmp_path: Path) -> None:
    anna.do("verify", "bob", "--qr", str(tmp_path / "mine.png"))
    assert anna.fail("verify", "bob", "--qr", str(tmp_path / "mine.png"))[0] == "file-exists"
    assert "--photo FILE" in anna("verify", "bob").err
    bob = connected["bob"]
    edit = mark_verified_by_code(bob.contents, bob.stamp(), bob.peer_named("Anna Beck"), read_qr(tmp_path / "mine.png"))
    (verified,) = edit.values()
    assert verified is not None
    assert verified.value("trust") == "verified"


def test_a_photograph_of_my_own_screen_is_refused_since_it_would_always_agree(
    anna: Kith, connected: World, tmp_path: Path
) -> None:
    mine = screen(connected["anna"], "Bob Klein", tmp_path)
    assert anna.fail("verify", "bob", "--photo", mine)[0] == "own-safety-code"
    assert anna.do("peers")["peers"][0]["trust"] == "unverified"
    assert anna.do("issues") == {"issues": []}


def test_a_photograph_of_another_screen_is_what_other_digits_are(anna: Kith, tmp_path: Path) -> None:
    """Mallory sits between Anna and the true Bob: what Bob shows is of another person than Anna's peer."""
    other = World.of("Mallory", "Bob Klein", seed=7)
    other.connect("mallory", "bob")
    seen = screen(other["bob"], "Mallory", tmp_path)
    assert anna.fail("verify", "bob", "--photo", seen)[0] == "safety-number-differs"
    by_photo = [issue["text"] for issue in anna.do("issues")["issues"]]
    anna.book = MemoryBook(records=dict(anna.book.contents), now=anna.book.now)
    assert anna.fail("verify", "bob", "--number", "1" * 60)[0] == "safety-number-differs"
    assert [issue["text"] for issue in anna.do("issues")["issues"]] == by_photo
    assert anna.do("peers")["peers"][0]["trust"] == "unverified"


def test_an_agreement_settles_the_mismatch_of_this_peer_and_no_other_alarm(
    anna: Kith, connected: World, tmp_path: Path
) -> None:
    assert anna.fail("verify", "bob", "--number", "1" * 60)[0] == "safety-number-differs"
    draft = Draft(anna.book.contents, anna.book.stamp())
    bob = connected["anna"].peer_named("Bob Klein")
    draft.tell("alarm", bob, "Bob put two different things into one place.")
    draft.tell("alarm", bytes(16), "Another peer's numbers differed.", code="safety-number-differs")
    anna.book.put({record: content for record, content in draft.edit.items() if content is not None})
    anna.do("verify", "bob", "--photo", screen(connected["bob"], "Anna Beck", tmp_path))
    texts = {issue["text"] for issue in anna.do("issues")["issues"]}
    assert texts == {"Bob put two different things into one place.", "Another peer's numbers differed."}


def test_a_true_number_under_another_persons_id_is_refused(anna: Kith, connected: World, tmp_path: Path) -> None:
    number = safety_number_of(connected["anna"].contents, connected["anna"].peer_named("Bob Klein"))
    write_png(safety_code(number, bytes(32)).text, tmp_path / "odd.png")
    assert anna.fail("verify", "bob", "--photo", str(tmp_path / "odd.png"))[0] == "safety-number-differs"


def test_number_and_photo_together_are_a_slip(anna: Kith) -> None:
    assert anna.fail("verify", "bob", "--number", "1", "--photo", "x.png", code=2)[0] == "usage"
