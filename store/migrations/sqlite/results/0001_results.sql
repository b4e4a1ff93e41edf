-- Results: what processors commit and the API reads.
--
-- Written so that Postgres takes it with BLOB -> BYTEA and COLLATE "C" on TEXT keys. Ids of 16 bytes are BLOBs, times
-- BIGINT microseconds, bit sets BIGINT. What is a key, sorted or filtered by has a column of its own. A lap, a ledger, a
-- pit visit, where a car is, and a session's description will still grow, and are read only as a whole: they are JSON, and
-- a new field needs no migration. Sessions, incident steps and flags are a handful of numbers each: columns only.

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
    retired       BOOLEAN NOT NULL,
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
    now     TEXT,
    PRIMARY KEY (session, driver, run)
);

-- Other cars as a stream sees them.
CREATE TABLE field (
    session BLOB    NOT NULL,
    driver  TEXT    NOT NULL,
    run     BLOB    NOT NULL,
    slot    INTEGER NOT NULL,
    race    BLOB    NOT NULL,
    now     TEXT,
    PRIMARY KEY (session, driver, run, slot),
    FOREIGN KEY (session, driver, run) REFERENCES streams (session, driver, run)
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
    start_us   BIGINT  NOT NULL,
    end_us     BIGINT  NOT NULL,
    time_us    BIGINT  NOT NULL,
    reasons    BIGINT  NOT NULL,
    superseded BOOLEAN NOT NULL,
    body       TEXT    NOT NULL,
    PRIMARY KEY (session, entry, number)
);
-- The newest laps of an entry at a moment, and its fastest: a few steps in an index, however many laps there are.
CREATE INDEX laps_begun ON laps (session, entry, start_us, number) WHERE NOT superseded;
CREATE INDEX laps_best ON laps (session, entry, time_us, end_us, number) WHERE reasons = 0 AND NOT superseded;

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

CREATE TABLE pit_visits (
    session    BLOB    NOT NULL REFERENCES sessions (id),
    driver     TEXT    NOT NULL,
    run        BLOB    NOT NULL,
    slot       INTEGER NOT NULL,
    timeline   BIGINT  NOT NULL,
    tick       BIGINT  NOT NULL,
    entry      TEXT    NOT NULL,
    enter_us   BIGINT  NOT NULL,
    superseded BOOLEAN NOT NULL,
    body       TEXT    NOT NULL,
    PRIMARY KEY (session, driver, run, slot, timeline, tick)
);

CREATE TABLE flags (
    session     BLOB    NOT NULL REFERENCES sessions (id),
    driver      TEXT    NOT NULL,
    run         BLOB    NOT NULL,
    timeline    BIGINT  NOT NULL,
    tick        BIGINT  NOT NULL,
    entry       TEXT    NOT NULL,
    sim_time_us BIGINT  NOT NULL,
    flags_from  BIGINT  NOT NULL,
    flags_to    BIGINT  NOT NULL,
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
