-- What is older than its retention. Each statement runs inside a transaction of the queue's writer.

-- name: old_executions
-- The oldest executions that have ended.
SELECT sys_id FROM execution
WHERE sys_created_on < :before AND state IN ('Completed', 'Error', 'Cancelled')
ORDER BY sys_created_on
LIMIT :limit;

-- name: items
-- The jobs of an execution.
SELECT item FROM step_execution WHERE execution = :execution AND item != '';

-- name: delete_responses
DELETE FROM ecc_queue WHERE queue = 'input' AND response_to = :item;

-- name: delete_item
DELETE FROM ecc_queue WHERE sys_id = :item;

-- name: delete_steps
DELETE FROM step_execution WHERE execution = :execution;

-- name: delete_execution
DELETE FROM execution WHERE sys_id = :execution;

-- name: delete_left_over
-- Items of the queue that no execution knows any more.
DELETE FROM ecc_queue WHERE sys_id IN (
    SELECT sys_id FROM ecc_queue
    WHERE sys_created_on < :before AND state IN ('processed', 'error')
    ORDER BY sys_created_on
    LIMIT :limit
);

-- name: proofs
SELECT COUNT(*) AS count FROM fips_proof;

-- name: loose_proofs
-- Proofs that are nobody's evidence: no step that is kept refers to them, and no MID Server has them now. Reads every step.
SELECT sys_id FROM fips_proof
WHERE sys_id NOT IN (SELECT fips_proof FROM step_execution)
    AND sys_id NOT IN (SELECT fips_proof_id FROM ecc_agent WHERE fips_proof_id IS NOT NULL);

-- name: delete_proof
DELETE FROM fips_proof
WHERE sys_id = :sys_id AND NOT EXISTS (SELECT 1 FROM ecc_agent WHERE fips_proof_id = fips_proof.sys_id);
