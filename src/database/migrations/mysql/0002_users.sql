-- Users and what is remembered of their sessions: see src/users/sql. Moments are Unix milliseconds; lists are JSON arrays.

CREATE TABLE IF NOT EXISTS users (
    id         VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    -- In the canonical form that src/authn makes.
    email      VARCHAR(320) NOT NULL,
    password   TEXT,
    confirmed  BIGINT       NOT NULL,
    disabled   BIGINT       NOT NULL,
    roles      TEXT         NOT NULL,
    created_at BIGINT       NOT NULL,
    updated_at BIGINT       NOT NULL,
    UNIQUE INDEX users_by_email (email)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS session_history (
    sid        VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    user_id    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at BIGINT      NOT NULL,
    seen_at    BIGINT      NOT NULL,
    ends_at    BIGINT      NOT NULL,
    user_agent TEXT        NOT NULL,
    ip         VARCHAR(64) NOT NULL,
    ended_at   BIGINT,
    cause      VARCHAR(64) NOT NULL,
    INDEX session_history_by_user (user_id, created_at),
    INDEX session_history_by_end (ended_at, ends_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS audit_tail (
    number     BIGINT       NOT NULL PRIMARY KEY AUTO_INCREMENT,
    at         BIGINT       NOT NULL,
    kind       VARCHAR(256) NOT NULL,
    user_id    VARCHAR(256) NOT NULL,
    sid        VARCHAR(256) NOT NULL,
    client     VARCHAR(64)  NOT NULL,
    request_id VARCHAR(256) NOT NULL,
    outcome    VARCHAR(256) NOT NULL,
    INDEX audit_tail_by_user (user_id, number),
    INDEX audit_tail_by_age (at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Which node does a task, and until when nobody else may.
CREATE TABLE IF NOT EXISTS lease (
    task   VARCHAR(64)  NOT NULL PRIMARY KEY,
    holder VARCHAR(256) NOT NULL,
    until  BIGINT       NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Attempts: when each key's quota is full again, in Unix microseconds. Bytes: texts would be equal with and without blanks at
-- their end.
CREATE TABLE IF NOT EXISTS state_counter (
    name    VARBINARY(512) NOT NULL PRIMARY KEY,
    full_at BIGINT         NOT NULL,
    INDEX state_counter_by_age (full_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
