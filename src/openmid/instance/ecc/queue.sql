-- Every statement of the ECC queue. Times are microseconds; `output` is a job for a MID Server, `input` what came back.
-- Each runs inside a transaction of the queue's writer. On SQLite (BEGIN IMMEDIATE) nobody else writes meanwhile. On
-- PostgreSQL several nodes do (READ COMMITTED): whoever moves a job on locks its row first, and whoever looks for jobs
-- passes over those that another node has locked.

-- name: insert_output
-- A job, ready to be claimed.
INSERT INTO ecc_queue (
    sys_id, sys_created_on, sys_updated_on, agent, mid_server, topic, name, source, queue, state, priority, sequence,
    payload, agent_correlator, response_to, error_string, idempotent, timeout_us, attempts, lease, cancel
) VALUES (
    :sys_id, :now, :now, :agent, :mid_server, :topic, :name, :source, 'output', 'ready', :priority, :sequence,
    :payload, :agent_correlator, '', '', :idempotent, :timeout_us, 0, '', 0
);

-- name: ready_of
-- How many jobs of a MID Server are ready, counted up to `:limit`.
SELECT count(*) AS jobs FROM (
    SELECT 1 FROM ecc_queue
    WHERE queue = 'output' AND state = 'ready' AND mid_server = :mid_server
    LIMIT :limit
) AS waiting;

-- name: ready
-- The same, of all MID Servers.
SELECT count(*) AS jobs FROM (
    SELECT 1 FROM ecc_queue
    WHERE queue = 'output' AND state = 'ready'
    LIMIT :limit
) AS waiting;

-- name: claim
-- Take the first ready jobs of the priorities from `:first` to `:last` of one MID Server, under a lease of their own.
-- RETURNING has no order: the caller sorts. Those that are ready since before `:before` are stranded.
UPDATE ecc_queue
SET state = 'processing',
    lease = :lease,
    lease_until = :now + :lease_us + timeout_us,
    attempts = attempts + 1,
    sys_updated_on = :now
WHERE sys_id IN (
    SELECT sys_id FROM ecc_queue
    WHERE queue = 'output' AND state = 'ready' AND mid_server = :mid_server AND priority BETWEEN :first AND :last
        AND (sequence >= :before OR sys_updated_on >= :before)
    ORDER BY priority, sequence
    LIMIT :limit
)
RETURNING priority, sequence, sys_id, lease, lease_until, attempts, idempotent, payload;

-- name: claim (postgresql)
-- The array is made once: a plan that made the list anew for each row would lock more than it takes.
UPDATE ecc_queue
SET state = 'processing',
    lease = :lease,
    lease_until = :now + :lease_us + timeout_us,
    attempts = attempts + 1,
    sys_updated_on = :now
WHERE sys_id = ANY(ARRAY(
    SELECT sys_id FROM ecc_queue
    WHERE queue = 'output' AND state = 'ready' AND mid_server = :mid_server AND priority BETWEEN :first AND :last
        AND (sequence >= :before OR sys_updated_on >= :before)
    ORDER BY priority, sequence
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
))
RETURNING priority, sequence, sys_id, lease, lease_until, attempts, idempotent, payload;

-- name: complete
-- Jobs are done: only under the lease that is in force, and by the MID Server that has them. `:jobs` are their sys_ids
-- and `:leases` "sys_id lease" of each, both JSON.
UPDATE ecc_queue
SET state = 'processed', processed = :now, sys_updated_on = :now
WHERE sys_id IN (SELECT value FROM json_each(:jobs)) AND queue = 'output' AND state = 'processing'
    AND mid_server = :mid_server AND sys_id || ' ' || lease IN (SELECT value FROM json_each(:leases))
RETURNING sys_id, lease, agent, mid_server, topic, name, source, agent_correlator;

-- name: item
-- A job whose result is late, or that shall be cancelled.
SELECT sys_id, agent, mid_server, topic, name, source, state, lease, attempts, idempotent, agent_correlator
FROM ecc_queue
WHERE sys_id = :sys_id AND queue = 'output';

-- name: item (postgresql)
SELECT sys_id, agent, mid_server, topic, name, source, state, lease, attempts, idempotent, agent_correlator
FROM ecc_queue
WHERE sys_id = :sys_id AND queue = 'output'
FOR UPDATE;

-- name: insert_input
-- What came back for a job. A late result has its reason in `error_string` and changes nothing else.
INSERT INTO ecc_queue (
    sys_id, sys_created_on, sys_updated_on, agent, mid_server, topic, name, source, queue, state, priority, sequence,
    payload, agent_correlator, response_to, error_string, processed, idempotent, timeout_us, attempts, lease, cancel
) VALUES (
    :sys_id, :now, :now, :agent, :mid_server, :topic, :name, :source, 'input', :state, 2, :sequence,
    :payload, :agent_correlator, :response_to, :error_string, :now, 0, 0, 0, :lease, 0
);

-- name: answered
-- Whether a result of this job under this lease is recorded already: a MID Server may send one twice.
SELECT sys_id, state FROM ecc_queue
WHERE queue = 'input' AND response_to = :sys_id AND lease = :lease;

-- name: results
-- The results of a job, the late ones too.
SELECT sys_id FROM ecc_queue
WHERE queue = 'input' AND response_to = :sys_id;

-- name: lapsed
-- Jobs whose lease ran out: their MID Server has gone, or its answer has not come through.
SELECT sys_id, agent, mid_server, topic, name, source, state, lease, attempts, idempotent, agent_correlator, cancel
FROM ecc_queue
WHERE queue = 'output' AND state = 'processing' AND lease_until < :now
ORDER BY lease_until
LIMIT :limit;

-- name: lapsed (postgresql)
SELECT sys_id, agent, mid_server, topic, name, source, state, lease, attempts, idempotent, agent_correlator, cancel
FROM ecc_queue
WHERE queue = 'output' AND state = 'processing' AND lease_until < :now
ORDER BY lease_until
LIMIT :limit
FOR UPDATE SKIP LOCKED;

-- name: stranded
-- Ready jobs that will not be run: their MID Server is not trusted or not there any more, or has let them wait since
-- before `:before`. A job's sequence is about the time at which it was put, so the index passes over the young ones.
SELECT
    item.sys_id,
    item.agent,
    item.attempts,
    mid.validated,
    mid.reported_status,
    mid.last_refreshed
FROM ecc_queue AS item INDEXED BY ecc_queue_ready
LEFT JOIN ecc_agent AS mid ON mid.sys_id = item.mid_server
WHERE item.queue = 'output' AND item.state = 'ready' AND (
    mid.validated IS NULL OR mid.validated != 'true' OR (item.sequence < :before AND item.sys_updated_on < :before)
)
LIMIT :limit;

-- name: stranded (postgresql)
SELECT
    item.sys_id,
    item.agent,
    item.attempts,
    mid.validated,
    mid.reported_status,
    mid.last_refreshed
FROM ecc_queue AS item
LEFT JOIN ecc_agent AS mid ON mid.sys_id = item.mid_server
WHERE item.queue = 'output' AND item.state = 'ready' AND (
    mid.validated IS NULL OR mid.validated != 'true' OR (item.sequence < :before AND item.sys_updated_on < :before)
)
LIMIT :limit
FOR UPDATE OF item SKIP LOCKED;

-- name: unattended
-- Ready jobs, in the queue's order after `:after`, whose MID Server is Down, paused, not trusted or not there any more.
SELECT item.sys_id, item.sequence, item.mid_server
FROM ecc_queue AS item
LEFT JOIN ecc_agent AS mid ON mid.sys_id = item.mid_server
WHERE item.queue = 'output' AND item.state = 'ready' AND item.sequence > :after AND (
    mid.validated IS NULL OR mid.validated != 'true' OR mid.paused OR mid.reported_status = 'Degraded'
    OR mid.last_refreshed IS NULL OR mid.last_refreshed < :heard
)
ORDER BY item.sequence
LIMIT :limit;

-- name: unattended (postgresql)
SELECT item.sys_id, item.sequence, item.mid_server
FROM ecc_queue AS item
LEFT JOIN ecc_agent AS mid ON mid.sys_id = item.mid_server
WHERE item.queue = 'output' AND item.state = 'ready' AND item.sequence > :after AND (
    mid.validated IS NULL OR mid.validated != 'true' OR mid.paused OR mid.reported_status = 'Degraded'
    OR mid.last_refreshed IS NULL OR mid.last_refreshed < :heard
)
ORDER BY item.sequence
LIMIT :limit
FOR UPDATE OF item SKIP LOCKED;

-- name: move
-- A job that nobody has taken, for another MID Server.
UPDATE ecc_queue SET mid_server = :mid_server, agent = :agent, sys_updated_on = :now
WHERE sys_id = :sys_id AND queue = 'output' AND state = 'ready';

-- name: requeue
-- Back to ready: the request may safely be made again (RFC 9110, section 9.2.2).
UPDATE ecc_queue
SET state = 'ready', lease = '', lease_until = NULL, sys_updated_on = :now
WHERE sys_id = :sys_id AND state = 'processing';

-- name: release
-- Back to ready, as if it had never been claimed: its MID Server says that nothing was sent.
UPDATE ecc_queue
SET state = 'ready', lease = '', lease_until = NULL, attempts = attempts - 1, sys_updated_on = :now
WHERE sys_id = :sys_id AND state = 'processing' AND lease = :lease;

-- name: in_force
-- A job under the lease in force.
SELECT sys_id, agent, mid_server, attempts, idempotent, cancel FROM ecc_queue
WHERE sys_id = :sys_id AND queue = 'output' AND state = 'processing' AND lease = :lease AND mid_server = :mid_server;

-- name: in_force (postgresql)
SELECT sys_id, agent, mid_server, attempts, idempotent, cancel FROM ecc_queue
WHERE sys_id = :sys_id AND queue = 'output' AND state = 'processing' AND lease = :lease AND mid_server = :mid_server
FOR UPDATE;

-- name: holds
-- Whether a MID Server has a job under this lease, for those who only read.
SELECT sys_id FROM ecc_queue
WHERE sys_id = :sys_id AND queue = 'output' AND state = 'processing' AND lease = :lease AND mid_server = :mid_server;

-- name: names
-- A job that a MID Server has and whose payload names something.
SELECT sys_id FROM ecc_queue
WHERE mid_server = :mid_server AND queue = 'output' AND state = 'processing' AND payload LIKE :text LIMIT 1;

-- name: cancel
-- Ask the MID Server that has the job to stop it.
UPDATE ecc_queue SET cancel = 1, sys_updated_on = :now
WHERE sys_id = :sys_id AND queue = 'output' AND state = 'processing';

-- name: cancelled
-- The jobs that a MID Server runs and shall stop.
SELECT sys_id FROM ecc_queue
WHERE queue = 'output' AND state = 'processing' AND cancel = 1 AND mid_server = :mid_server;

-- name: fail
-- A job ends without a result.
UPDATE ecc_queue
SET state = 'error', error_string = :error_string, processed = :now, sys_updated_on = :now
WHERE sys_id = :sys_id AND queue = 'output' AND state IN ('ready', 'processing');
