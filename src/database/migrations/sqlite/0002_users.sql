-- Users and what is remembered of their sessions: see src/users/sql. Moments are Unix milliseconds; lists are JSON arrays.

CREATE TABLE users (
    id         TEXT    NOT NULL PRIMARY KEY,
    -- In the canonical form that src/authn makes.
    email      TEXT    NOT NULL UNIQUE,
    password   TEXT,
    confirmed  INTEGER NOT NULL,
    disabled   INTEGER NOT NULL,
    roles      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE TABLE session_history (
    sid        TEXT    NOT NULL PRIMARY KEY,
    user_id    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    user_agent TEXT    NOT NULL,
    ip         TEXT    NOT NULL,
    ended_at   INTEGER,
    cause      TEXT    NOT NULL
);
CREATE INDEX session_history_by_user ON session_history (user_id, created_at);
CREATE INDEX session_history_by_end ON session_history (ended_at, ends_at);

CREATE TABLE audit_tail (
    number     INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    user_id    TEXT    NOT NULL,
    sid        TEXT    NOT NULL,
    client     TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    outcome    TEXT    NOT NULL
);
CREATE INDEX audit_tail_by_user ON audit_tail (user_id, number);
CREATE INDEX audit_tail_by_age ON audit_tail (at);

-- Which node does a task, and until when nobody else may.
CREATE TABLE lease (
    task   TEXT    NOT NULL PRIMARY KEY,
    holder TEXT    NOT NULL,
    until  INTEGER NOT NULL
);

-- Attempts: when each key's quota is full again, in Unix microseconds.
CREATE TABLE state_counter (
    name    TEXT    NOT NULL PRIMARY KEY,
    full_at INTEGER NOT NULL
);
CREATE INDEX state_counter_by_age ON state_counter (full_at);
