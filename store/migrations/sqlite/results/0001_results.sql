-- Results: what processors commit and the API reads.
--
-- Written so that Postgres takes it with BLOB -> BYTEA and COLLATE "C" on TEXT keys. Ids of 16 bytes are BLOBs, times
-- BIGINT microseconds, bit sets BIGINT. What is a key, sorted or filtered by has a column of its own. A lap, a ledger and
-- a session's description will still grow, and are read only as a whole: they are JSON, and a new field needs no
-- migration. Sessions and incident steps are a handful of numbers each: columns only.

-- Who owns a partition of a log (E5), and how far it is processed (E7).
CREATE TABLE partitions (
    log        TEXT   NOT NULL,
    part       BIGINT NOT NULL,
    epoch      BIGINT NOT NULL,
    log_offset BIGINT,
    crc        BIGINT,
    PRIMARY KEY (log, part)
);

CREATE TABLE sessions (
    id            BLOB    NOT NULL PRIMARY KEY,
    tenant        TEXT    NOT NULL,
    log           TEXT    NOT NULL,
    part          BIGINT  NOT NULL,
    sim           INTEGER NOT NULL,
    source_id     BLOB    NOT NULL,
    session_num   BIGINT  NOT NULL,
    opened_at_us  BIGINT  NOT NULL,
    updated_at_us BIGINT  NOT NULL,
    sim_time_us   BIGINT  NOT NULL,
    closed        BOOLEAN NOT NULL,
    FOREIGN KEY (log, part) REFERENCES partitions (log, part)
);
CREATE INDEX sessions_newest ON sessions (tenant, opened_at_us DESC, id);
CREATE INDEX sessions_of_partition ON sessions (log, part);

-- Apart from sessions, because these change with every step, and 20 KB of names hardly ever.
CREATE TABLE descriptions (
    session BLOB NOT NULL PRIMARY KEY REFERENCES sessions (id),
    body    TEXT NOT NULL
);

CREATE TABLE streams (
    session BLOB NOT NULL REFERENCES sessions (id),
    driver  TEXT NOT NULL,
    run     BLOB NOT NULL,
    ledger  TEXT NOT NULL,
    race    BLOB NOT NULL,
    PRIMARY KEY (session, driver, run)
);

-- Laps as each stream tells them; only the processor reads them.
CREATE TABLE facts (
    session  BLOB   NOT NULL REFERENCES sessions (id),
    entry    TEXT   NOT NULL,
    number   BIGINT NOT NULL,
    driver   TEXT   NOT NULL,
    run      BLOB   NOT NULL,
    timeline BIGINT NOT NULL,
    body     TEXT   NOT NULL,
    PRIMARY KEY (session, entry, number, driver, run, timeline)
);

-- Laps as chosen.
CREATE TABLE laps (
    session    BLOB    NOT NULL REFERENCES sessions (id),
    entry      TEXT    NOT NULL,
    number     BIGINT  NOT NULL,
    driver     TEXT    NOT NULL,
    revision   BIGINT  NOT NULL,
    time_us    BIGINT  NOT NULL,
    reasons    BIGINT  NOT NULL,
    superseded BOOLEAN NOT NULL,
    body       TEXT    NOT NULL,
    PRIMARY KEY (session, entry, number)
);

CREATE TABLE incidents (
    session     BLOB    NOT NULL REFERENCES sessions (id),
    driver      TEXT    NOT NULL,
    run         BLOB    NOT NULL,
    timeline    BIGINT  NOT NULL,
    tick        BIGINT  NOT NULL,
    entry       TEXT    NOT NULL,
    sim_time_us BIGINT  NOT NULL,
    count_from  INTEGER NOT NULL,
    count_to    INTEGER NOT NULL,
    superseded  BOOLEAN NOT NULL,
    late        BOOLEAN NOT NULL,
    PRIMARY KEY (session, driver, run, timeline, tick)
);

-- Records nobody could read, the newest of each partition.
CREATE TABLE quarantine (
    log        TEXT   NOT NULL,
    part       BIGINT NOT NULL,
    log_offset BIGINT NOT NULL,
    reason     TEXT   NOT NULL,
    record     BLOB   NOT NULL,
    PRIMARY KEY (log, part, log_offset),
    FOREIGN KEY (log, part) REFERENCES partitions (log, part)
);
