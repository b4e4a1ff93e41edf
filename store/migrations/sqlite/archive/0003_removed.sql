-- What was removed by its age: bytes of rows, by the hour (Unix µs / 3 600 000 000). At most a part of the archive goes in a day, whatever
-- the clock shows.
CREATE TABLE removed (
    hour  BIGINT NOT NULL PRIMARY KEY,
    bytes BIGINT NOT NULL
);
