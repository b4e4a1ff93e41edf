-- Results: what processors commit and the API reads. The tables are those of migrations/sqlite/results, with what several
-- processors need to share them: owners and members (E5), and the outbox.
--
-- Every number is BIGINT, since every number is read as an i64. Keys sort by their bytes (COLLATE "C"), as everywhere else.
-- Rows that change with every step leave room on their page (fillfactor), so that a change needs no new index entry.

-- Who owns a partition of a log (E5), and how far it is processed (E7).
CREATE TABLE partitions (
    log        TEXT COLLATE "C" NOT NULL,
    part       BIGINT  NOT NULL,
    epoch      BIGINT  NOT NULL,
    log_offset BIGINT,
    crc        BIGINT,
    -- The member that has it; of one that is not in `members` any more it is free. NULL: nobody, or one that took it without beating.
    owner      TEXT COLLATE "C",
    -- Its owner has been told to give it back.
    leaving    BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (log, part)
) WITH (fillfactor = 50);

-- Processors that live, by this database's clock.
CREATE TABLE members (
    log         TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    alive_until TIMESTAMPTZ      NOT NULL,
    PRIMARY KEY (log, name)
) WITH (fillfactor = 50);

CREATE TABLE sessions (
    id            BYTEA   NOT NULL PRIMARY KEY,
    tenant        TEXT COLLATE "C" NOT NULL,
    log           TEXT COLLATE "C" NOT NULL,
    part          BIGINT  NOT NULL,
    sim           BIGINT  NOT NULL,
    source_id     BYTEA   NOT NULL,
    session_num   BIGINT  NOT NULL,
    opened_at_us  BIGINT  NOT NULL,
    updated_at_us BIGINT  NOT NULL,
    sim_time_us   BIGINT  NOT NULL,
    closed        BOOLEAN NOT NULL,
    retired       BOOLEAN NOT NULL,
    FOREIGN KEY (log, part) REFERENCES partitions (log, part)
) WITH (fillfactor = 70);
CREATE INDEX sessions_newest ON sessions (tenant, opened_at_us DESC, id);
CREATE INDEX sessions_of_partition ON sessions (log, part);

-- Apart from sessions, because these change with every step, and 20 KB of names hardly ever.
CREATE TABLE descriptions (
    session BYTEA NOT NULL PRIMARY KEY REFERENCES sessions (id),
    body    TEXT  NOT NULL
);

CREATE TABLE streams (
    session BYTEA NOT NULL REFERENCES sessions (id),
    driver  TEXT COLLATE "C" NOT NULL,
    run     BYTEA NOT NULL,
    ledger  TEXT  NOT NULL,
    race    BYTEA NOT NULL,
    now     TEXT,
    PRIMARY KEY (session, driver, run)
) WITH (fillfactor = 50);

-- Other cars as a stream sees them.
CREATE TABLE field (
    session BYTEA  NOT NULL,
    driver  TEXT COLLATE "C" NOT NULL,
    run     BYTEA  NOT NULL,
    slot    BIGINT NOT NULL,
    race    BYTEA  NOT NULL,
    now     TEXT,
    PRIMARY KEY (session, driver, run, slot),
    FOREIGN KEY (session, driver, run) REFERENCES streams (session, driver, run)
) WITH (fillfactor = 50);

-- Laps as each stream tells them; only the processor reads them.
CREATE TABLE facts (
    session  BYTEA  NOT NULL REFERENCES sessions (id),
    entry    TEXT COLLATE "C" NOT NULL,
    number   BIGINT NOT NULL,
    driver   TEXT COLLATE "C" NOT NULL,
    run      BYTEA  NOT NULL,
    timeline BIGINT NOT NULL,
    body     TEXT   NOT NULL,
    PRIMARY KEY (session, entry, number, driver, run, timeline)
);

-- Laps as chosen.
CREATE TABLE laps (
    session    BYTEA   NOT NULL REFERENCES sessions (id),
    entry      TEXT COLLATE "C" NOT NULL,
    number     BIGINT  NOT NULL,
    driver     TEXT COLLATE "C" NOT NULL,
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
    session     BYTEA   NOT NULL REFERENCES sessions (id),
    driver      TEXT COLLATE "C" NOT NULL,
    run         BYTEA   NOT NULL,
    timeline    BIGINT  NOT NULL,
    tick        BIGINT  NOT NULL,
    entry       TEXT COLLATE "C" NOT NULL,
    sim_time_us BIGINT  NOT NULL,
    count_from  BIGINT  NOT NULL,
    count_to    BIGINT  NOT NULL,
    superseded  BOOLEAN NOT NULL,
    late        BOOLEAN NOT NULL,
    PRIMARY KEY (session, driver, run, timeline, tick)
);

CREATE TABLE pit_visits (
    session    BYTEA   NOT NULL REFERENCES sessions (id),
    driver     TEXT COLLATE "C" NOT NULL,
    run        BYTEA   NOT NULL,
    slot       BIGINT  NOT NULL,
    timeline   BIGINT  NOT NULL,
    tick       BIGINT  NOT NULL,
    entry      TEXT COLLATE "C" NOT NULL,
    enter_us   BIGINT  NOT NULL,
    superseded BOOLEAN NOT NULL,
    body       TEXT    NOT NULL,
    PRIMARY KEY (session, driver, run, slot, timeline, tick)
);

CREATE TABLE flags (
    session     BYTEA   NOT NULL REFERENCES sessions (id),
    driver      TEXT COLLATE "C" NOT NULL,
    run         BYTEA   NOT NULL,
    timeline    BIGINT  NOT NULL,
    tick        BIGINT  NOT NULL,
    entry       TEXT COLLATE "C" NOT NULL,
    sim_time_us BIGINT  NOT NULL,
    flags_from  BIGINT  NOT NULL,
    flags_to    BIGINT  NOT NULL,
    superseded  BOOLEAN NOT NULL,
    late        BOOLEAN NOT NULL,
    PRIMARY KEY (session, driver, run, timeline, tick)
);

-- Records nobody could read, the newest of each partition.
CREATE TABLE quarantine (
    log        TEXT COLLATE "C" NOT NULL,
    part       BIGINT NOT NULL,
    log_offset BIGINT NOT NULL,
    reason     TEXT   NOT NULL,
    record     BYTEA  NOT NULL,
    PRIMARY KEY (log, part, log_offset),
    FOREIGN KEY (log, part) REFERENCES partitions (log, part)
);

-- Laps that steps have written or withdrawn, in the order of the steps, for whoever copies laps elsewhere: each is looked up
-- in `laps` when it is copied, and is withdrawn if it is not there. `log_offset` is the checkpoint of the step.
CREATE TABLE lap_outbox (
    id         BIGSERIAL PRIMARY KEY,
    log        TEXT COLLATE "C" NOT NULL,
    part       BIGINT NOT NULL,
    log_offset BIGINT NOT NULL,
    session    BYTEA  NOT NULL,
    entry      TEXT COLLATE "C" NOT NULL,
    number     BIGINT NOT NULL
);
CREATE INDEX lap_outbox_of_partition ON lap_outbox (log, part, id);
