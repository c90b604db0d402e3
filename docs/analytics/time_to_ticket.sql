-- From the alert in NinjaOne to its ticket in Autotask, by organization: half of all, and nine of ten, were no slower.
WITH opened AS (
  SELECT incident, min(happened_at) AS opened_at, any_value(organization_name) AS organization
  FROM tickets
  WHERE event = 'opened'
  GROUP BY incident
), openers AS (
  SELECT incident, any_value(opened_by) AS uid FROM incidents WHERE opened_by IS NOT NULL GROUP BY incident
), raised AS (
  SELECT uid, min(happened_at) AS raised_at FROM alerts WHERE event IN ('triggered', 'observed') AND source_type IS DISTINCT FROM 'LOCKSTEP_TEST'
  GROUP BY uid
)
SELECT organization,
       count(*) AS tickets,
       round(quantile_cont(opened_at - raised_at, 0.5) / 1000, 3) AS seconds_p50,
       round(quantile_cont(opened_at - raised_at, 0.9) / 1000, 3) AS seconds_p90
FROM opened JOIN openers USING (incident) JOIN raised USING (uid)
GROUP BY organization
ORDER BY organization;
