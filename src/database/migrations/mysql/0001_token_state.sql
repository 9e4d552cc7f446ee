-- Token state: see src/state/sql. Moments are Unix milliseconds unless a name says seconds; lists are JSON arrays. Texts are
-- compared byte by byte. A change of the schema is not part of a transaction here: so each statement can be repeated.

CREATE TABLE IF NOT EXISTS state_session (
    sid        VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    tag        VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    salt       VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    generation BIGINT       NOT NULL,
    rotated_at BIGINT       NOT NULL,
    created_at BIGINT       NOT NULL,
    seen_at    BIGINT       NOT NULL,
    expires_at BIGINT       NOT NULL,
    ends_at    BIGINT       NOT NULL,
    subject    TEXT         NOT NULL,
    kind       VARCHAR(16)  NOT NULL,
    roles      TEXT         NOT NULL,
    scope      TEXT         NOT NULL,
    amr        TEXT         NOT NULL,
    user_agent TEXT         NOT NULL,
    ip         VARCHAR(64)  NOT NULL,
    INDEX state_session_by_tag (tag, created_at),
    INDEX state_session_by_expiry (expires_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Also what the steps of one subject lock first, so that they come one after another.
CREATE TABLE IF NOT EXISTS state_subject (
    tag            VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    epoch          BIGINT NOT NULL,
    -- Foreign tokens issued at or before this second are denied, until `denied_until`.
    denied_seconds BIGINT,
    denied_until   BIGINT NOT NULL,
    keep_until     BIGINT NOT NULL,
    INDEX state_subject_by_age (keep_until)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS state_denied_token (
    tag   VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- Bytes: texts would be equal with and without blanks at their end.
    jti   VARBINARY(256) NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (tag, jti),
    INDEX state_denied_token_by_age (until)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The revocation log. Its numbers are handed out by the row below, inside the writing transaction.
CREATE TABLE IF NOT EXISTS state_log (
    number     BIGINT       NOT NULL PRIMARY KEY,
    written_at BIGINT       NOT NULL,
    kind       VARCHAR(16)  NOT NULL,
    name       VARCHAR(512) NOT NULL,
    INDEX state_log_by_age (written_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row: which store this is, since when, and which numbers the log has.
CREATE TABLE IF NOT EXISTS state_store (
    only_row      BIGINT      NOT NULL PRIMARY KEY,
    id            VARCHAR(64) NOT NULL,
    began_seconds BIGINT      NOT NULL,
    log_trimmed   BIGINT      NOT NULL,
    log_end       BIGINT      NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
