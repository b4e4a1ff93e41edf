-- Rows of every kind in one table, as migrations/sqlite/results/0002_rows.sql has it.

CREATE TABLE rows (
    session     BYTEA   NOT NULL REFERENCES sessions (id),
    driver      TEXT COLLATE "C" NOT NULL,
    run         BYTEA   NOT NULL,
    timeline    BIGINT  NOT NULL,
    slot        BIGINT  NOT NULL,
    tick        BIGINT  NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    entry       TEXT COLLATE "C" NOT NULL,
    -- As whom the teller knows the car, where that is not `entry`.
    seen_as     TEXT COLLATE "C",
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
       json_build_object('session', encode(session, 'hex'), 'entry', entry, 'driver', driver, 'run', encode(run, 'hex'),
                         'timeline', timeline, 'tick', tick, 'sim_time_us', sim_time_us, 'from', count_from, 'to', count_to,
                         'superseded', superseded, 'late', late)::TEXT
FROM incidents;

INSERT INTO rows
SELECT session, driver, run, timeline, 0, tick, 'flag', entry, NULL, FALSE, sim_time_us, sim_time_us, superseded, late,
       json_build_object('session', encode(session, 'hex'), 'entry', entry, 'driver', driver, 'run', encode(run, 'hex'),
                         'timeline', timeline, 'tick', tick, 'sim_time_us', sim_time_us, 'from', flags_from, 'to', flags_to,
                         'superseded', superseded, 'late', late)::TEXT
FROM flags;

INSERT INTO rows
SELECT session, driver, run, timeline, slot, tick, 'pit_visit', entry, body::JSON ->> 'seen_as', (body::JSON ->> 'field')::BOOLEAN,
       enter_us, (body::JSON ->> 'exit_us')::BIGINT, superseded, COALESCE((body::JSON ->> 'late')::BOOLEAN, FALSE), body
FROM pit_visits;

DROP TABLE incidents;
DROP TABLE flags;
DROP TABLE pit_visits;

CREATE VIEW incidents AS
SELECT session, driver, run, timeline, tick, entry, sim_time_us, (body::JSON ->> 'from')::BIGINT AS count_from,
       (body::JSON ->> 'to')::BIGINT AS count_to, superseded, late
FROM rows WHERE kind = 'incident';

CREATE VIEW flags AS
SELECT session, driver, run, timeline, tick, entry, sim_time_us, (body::JSON ->> 'from')::BIGINT AS flags_from,
       (body::JSON ->> 'to')::BIGINT AS flags_to, superseded, late
FROM rows WHERE kind = 'flag';

CREATE VIEW pit_visits AS
SELECT session, driver, run, slot, timeline, tick, entry, seen_as, field, (body::JSON ->> 'kind')::BIGINT AS kind,
       (body::JSON ->> 'lap')::BIGINT AS lap, sim_time_us AS enter_us, until_us AS exit_us,
       (body::JSON ->> 'stationary_us')::BIGINT AS stationary_us, (body::JSON ->> 'service_us')::BIGINT AS service_us,
       (body::JSON ->> 'fuel_added_l')::REAL AS fuel_added_l, (body::JSON ->> 'tyres_changed')::BOOLEAN AS tyres_changed,
       (body::JSON ->> 'speed_max_mps')::REAL AS speed_max_mps, (body::JSON ->> 'speeding')::BOOLEAN AS speeding, superseded, late, body
FROM rows WHERE kind = 'pit_visit';
