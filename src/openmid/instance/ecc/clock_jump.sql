-- What was promised before the wall clock was moved, moved along with it.

-- name: leases
UPDATE ecc_queue SET lease_until = lease_until + :jump WHERE queue = 'output' AND state = 'processing';

-- name: ready
-- A job counts its waiting from here (`stranded`).
UPDATE ecc_queue SET sys_updated_on = sys_updated_on + :jump WHERE queue = 'output' AND state = 'ready';

-- name: heartbeats
UPDATE ecc_agent SET last_refreshed = last_refreshed + :jump WHERE last_refreshed IS NOT NULL;

-- name: overlong
-- Leases that an instance gave whose clock was ahead: none holds longer than it was given for.
UPDATE ecc_queue SET lease_until = :now + :lease_us + timeout_us
WHERE queue = 'output' AND state = 'processing' AND lease_until > :now + :lease_us + timeout_us;

-- name: owed
-- Leases that ended while there was nobody to deliver to: MID Servers have kept the results, and come with them now.
UPDATE ecc_queue SET lease_until = :until
WHERE queue = 'output' AND state = 'processing' AND lease_until < :until;

-- name: waited
-- Jobs that nobody could take meanwhile count their waiting from here.
UPDATE ecc_queue SET sys_updated_on = :now WHERE queue = 'output' AND state = 'ready';
