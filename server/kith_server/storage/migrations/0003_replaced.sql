-- Ciphertext that was replaced or deleted, kept for 30 days: the paper key can bring back what a thief destroyed.
CREATE TABLE replaced (
    vault       BLOB    NOT NULL REFERENCES vaults ON DELETE CASCADE,
    number      INTEGER NOT NULL,               -- of the commit that replaced or deleted it
    record      BLOB    NOT NULL,
    written     INTEGER NOT NULL,               -- of the commit that had written it
    hash        BLOB    NOT NULL,
    received    INTEGER NOT NULL,               -- when it was replaced: milliseconds, by the server's clock
    sealed      BLOB    NOT NULL,
    PRIMARY KEY (vault, number, record)
) STRICT;
CREATE INDEX replaced_by_age ON replaced (received);

-- Bytes of it; they do not count towards the quota, but there are never more of them than the quota.
ALTER TABLE vaults ADD COLUMN replaced INTEGER NOT NULL DEFAULT 0;
