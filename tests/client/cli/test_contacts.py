"""`kith list`, `show`, `add`, `set`, `unset`, `rm`, `log`, as documented."""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise

from tests.client.cli.kith import Kith, keys, lines


def test_add_list_and_show_for_people(kith: Kith) -> None:
    said = kith("add", "Anna Beck", "--email", "anna@x.org", "--tel", "+49 40 1234", "--org", "ACME;Lab")
    assert (said.code, said.out) == (0, "")
    assert re.fullmatch(r"Added Anna Beck \([0-9a-f]{8}\)\.\n", said.err)
    table = lines(kith("list").out)
    assert table[0] == "ID NAME E-MAIL PHONE ORGANISATION"
    assert re.fullmatch(r"[0-9a-f]{8} Anna Beck anna@x\.org \+49 40 1234 ACME, Lab", table[1])
    shown = lines(kith("show", "anna").out)
    assert re.fullmatch(r"Anna Beck \([0-9a-f]{32}\)", shown[0])
    assert shown[2:4] == ["fn FN Anna Beck me", "n N Beck;Anna;;; me"]
    assert re.fullmatch(r"email-[0-9a-f]{12} EMAIL anna@x\.org me", shown[4])


def test_an_empty_book_says_what_to_do(kith: Kith) -> None:
    said = kith("list")
    assert (said.code, said.out) == (0, "")
    assert "kith import" in said.err


def test_the_documents_have_the_keys_of_the_contract(kith: Kith) -> None:
    anna = kith.do("add", "Anna Beck", "--email", "a@x.org", "--email", "b@x.org", "--property", "x-skype", "anna")
    assert re.fullmatch(r"[0-9a-f]{32}", anna["id"])
    kith.do("circle", "add", "Fencing", "anna")
    kith.do("note", "add", "anna", "text")
    kith.do("set", "anna", "email", "c@x.org", "--add")
    kith.do("unset", "anna", "email", "a@x.org")
    (row,) = kith.do("list")["contacts"]
    assert row == {
        "id": anna["id"],
        "name": "Anna Beck",
        "emails": ["b@x.org", "c@x.org"],
        "phones": [],
        "org": "",
        "circles": ["Fencing"],
        "peer": None,
        "from": "me",
    }
    page = kith.do("show", anna["id"])
    assert {"id", "name", "properties", "notes", "circles", "trust", "history"} <= set(page)
    assert keys(page["properties"]) == {"id", "name", "value", "params", "from"}
    assert {prop["from"] for prop in page["properties"]} == {"me"}
    assert [note["text"] for note in page["notes"]] == ["text"]
    assert [each["what"] for each in page["history"]] == ["email was a@x.org"]
    assert (page["circles"], page["trust"], page["peer"]) == (["Fencing"], None, None)


def test_values_are_shown_without_escapes_and_types_as_parameters(kith: Kith) -> None:
    kith.add("Anna")
    kith.do("set", "anna", "note", "one, two; three\nfour")
    kith.do("set", "anna", "tel", "1111", "--type", "work", "--type", "voice")
    shown = {prop["name"]: prop for prop in kith.do("show", "anna")["properties"]}
    assert shown["NOTE"]["value"] == "one, two; three\nfour"
    assert shown["TEL"]["params"] == {"TYPE": ["work", "voice"]}


def test_set_with_several_exits_1_and_lists_their_ids(kith: Kith) -> None:
    kith.do("add", "Anna", "--tel", "1111", "--tel", "2222")
    code, text = kith.fail("set", "anna", "tel", "3333")
    assert code == "ambiguous"
    found = re.findall(r"(tel-[0-9a-f]{12})  (\d+)", text)
    assert [value for _, value in found] == ["1111", "2222"]
    kith.do("set", "anna", found[1][0], "3333")
    assert kith.do("list")["contacts"][0]["phones"] == ["1111", "3333"]


def test_several_matches_are_listed_for_people_and_programs(kith: Kith) -> None:
    ids = kith.add("Anna Beck", "Anna Ruiz")
    code, text = kith.fail("show", "anna")
    assert code == "ambiguous"
    assert all(f"{full[:8]}  {name}" in text for full, name in zip(ids, ("Anna Beck", "Anna Ruiz"), strict=True))
    matches = kith("show", "anna", "--json").document["matches"]
    assert {match["name"] for match in matches} == {"Anna Beck", "Anna Ruiz"}


def test_an_unknown_contact_exits_1_and_says_where_to_look(kith: Kith) -> None:
    for command in (["show"], ["rm"], ["set", "x", "y"], ["note", "add", "x"], ["unset", "x"]):
        words = command if len(command) == 1 else [command[0], *command[1:]]
        args = [words[0], "Nobody", *words[1:]] if words[0] != "note" else ["note", "add", "Nobody", "x"]
        code, text = kith.fail(*args)
        assert (code, text) == ("not-found", "No contact matches 'Nobody'. 'kith list' shows them all.")


def test_rm_asks_nobody_where_nobody_sits_and_the_log_tells(kith: Kith) -> None:
    kith.add("Anna", "Carla")
    said = kith("rm", "anna")
    assert (said.code, said.out, said.err) == (0, "", "Removed Anna.\n")
    assert [row["name"] for row in kith.do("list")["contacts"]] == ["Carla"]
    assert [event["what"] for event in kith.do("log")["events"]] == [
        "added contact Anna",
        "added contact Carla",
        "removed contact Anna",
    ]


def test_the_log_of_one_contact_has_its_events_and_what_was_replaced(kith: Kith) -> None:
    kith.add("Anna", "Carla")
    kith.do("set", "carla", "tel", "1")
    kith.do("set", "anna", "tel", "1")
    kith.do("set", "anna", "tel", "2")
    events = kith.do("log", "anna")["events"]
    assert [event["what"] for event in events] == [
        "added contact Anna",
        "set tel of Anna",
        "set tel of Anna",
        "tel was 1",
    ]
    assert keys(events) == {"at", "what", "by"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["at"]) for event in events)
    assert "\x1f" not in kith("log").out


def test_a_list_is_cut_to_size_and_the_page_of_one_contact_is_not(kith: Kith) -> None:
    kith.do("add", "Anna", "--org", "x" * 500)
    assert max(map(len, kith("list").out.splitlines())) < 120
    assert "x" * 500 in kith("show", "anna").out


def test_a_contact_cannot_drive_the_terminal(kith: Kith) -> None:
    kith.do("add", "Eve\x1b]0;owned\x07\u202etxt", "--email", "e\x9b31m@x.org")
    kith.do("note", "add", "eve", "a\x1b[2Jb\nc")
    for command in (["list"], ["show", "eve"], ["note", "list"], ["log"], ["list", "--json"], ["export", "--json"]):
        said = kith(*command)
        assert said.code == 0
        assert not set("\x1b\x07\x9b\u202e") & set(said.out + said.err), command


def test_a_picture_is_taken_from_a_file_and_kept_apart(kith: Kith, tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "me.jpg"
    path.write_bytes(b"\xff\xd8\xff" + bytes(5000))
    kith.add("Anna")
    kith.do("set", "anna", "photo", str(path))
    (value,) = (prop["value"] for prop in kith.do("show", "anna")["properties"] if prop["name"] == "PHOTO")
    assert value.startswith("kith:photo:")
    (card,) = kith.do("export", "anna")["contacts"]
    assert "PHOTO:data:image/jpeg;base64,/9j/" in card.replace("\r\n ", "")
    path.write_bytes(b"GIF")
    assert kith.fail("set", "anna", "photo", str(path))[0] == "unreadable-file"
    assert kith.fail("set", "anna", "photo", str(path) + "x")[0] == "file"


def test_options_may_stand_before_or_after_the_command(kith: Kith) -> None:
    kith.add("Anna")
    for args in (("--json", "list"), ("list", "--json"), ("--json", "list", "anna"), ("--yes", "list", "--json")):
        assert kith(*args).document["ok"] is True
    assert kith("note", "--json", "list").document == {"ok": True, "notes": []}
    assert kith("circle", "--json").document == {"ok": True, "circles": []}


def test_a_birthday_in_words_is_stored_as_a_date(kith: Kith) -> None:
    kith.do("add", "Carla", "--bday", "yesterday")
    kith.do("set", "carla", "anniversary", "tomorrow")
    kith.do("me", "set", "bday", "today", "--facet", "family")
    shown = {prop["name"]: prop["value"] for prop in kith.do("show", "carla")["properties"]}
    mine = {prop["name"]: prop["value"] for prop in kith.do("me")["properties"]}
    dates = [date.fromisoformat(text) for text in (shown["BDAY"], mine["BDAY"], shown["ANNIVERSARY"])]
    assert [(after - before).days for before, after in pairwise(dates)] == [1, 1]
