"""Relationships, decided: contents and parcels in, edits and things to send out. Doing it is left to `sync`.

One round of a sync: `server_side` says what the home server must hold; `take_in` what fetched parcels change;
`plan_shares` which versions peers are to have; then, all of that committed, `outgoing` what to put where, and
`receipted` what a sealed receipt changes.

What has rules of its own stands in a package of its own: `introductions`, `guardians`, `requests` (of strangers who
answered a printed card or an address), `theft` (taking relationships back).
"""
