-- Where the lines that containers print are kept, for two weeks, beside the archive.

CREATE DATABASE IF NOT EXISTS logs;

CREATE TABLE IF NOT EXISTS logs.lines
(
    time DateTime64(6),
    container LowCardinality(String),
    stream LowCardinality(String),
    level LowCardinality(String),
    line String CODEC(ZSTD)
)
ENGINE = MergeTree
ORDER BY (container, time)
TTL toDateTime(time) + INTERVAL 14 DAY;
