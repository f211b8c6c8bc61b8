-- Sealed values of headers (records.header_secrets) in what the queue's writer owns. Each statement runs inside a
-- transaction of it. `:mark` is found without an index: this is for a command that runs once in a while.

-- name: plans
SELECT sys_id, plan AS text FROM step_execution
WHERE sys_id > :after AND plan LIKE :mark
ORDER BY sys_id
LIMIT :limit;

-- name: keep_plan
UPDATE step_execution SET plan = :text WHERE sys_id = :sys_id AND plan = :before;

-- name: payloads
SELECT sys_id, payload AS text FROM ecc_queue
WHERE sys_id > :after AND payload LIKE :mark
ORDER BY sys_id
LIMIT :limit;

-- name: keep_payload
UPDATE ecc_queue SET payload = :text WHERE sys_id = :sys_id AND payload = :before;
