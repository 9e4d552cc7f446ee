-- Token state: see src/state/sql. Moments are Unix milliseconds unless a name says seconds; lists are JSON arrays. Ids and
-- addresses are compared byte by byte, whatever the database's language.

CREATE TABLE state_session (
    sid        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tag        TEXT COLLATE "C" NOT NULL,
    salt       TEXT   NOT NULL,
    generation BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ends_at    BIGINT NOT NULL,
    subject    TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    roles      TEXT   NOT NULL,
    scope      TEXT   NOT NULL,
    amr        TEXT   NOT NULL,
    user_agent TEXT   NOT NULL,
    ip         TEXT   NOT NULL
);
CREATE INDEX state_session_by_tag ON state_session (tag, created_at);
CREATE INDEX state_session_by_expiry ON state_session (expires_at);

-- Also what the steps of one subject lock first, so that they come one after another.
CREATE TABLE state_subject (
    tag            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    epoch          BIGINT NOT NULL,
    -- Foreign tokens issued at or before this second are denied, until `denied_until`.
    denied_seconds BIGINT,
    denied_until   BIGINT NOT NULL,
    keep_until     BIGINT NOT NULL
);
CREATE INDEX state_subject_by_age ON state_subject (keep_until);

CREATE TABLE state_denied_token (
    tag   TEXT COLLATE "C" NOT NULL,
    jti   TEXT COLLATE "C" NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (tag, jti)
);
CREATE INDEX state_denied_token_by_age ON state_denied_token (until);

-- The revocation log. Its numbers are handed out by the row below, inside the writing transaction.
CREATE TABLE state_log (
    number     BIGINT NOT NULL PRIMARY KEY,
    written_at BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    name       TEXT   NOT NULL
);
CREATE INDEX state_log_by_age ON state_log (written_at);

-- One row: which store this is, since when, and which numbers the log has.
CREATE TABLE state_store (
    only_row      BIGINT NOT NULL PRIMARY KEY,
    id            TEXT   NOT NULL,
    began_seconds BIGINT NOT NULL,
    log_trimmed   BIGINT NOT NULL,
    log_end       BIGINT NOT NULL
);
