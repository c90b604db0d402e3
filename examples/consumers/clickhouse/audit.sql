-- Lockstep's decisions in ClickHouse. The Kafka engine reads committed records only (the default of its client), at least once:
-- what comes twice has the same sorting key, and the ReplacingMergeTree keeps one of both (ask with FINAL). The hash is part of
-- the key because each partition has a chain of its own for what concerns all devices (~context).

CREATE TABLE lockstep_decisions
(
    agent LowCardinality(String),
    key String,
    count UInt64,
    recorded_at DateTime64(3, 'UTC'),
    revision UInt64,
    rule LowCardinality(String),
    fact_type LowCardinality(String),
    fact_id String,
    changes Array(String),
    reasons Array(String),
    commands Array(String),
    hash String
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (agent, key, count, hash);

CREATE TABLE lockstep_audit_queue
(
    record String
)
ENGINE = Kafka
SETTINGS kafka_broker_list = 'kafka:9092',
         kafka_topic_list = 'audit',
         kafka_group_name = 'clickhouse-lockstep',
         kafka_format = 'JSONAsString',
         kafka_num_consumers = 1;

CREATE MATERIALIZED VIEW lockstep_audit_into_decisions TO lockstep_decisions AS
SELECT
    JSONExtractString(record, 'agent') AS agent,
    JSONExtractString(record, 'key') AS key,
    JSONExtractUInt(record, 'count') AS count,
    fromUnixTimestamp64Milli(JSONExtractInt(record, 'recorded_at'), 'UTC') AS recorded_at,
    JSONExtractUInt(record, 'revision') AS revision,
    JSONExtractString(record, 'decision', 'rule') AS rule,
    JSONExtractString(record, 'fact', 'headers', 'ce_type') AS fact_type,
    JSONExtractString(record, 'fact', 'headers', 'ce_id') AS fact_id,
    arrayMap(each -> JSONExtractString(each, 'change'), JSONExtractArrayRaw(record, 'decision', 'changes')) AS changes,
    arrayMap(each -> JSONExtractString(each, 'reason'), JSONExtractArrayRaw(record, 'decision', 'reasons')) AS reasons,
    arrayMap(each -> JSONExtractString(each, 'id'), JSONExtractArrayRaw(record, 'commands')) AS commands,
    JSONExtractString(record, 'hash') AS hash
FROM lockstep_audit_queue;
