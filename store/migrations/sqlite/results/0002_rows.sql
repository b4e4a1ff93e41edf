-- Rows of every kind in one table, which nothing but their readers need to know apart. What is a key, sorted or filtered by has a
-- column; the whole row is JSON. Incident steps, pit visits and flags move here, and are views of their old names with a column for
-- each of their fields.

CREATE TABLE rows (
    session     BLOB    NOT NULL REFERENCES sessions (id),
    driver      TEXT    NOT NULL,
    run         BLOB    NOT NULL,
    timeline    BIGINT  NOT NULL,
    slot        BIGINT  NOT NULL,
    tick        BIGINT  NOT NULL,
    kind        TEXT    NOT NULL,
    entry       TEXT    NOT NULL,
    -- As whom the teller knows the car, where that is not `entry`.
    seen_as     TEXT,
    -- Told by another client than the car's own.
    field       BOOLEAN NOT NULL,
    sim_time_us BIGINT  NOT NULL,
    until_us    BIGINT,
    superseded  BOOLEAN NOT NULL,
    late        BOOLEAN NOT NULL,
    -- The columns are true where it says otherwise.
    body        TEXT    NOT NULL,
    PRIMARY KEY (session, driver, run, timeline, slot, tick, kind)
);
CREATE INDEX rows_shown ON rows (session, kind, entry, sim_time_us, driver, run, slot, timeline, tick) WHERE NOT superseded;

INSERT INTO rows
SELECT session, driver, run, timeline, 0, tick, 'incident', entry, NULL, FALSE, sim_time_us, sim_time_us, superseded, late,
       json_object('session', lower(hex(session)), 'entry', entry, 'driver', driver, 'run', lower(hex(run)), 'timeline', timeline,
                   'tick', tick, 'sim_time_us', sim_time_us, 'from', count_from, 'to', count_to,
                   'superseded', json(iif(superseded, 'true', 'false')), 'late', json(iif(late, 'true', 'false')))
FROM incidents;

INSERT INTO rows
SELECT session, driver, run, timeline, 0, tick, 'flag', entry, NULL, FALSE, sim_time_us, sim_time_us, superseded, late,
       json_object('session', lower(hex(session)), 'entry', entry, 'driver', driver, 'run', lower(hex(run)), 'timeline', timeline,
                   'tick', tick, 'sim_time_us', sim_time_us, 'from', flags_from, 'to', flags_to,
                   'superseded', json(iif(superseded, 'true', 'false')), 'late', json(iif(late, 'true', 'false')))
FROM flags;

INSERT INTO rows
SELECT session, driver, run, timeline, slot, tick, 'pit_visit', entry, json_extract(body, '$.seen_as'), json_extract(body, '$.field'),
       enter_us, json_extract(body, '$.exit_us'), superseded, COALESCE(json_extract(body, '$.late'), FALSE), body
FROM pit_visits;

DROP TABLE incidents;
DROP TABLE flags;
DROP TABLE pit_visits;

CREATE VIEW incidents AS
SELECT session, driver, run, timeline, tick, entry, sim_time_us, json_extract(body, '$.from') AS count_from,
       json_extract(body, '$.to') AS count_to, superseded, late
FROM rows WHERE kind = 'incident';

CREATE VIEW flags AS
SELECT session, driver, run, timeline, tick, entry, sim_time_us, json_extract(body, '$.from') AS flags_from,
       json_extract(body, '$.to') AS flags_to, superseded, late
FROM rows WHERE kind = 'flag';

CREATE VIEW pit_visits AS
SELECT session, driver, run, slot, timeline, tick, entry, seen_as, field, json_extract(body, '$.kind') AS kind,
       json_extract(body, '$.lap') AS lap, sim_time_us AS enter_us, until_us AS exit_us,
       json_extract(body, '$.stationary_us') AS stationary_us, json_extract(body, '$.service_us') AS service_us,
       json_extract(body, '$.fuel_added_l') AS fuel_added_l, json_extract(body, '$.tyres_changed') AS tyres_changed,
       json_extract(body, '$.speed_max_mps') AS speed_max_mps, json_extract(body, '$.speeding') AS speeding, superseded, late, body
FROM rows WHERE kind = 'pit_visit';
