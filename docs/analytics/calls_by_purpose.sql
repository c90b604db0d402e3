-- What the calls to both vendors were for. Polls, tests and tokens are not in the log, so not in here.
SELECT vendor,
       purpose,
       count(*) AS commands,
       sum(calls)::BIGINT AS calls,
       count(*) FILTER (written) AS written,
       round(sum(calls) / count(*), 2) AS calls_each
FROM calls
GROUP BY vendor, purpose
ORDER BY calls DESC, vendor, purpose;
