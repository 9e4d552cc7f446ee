-- Users and what is remembered of their sessions: see src/users/sql. Moments are Unix milliseconds; lists are JSON arrays.

CREATE TABLE users (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- In the canonical form that src/authn makes.
    email      TEXT COLLATE "C" NOT NULL UNIQUE,
    password   TEXT,
    confirmed  BIGINT NOT NULL,
    disabled   BIGINT NOT NULL,
    roles      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE session_history (
    sid        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id    TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    ends_at    BIGINT NOT NULL,
    user_agent TEXT   NOT NULL,
    ip         TEXT   NOT NULL,
    ended_at   BIGINT,
    cause      TEXT   NOT NULL
);
CREATE INDEX session_history_by_user ON session_history (user_id, created_at);
CREATE INDEX session_history_by_end ON session_history (ended_at, ends_at);

CREATE TABLE audit_tail (
    number     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    user_id    TEXT COLLATE "C" NOT NULL,
    sid        TEXT   NOT NULL,
    client     TEXT   NOT NULL,
    request_id TEXT   NOT NULL,
    outcome    TEXT   NOT NULL
);
CREATE INDEX audit_tail_by_user ON audit_tail (user_id, number);
CREATE INDEX audit_tail_by_age ON audit_tail (at);

-- Which node does a task, and until when nobody else may.
CREATE TABLE lease (
    task   TEXT   NOT NULL PRIMARY KEY,
    holder TEXT   NOT NULL,
    until  BIGINT NOT NULL
);

-- Attempts: when each key's quota is full again, in Unix microseconds.
CREATE TABLE state_counter (
    name    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    full_at BIGINT NOT NULL
);
CREATE INDEX state_counter_by_age ON state_counter (full_at);
