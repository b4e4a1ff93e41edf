-- Records of every kind but frames of the own car: with them, a session can be computed again without its log.

-- Records of one stream, packed. first_seq: the first number of its first record; next_seq: above the last number of its last one, and
-- at least one above its first. `folded`: joined from the rows of about a minute; until then a row is what one block brought.
CREATE TABLE records (
    tenant      TEXT   NOT NULL,
    session     BLOB   NOT NULL,
    driver      TEXT   NOT NULL,
    run         BLOB   NOT NULL,
    first_seq   BIGINT NOT NULL,
    next_seq    BIGINT NOT NULL,
    folded      BIGINT NOT NULL,
    received_us BIGINT NOT NULL,
    packed      BLOB   NOT NULL,
    PRIMARY KEY (tenant, session, driver, run, first_seq),
    CHECK (next_seq > first_seq)
);
CREATE INDEX records_oldest ON records (received_us);
CREATE INDEX records_unfolded ON records (received_us) WHERE folded = 0;
