-- The archive's plans and cursors, for an archive on ClickHouse (E6): ClickHouse has the frames, and no transaction that could
-- join them with a checkpoint. So what is about to be inserted is written here first.

-- A block of frames of a partition: what its INSERT is to contain, and under which token, so that whoever sends it again sends
-- the same.
CREATE TABLE archive_plans (
    log         TEXT COLLATE "C" NOT NULL,
    part        BIGINT  NOT NULL,
    -- Its last record, and that record's checksum (E7).
    last_offset BIGINT  NOT NULL,
    crc         BIGINT  NOT NULL,
    -- The last record of the block before; NULL: it begins at the log's beginning.
    behind      BIGINT,
    token       TEXT COLLATE "C" NOT NULL,
    -- 0: there is nothing to insert.
    frames      BIGINT  NOT NULL,
    appended_us BIGINT  NOT NULL,
    -- Its rows were in ClickHouse once: a later block has been begun, and nothing of it can be under way any more.
    confirmed   BOOLEAN NOT NULL DEFAULT FALSE,
    planned_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- The cursors of its streams before it.
    before      BYTEA   NOT NULL,
    PRIMARY KEY (log, part, last_offset)
);
-- The newest of each partition, and those that are made again.
CREATE INDEX archive_plans_open ON archive_plans (log, part, last_offset) WHERE NOT confirmed;

-- E1: each stream's next sequence number behind the newest plan.
CREATE TABLE archive_cursors (
    tenant   TEXT COLLATE "C" NOT NULL,
    session  BYTEA  NOT NULL,
    driver   TEXT COLLATE "C" NOT NULL,
    run      BYTEA  NOT NULL,
    log      TEXT COLLATE "C" NOT NULL,
    part     BIGINT NOT NULL,
    next_seq BIGINT NOT NULL,
    PRIMARY KEY (tenant, session, driver, run)
) WITH (fillfactor = 50);
CREATE INDEX archive_cursors_of_partition ON archive_cursors (log, part);
