-- From a technician's completion of a ticket to the reset of its alerts in NinjaOne, by organization.
WITH tests AS (
  SELECT incident FROM incidents
  WHERE opened_by IN (SELECT uid FROM alerts WHERE source_type = 'LOCKSTEP_TEST')
), completed AS (
  SELECT incident, happened_at AS completed_at, organization_name AS organization
  FROM tickets
  WHERE event = 'completed' AND done_by = 'technician' AND incident NOT IN (FROM tests)
), resets AS (
  SELECT incident, command_id, recorded_at AS reset_at
  FROM commands
  WHERE event = 'settled' AND command = 'ResetAlert' AND outcome = 'Succeeded'
), each AS (
  -- A ticket may be completed more than once: a reset belongs to the last completion before it.
  SELECT command_id, any_value(organization) AS organization, min(reset_at - completed_at) AS took
  FROM completed JOIN resets USING (incident)
  WHERE reset_at >= completed_at
  GROUP BY command_id
)
SELECT organization,
       count(*) AS resets,
       round(quantile_cont(took, 0.5) / 1000, 3) AS seconds_p50,
       round(quantile_cont(took, 0.9) / 1000, 3) AS seconds_p90
FROM each
GROUP BY organization
ORDER BY organization;
