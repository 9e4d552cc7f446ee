-- Token state: see src/state/sql. Moments are Unix milliseconds unless a name says seconds; lists are JSON arrays.

CREATE TABLE state_session (
    sid        TEXT    NOT NULL PRIMARY KEY,
    tag        TEXT    NOT NULL,
    salt       TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    rotated_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    subject    TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    roles      TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    amr        TEXT    NOT NULL,
    user_agent TEXT    NOT NULL,
    ip         TEXT    NOT NULL
);
CREATE INDEX state_session_by_tag ON state_session (tag, created_at);
CREATE INDEX state_session_by_expiry ON state_session (expires_at);

CREATE TABLE state_subject (
    tag            TEXT    NOT NULL PRIMARY KEY,
    epoch          INTEGER NOT NULL,
    -- Foreign tokens issued at or before this second are denied, until `denied_until`.
    denied_seconds INTEGER,
    denied_until   INTEGER NOT NULL,
    keep_until     INTEGER NOT NULL
);
CREATE INDEX state_subject_by_age ON state_subject (keep_until);

CREATE TABLE state_denied_token (
    tag   TEXT    NOT NULL,
    jti   TEXT    NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (tag, jti)
);
CREATE INDEX state_denied_token_by_age ON state_denied_token (until);

-- The revocation log. Its numbers are handed out by the row below, inside the writing transaction.
CREATE TABLE state_log (
    number     INTEGER NOT NULL PRIMARY KEY,
    written_at INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    name       TEXT    NOT NULL
);
CREATE INDEX state_log_by_age ON state_log (written_at);

-- One row: which store this is, since when, and which numbers the log has.
CREATE TABLE state_store (
    only_row      INTEGER NOT NULL PRIMARY KEY,
    id            TEXT    NOT NULL,
    began_seconds INTEGER NOT NULL,
    log_trimmed   INTEGER NOT NULL,
    log_end       INTEGER NOT NULL
);
