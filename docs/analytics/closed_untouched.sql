-- Tickets that opened and closed without anybody touching them, by rule of the last decision: candidates for a hold.
-- The tickets of `lockstep send-test-alert` are not counted.
WITH completed AS (
  SELECT incident, arg_max(rule, recorded_at) AS rule
  FROM tickets
  WHERE event = 'completed' AND done_by = 'lockstep'
  GROUP BY incident
), touched AS (
  SELECT DISTINCT incident FROM tickets WHERE assigned OR done_by IN ('technician', 'customer') OR reason = 'TouchedByTechnician'
), tests AS (
  SELECT incident FROM incidents
  WHERE opened_by IN (SELECT uid FROM alerts WHERE source_type = 'LOCKSTEP_TEST')
), opened AS (
  SELECT incident, any_value(rule) AS rule
  FROM commands
  WHERE event = 'ordered' AND command = 'CreateTicket'
  GROUP BY incident
)
SELECT coalesce(opened.rule, completed.rule) AS rule,
       count(*) AS completed,
       count(*) FILTER (incident NOT IN (FROM touched)) AS untouched
FROM completed LEFT JOIN opened USING (incident)
WHERE incident NOT IN (FROM tests)
GROUP BY ALL
ORDER BY untouched DESC, rule;
