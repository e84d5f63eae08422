"""`kith note`, `due`, `me`, `circle`, `issues`, as documented."""

from __future__ import annotations

import base64

from kith_client.book.contacts import set_property
from kith_client.book.parts import cut
from kith_protocol.merge import merge
from tests.client.cli.kith import Kith, keys, lines


def test_notes_for_people_and_programs(kith: Kith) -> None:
    (carla,) = kith.add("Carla Ruiz")
    said = kith("note", "add", "Carla", "met at PyCon", "--kind", "met", "--at", "2026-11-01", "--remind", "in 3 weeks")
    assert said.out == ""
    assert said.err.endswith("Reminder on 2026-12-14.\n")
    (note,) = kith.do("note", "list")["notes"]
    assert note == {
        "id": note["id"],
        "contact": carla,
        "name": "Carla Ruiz",
        "kind": "met",
        "at": "2026-11-01",
        "text": "met at PyCon",
        "remind": "2026-12-14",
        "from": "me",
    }
    table = lines(kith("note", "list", "carla").out)
    assert table == [
        "ID CONTACT KIND DATE TEXT REMIND",
        f"{note['id'][:8]} Carla Ruiz met 2026-11-01 met at PyCon 2026-12-14",
    ]
    kith.do("note", "rm", note["id"][:6])
    assert kith.do("note", "list") == {"notes": []}


def test_a_note_may_come_from_standard_input_so_that_no_process_list_shows_it(kith: Kith) -> None:
    kith.add("Carla")
    kith.do("note", "add", "carla", "-", given="a secret\nnot this\n")
    assert [note["text"] for note in kith.do("note", "list")["notes"]] == ["a secret"]
    assert kith.fail("note", "add", "carla", "-", code=2)[0] == "usage"


def test_a_bad_date_or_kind_is_said_before_anything_is_kept(kith: Kith) -> None:
    kith.add("Carla")
    assert kith.fail("note", "add", "carla", "x", "--remind", "some day")[0] == "bad-value"
    assert kith.fail("note", "add", "carla", "x", "--kind", "gossip", code=2)[0] == "usage"
    assert kith.do("note", "list") == {"notes": []}


def test_due_has_reminders_and_birthdays(kith: Kith) -> None:
    (carla,) = kith.add("Carla")
    kith.do("set", "carla", "bday", "1990-11-25")
    note = kith.do("note", "add", "carla", "call her", "--remind", "tomorrow")["id"]
    assert kith.do("due")["due"] == [
        {"contact": carla, "name": "Carla", "why": "reminder", "at": "2026-11-24", "text": "call her", "note": note},
        {"contact": carla, "name": "Carla", "why": "birthday", "at": "2026-11-25", "text": "turns 36", "note": None},
    ]
    assert lines(kith("due", "--within", "1d").out)[1:] == ["2026-11-24 Carla reminder call her"]
    kith.do("note", "done", note)
    assert kith("due", "--within", "1d").err == "Nothing is due.\n"


def test_my_card_with_its_facets(kith: Kith) -> None:
    kith.do("me", "set", "email", "a@work", "--facet", "Work")
    said = kith("me", "set", "tel", "1111")
    assert "nobody sees it" in said.err
    card = kith.do("me")["properties"]
    assert keys(card) == {"id", "name", "value", "params", "facets"}
    assert [(prop["name"], prop["value"], prop["facets"]) for prop in card] == [
        ("FN", "Anna Beck", []),
        ("N", "Beck;Anna;;;", []),
        ("EMAIL", "a@work", ["work"]),
        ("TEL", "1111", []),
    ]
    shown = lines(kith("me").out)
    assert shown[1] == "fn FN Anna Beck (every peer)"
    assert shown[4].endswith("TEL 1111 (nobody)")
    kith.do("me", "unset", "tel")
    assert len(kith.do("me")["properties"]) == 3
    assert kith.fail("me", "unset", "fn")[0] == "not-allowed"


def test_circles(kith: Kith) -> None:
    anna, carla = kith.add("Anna", "Carla")
    answer = kith.do("circle", "add", "Fencing", "anna", "carla")
    assert answer == {"circles": [{"name": "Fencing", "contacts": sorted([anna, carla]), "facets": []}]}
    kith.do("me", "set", "tel", "1", "--facet", "private")
    assert kith.do("grant", "fencing", "private") == {"views": {}}
    assert lines(kith("circle").out)[1].startswith("Fencing ")
    assert kith.do("circle", "remove", "fencing", "anna")["circles"][0]["contacts"] == [carla]
    assert kith.fail("circle", "remove", "fencing", "anna")[0] == "not-found"
    assert kith.do("circle", "remove", "fencing") == {"circles": []}
    assert kith.fail("circle", "remove", "fencing")[0] == "not-found"


def in_conflict(kith: Kith) -> str:
    book = kith.book
    anna = bytes.fromhex(kith.do("add", "Anna", "--tel", "0000")["id"])
    here = set_property(book.contents, book.stamp(), anna, "tel", "1111")[0][anna]
    book.now += 5
    there = set_property(book.contents, book.stamp(), anna, "tel", "2222")[0][anna]
    book.put({anna: merge(book.contents[anna], here, there, latest=book.now + 10).content})
    issue: str = kith.do("issues")["issues"][0]["id"]
    return issue


def test_a_conflict_is_listed_shown_and_settled(kith: Kith) -> None:
    issue = in_conflict(kith)
    assert kith.do("issues")["issues"] == [
        {"id": issue, "kind": "conflict", "text": "Anna: two values of tel", "values": ["2222", "1111"]}
    ]
    assert lines(kith("issues").out)[1] == f"{issue[:8]} conflict Anna: two values of tel 2222 | 1111"
    shown = kith.do("issues", "show", issue[:8])
    assert [(each["which"], each["value"]) for each in shown["versions"]] == [("current", "2222"), ("other", "1111")]
    assert kith.fail("issues", "resolve", issue)[0] == "bad-value"
    kith.do("issues", "resolve", issue, "--keep", "both")
    assert kith.do("issues") == {"issues": []}
    assert kith.do("list")["contacts"][0]["phones"] == ["2222", "1111"]


def test_set_aside_bytes_are_shown_to_the_byte(kith: Kith) -> None:
    source = b"BEGIN:VCARD\r\n\xff\xfe\r\n"
    kith.book.put(cut(kith.book.stamp(), "set-aside", "source", source, {"reason": "bad", "file": "a.vcf", "line": 3}))
    (issue,) = kith.do("issues")["issues"]
    assert (issue["kind"], issue["text"], issue["values"]) == ("set_aside", "a.vcf, line 3: bad", [])
    assert base64.b64decode(kith.do("issues", "show", issue["id"])["source_base64"]) == source
    kith.do("issues", "resolve", issue["id"])
    assert kith("issues").err == "Nothing waits for you.\n"
