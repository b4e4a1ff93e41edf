-- The archive: every admitted frame, once (E6), in chunks of 600 frames of one stream, 10 s at 60 Hz (E10).

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

-- Sequence numbers first_seq..next_seq, of which `frames` are here. received_us: when an edge received the newest.
-- The bytes come last: a row's other columns are then read without them.
CREATE TABLE chunks (
    tenant      TEXT   NOT NULL,
    session     BLOB   NOT NULL,
    driver      TEXT   NOT NULL,
    run         BLOB   NOT NULL,
    first_seq   BIGINT NOT NULL,
    next_seq    BIGINT NOT NULL,
    frames      BIGINT NOT NULL,
    received_us BIGINT NOT NULL,
    packed      BLOB   NOT NULL,
    PRIMARY KEY (tenant, session, driver, run, first_seq),
    CHECK (frames > 0 AND next_seq >= first_seq + frames)
);
CREATE INDEX chunks_oldest ON chunks (received_us);

-- The newest frames of a stream as they came, a second or so a row, until there are enough for a chunk: so they can be
-- read at once, and a frame is written twice, not ten times. All of a stream's chunks lie below all of its tails.
CREATE TABLE tails (
    tenant      TEXT   NOT NULL,
    session     BLOB   NOT NULL,
    driver      TEXT   NOT NULL,
    run         BLOB   NOT NULL,
    first_seq   BIGINT NOT NULL,
    next_seq    BIGINT NOT NULL,
    frames      BIGINT NOT NULL,
    received_us BIGINT NOT NULL,
    packed      BLOB   NOT NULL,
    PRIMARY KEY (tenant, session, driver, run, first_seq),
    CHECK (frames > 0 AND next_seq >= first_seq + frames)
);
CREATE INDEX tails_oldest ON tails (received_us);
