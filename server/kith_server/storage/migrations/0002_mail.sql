-- Mailboxes, greetings, the relay's queue and the gateway's keys. Times are milliseconds since 1970.

-- A vault's mailboxes. `mailbox` is the write id, by which a put finds the vault.
CREATE TABLE mailboxes (
    vault BLOB NOT NULL REFERENCES vaults ON DELETE CASCADE,
    read_id BLOB NOT NULL,
    mailbox BLOB NOT NULL UNIQUE,
    deposit_key BLOB NOT NULL,
    kind INTEGER NOT NULL,
    PRIMARY KEY (vault, read_id)
) STRICT, WITHOUT ROWID;

-- How many parcels a vault ever got: gives each its place in the order of arrival, which no other vault can disturb.
CREATE TABLE arrivals (
    vault BLOB PRIMARY KEY NOT NULL REFERENCES vaults ON DELETE CASCADE,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What waits for the vault's devices.
CREATE TABLE parcels (
    id INTEGER PRIMARY KEY,
    vault BLOB NOT NULL,
    arrival INTEGER NOT NULL,
    read_id BLOB NOT NULL,
    slot BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    hash BLOB NOT NULL,
    size INTEGER NOT NULL,
    arrived INTEGER NOT NULL,
    parcel BLOB NOT NULL,
    UNIQUE (vault, arrival),
    FOREIGN KEY (vault, read_id) REFERENCES mailboxes ON DELETE CASCADE
) STRICT;
CREATE INDEX parcels_by_slot ON parcels (vault, read_id, slot, size);
CREATE INDEX parcels_by_hash ON parcels (vault, hash);
CREATE INDEX parcels_by_age ON parcels (arrived);

-- The highest sequence that each slot of a mailbox ever took; stays when the parcel is read and deleted.
CREATE TABLE slots (
    vault BLOB NOT NULL,
    read_id BLOB NOT NULL,
    slot BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (vault, read_id, slot),
    FOREIGN KEY (vault, read_id) REFERENCES mailboxes ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE greetings (
    link_id BLOB PRIMARY KEY NOT NULL,
    vault BLOB NOT NULL REFERENCES vaults ON DELETE CASCADE,
    expires INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX greetings_by_vault ON greetings (vault);
CREATE INDEX greetings_by_expiry ON greetings (expires);

-- Sealed requests to other servers, and their sealed answers. `state` is wire.RelayState, `size` that of the body,
-- `settled` when it was answered or given up.
CREATE TABLE relay_requests (
    vault BLOB NOT NULL REFERENCES vaults ON DELETE CASCADE,
    request BLOB NOT NULL,
    host TEXT NOT NULL,
    state INTEGER NOT NULL,
    size INTEGER NOT NULL,
    created INTEGER NOT NULL,
    due INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    settled INTEGER,
    reason TEXT NOT NULL,
    PRIMARY KEY (vault, request)
) STRICT, WITHOUT ROWID;
CREATE INDEX relay_requests_by_settled ON relay_requests (settled) WHERE settled IS NOT NULL;

-- The request while it is queued, its answer once there is one; apart, because a retry must not write it again.
CREATE TABLE relay_bodies (
    vault BLOB NOT NULL,
    request BLOB NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (vault, request),
    FOREIGN KEY (vault, request) REFERENCES relay_requests ON DELETE CASCADE
) STRICT;

-- Private gateway keys, as seeds; 21 days longer than they are offered.
CREATE TABLE gateway_keys (
    seed BLOB PRIMARY KEY NOT NULL,
    valid_from INTEGER NOT NULL,
    valid_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
