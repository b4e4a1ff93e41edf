-- The archive: every admitted frame, once (E6), in chunks of about 10 s of one stream (E10).

-- How far each partition is archived (E7).
CREATE TABLE partitions (
    log        TEXT   NOT NULL,
    part       BIGINT NOT NULL,
    log_offset BIGINT NOT NULL,
    crc        BIGINT NOT NULL,
    PRIMARY KEY (log, part)
);

-- Each stream's next sequence number (E1): frames below it are here already.
CREATE TABLE streams (
    tenant   TEXT   NOT NULL,
    session  BLOB   NOT NULL,
    driver   TEXT   NOT NULL,
    run      BLOB   NOT NULL,
    log      TEXT   NOT NULL,
    part     BIGINT NOT NULL,
    next_seq BIGINT NOT NULL,
    PRIMARY KEY (tenant, session, driver, run)
);
CREATE INDEX streams_of_partition ON streams (log, part);

-- The bytes come last: a row's other columns are then read without them.
CREATE TABLE chunks (
    tenant    TEXT   NOT NULL,
    session   BLOB   NOT NULL,
    driver    TEXT   NOT NULL,
    run       BLOB   NOT NULL,
    first_seq BIGINT NOT NULL,
    next_seq  BIGINT NOT NULL,
    first_us  BIGINT NOT NULL,
    last_us   BIGINT NOT NULL,
    packed    BLOB   NOT NULL,
    PRIMARY KEY (tenant, session, driver, run, first_seq),
    CHECK (next_seq > first_seq)
);
