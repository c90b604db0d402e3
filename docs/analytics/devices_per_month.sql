-- How many devices a company had in a month, for billing, with the decisions that prove each: `lockstep explain DEVICE` shows them.
-- A device counts from the writing of its configuration item in the company to its retirement there.
WITH events AS (
  SELECT company_id, device_id, event, record, recorded_at, split_part(record, '/', 3)::BIGINT AS number
  FROM devices
  WHERE event IN ('item_written', 'item_retired') AND company_id IS NOT NULL
), turns AS (
  -- Of writings in a row the first begins the time, the others are changes of the item.
  SELECT *, lag(event) OVER item AS before
  FROM events
  WINDOW item AS (PARTITION BY company_id, device_id ORDER BY recorded_at, number)
), spans AS (
  SELECT company_id, device_id, event, record AS begun_by, recorded_at AS since,
         lead(record) OVER item AS ended_by, lead(recorded_at) OVER item AS until
  FROM turns
  WHERE event IS DISTINCT FROM before
  WINDOW item AS (PARTITION BY company_id, device_id ORDER BY recorded_at, number)
), months AS (
  SELECT unnest(generate_series(date_trunc('month', min(make_timestamp_ms(recorded_at))),
                                date_trunc('month', max(make_timestamp_ms(recorded_at))), INTERVAL 1 MONTH)) AS month
  FROM events
), counted AS (
  SELECT month, company_id, device_id, begun_by, ended_by,
         until IS NULL OR make_timestamp_ms(until) >= month + INTERVAL 1 MONTH AS at_end
  FROM months JOIN spans
    ON make_timestamp_ms(since) < month + INTERVAL 1 MONTH AND (until IS NULL OR make_timestamp_ms(until) >= month)
  WHERE event = 'item_written'
)
SELECT strftime(month, '%Y-%m') AS month,
       company_id,
       count(DISTINCT device_id) AS devices,
       count(DISTINCT device_id) FILTER (at_end) AS devices_at_end,
       list(DISTINCT begun_by || coalesce(' to ' || ended_by, '') ORDER BY begun_by || coalesce(' to ' || ended_by, '')) AS proof
FROM counted
GROUP BY month, company_id
ORDER BY month, company_id;
