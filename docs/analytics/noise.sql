-- Which conditions make work and which only noise: alerts, tickets, and how many were over by themselves within ten minutes.
-- Alerts of `lockstep send-test-alert` are nobody's condition and not counted.
WITH sightings AS (
  SELECT uid, min(happened_at) AS raised_at, arg_min(condition, recorded_at) AS condition,
         arg_min(coalesce(condition_name, source_name, source_type, source_config_uid, 'unknown'), recorded_at) AS name
  FROM alerts
  WHERE event IN ('triggered', 'observed') AND source_type IS DISTINCT FROM 'LOCKSTEP_TEST'
  GROUP BY uid
), ends AS (
  SELECT uid, min(happened_at) AS cleared_at FROM alerts WHERE event IN ('reset', 'gone') GROUP BY uid
), openers AS (
  SELECT opened_by AS uid, incident FROM incidents WHERE opened_by IS NOT NULL
), opened AS (
  SELECT uid, count(DISTINCT incident) AS tickets
  FROM openers
  WHERE incident IN (SELECT incident FROM tickets WHERE event IN ('opened', 'taken_over'))
  GROUP BY uid
)
SELECT name,
       count(*) AS alerts,
       coalesce(sum(tickets), 0)::BIGINT AS tickets,
       count(*) FILTER (cleared_at - raised_at BETWEEN 0 AND 600000) AS over_in_ten_minutes,
       round(median(cleared_at - raised_at) FILTER (cleared_at >= raised_at) / 1000, 1) AS lasted_seconds_p50
FROM sightings
LEFT JOIN ends USING (uid)
LEFT JOIN opened USING (uid)
GROUP BY condition, name
ORDER BY alerts DESC, name;
