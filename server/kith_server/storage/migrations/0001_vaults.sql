-- Vaults, their history and records; sessions; registration tokens. Every key begins with the vault.

CREATE TABLE vaults (
    vault       BLOB    NOT NULL PRIMARY KEY,   -- SHA-256 of the genesis commit
    number      INTEGER NOT NULL,               -- of the head
    head        BLOB    NOT NULL,               -- hash of the last commit
    chain       BLOB    NOT NULL,               -- frozen chain state at the head
    buckets     BLOB    NOT NULL,               -- the 256 bucket hashes of the tree
    records     INTEGER NOT NULL,               -- records that stand
    bytes       INTEGER NOT NULL,               -- of records, commits, keys and change lists
    quota       INTEGER,                        -- bytes; NULL: the server's setting
    horizon     INTEGER NOT NULL,               -- change lists up to this commit were dropped; -1: none
    closed      INTEGER NOT NULL DEFAULT 0,     -- 1: being deleted, treated as absent
    created     INTEGER NOT NULL                -- milliseconds, by the server's clock
) STRICT;

CREATE TABLE commits (
    vault       BLOB    NOT NULL REFERENCES vaults ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    hash        BLOB    NOT NULL,
    received    INTEGER NOT NULL,               -- milliseconds, by the server's clock
    raw         BLOB    NOT NULL,
    keys        BLOB    NOT NULL,
    changes     BLOB    NOT NULL,               -- empty once older than the horizon
    PRIMARY KEY (vault, number)
) STRICT;

-- Small rows, so that a bucket of the tree is one short scan that touches no ciphertext.
CREATE TABLE records (
    vault       BLOB    NOT NULL REFERENCES vaults ON DELETE CASCADE,
    record      BLOB    NOT NULL,
    hash        BLOB    NOT NULL,
    number      INTEGER NOT NULL,               -- of the commit that wrote it
    size        INTEGER NOT NULL,
    PRIMARY KEY (vault, record)
) STRICT, WITHOUT ROWID;

-- The ciphertext, in the order in which the feed sends it.
CREATE TABLE blobs (
    vault       BLOB    NOT NULL REFERENCES vaults ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    record      BLOB    NOT NULL,
    sealed      BLOB    NOT NULL,
    PRIMARY KEY (vault, number, record)
) STRICT;

CREATE TABLE sessions (
    vault       BLOB    NOT NULL REFERENCES vaults ON DELETE CASCADE,
    token       BLOB    NOT NULL,               -- SHA-256 of the bearer token
    member      BLOB    NOT NULL,
    expires     INTEGER NOT NULL,
    PRIMARY KEY (vault, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_expiry ON sessions (expires);

CREATE TABLE nonces (
    vault       BLOB    NOT NULL REFERENCES vaults ON DELETE CASCADE,
    nonce       BLOB    NOT NULL,
    expires     INTEGER NOT NULL,
    PRIMARY KEY (vault, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX nonces_by_expiry ON nonces (expires);

CREATE TABLE tokens (
    token       BLOB    NOT NULL PRIMARY KEY,   -- SHA-256 of a registration token
    created     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
