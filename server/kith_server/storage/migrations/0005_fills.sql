-- Vaults that are being filled from elsewhere (their row in `vaults` has closed = 2), and what is known of a vault that
-- left: the chain that it has at its new home, for who is a member.
CREATE TABLE fills (
    vault       BLOB    NOT NULL PRIMARY KEY REFERENCES vaults ON DELETE CASCADE,
    member      BLOB    NOT NULL,               -- id of who fills
    token       BLOB    NOT NULL,               -- SHA-256 of the token for the parts
    admission   BLOB    NOT NULL,               -- SHA-256 of the registration token; empty: none was asked for
    touched     INTEGER NOT NULL,               -- milliseconds: when the last part came
    record      BLOB    NOT NULL,               -- the last one that came with the last commit
    written     INTEGER NOT NULL,               -- records that came with the last commit
    weight      INTEGER NOT NULL                -- their bytes
) STRICT, WITHOUT ROWID;

ALTER TABLE vaults ADD COLUMN followed BLOB NOT NULL DEFAULT x'';  -- frozen chain; empty: the vault did not leave
