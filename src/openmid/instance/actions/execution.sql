-- Every statement of executions. Times are microseconds. Each runs inside a transaction of the queue's writer.

-- name: action
-- The action of a name as it was published, or, where `draft` is 1 or nothing was published, as it is being edited.
SELECT
    action.sys_id,
    action.name,
    COALESCE(version.sys_id, '') AS version,
    COALESCE(version.number, 0) AS number,
    COALESCE(version.inputs, action.inputs) AS inputs,
    COALESCE(version.outputs, action.outputs) AS outputs
FROM action
LEFT JOIN action_version AS version ON version.sys_id = action.published_id AND :draft = 0
WHERE action.name = :name;

-- name: name_of_action
-- What an action is called by now.
SELECT name FROM action WHERE sys_id = :sys_id;

-- name: steps
-- The steps of an action in order, each with the alias's active connection and the profile that the call needs:
-- the connection's, or, for a base URL in the step, the one whose protocol the URL starts with.
SELECT
    step.name,
    step.type,
    step.connection,
    step.inline_url,
    step.method,
    step.resource_path,
    step.headers,
    step.query,
    step.body_kind,
    step.body,
    step.form,
    step.parts,
    step.attachment,
    step.soap_version,
    step.soap_action,
    step.outputs,
    step.save_as,
    step.follow_redirects,
    step.retry_kind,
    step.retry_count,
    step.retry_interval,
    step.retry_max_elapsed,
    step.retry_statuses,
    step.retry_failures,
    step.retry_any_method,
    step.on_failure,
    alias.name AS alias,
    connection.sys_id AS connection_sys_id,
    connection.name AS connection_name,
    connection.connection_url,
    connection.mid_selection,
    connection.mid_server_id,
    connection.require_fips,
    connection.connection_timeout,
    connection.ca_certificates,
    profile.sys_id AS profile,
    profile.protocol
FROM action_step AS step
LEFT JOIN sys_alias AS alias ON alias.sys_id = step.connection_alias_id AND step.connection = 'alias'
LEFT JOIN http_connection AS connection ON connection.connection_alias_id = alias.sys_id AND connection.active
LEFT JOIN mid_protocol_profile AS profile
    ON (profile.sys_id = connection.mid_protocol_profile_id AND connection.mutual_auth)
    OR (step.connection = 'inline' AND step.inline_url LIKE profile.protocol || '://%')
WHERE step.action_id = :action AND COALESCE(step.version_id, '') = :version
ORDER BY step."order", step.sys_created_on;

-- name: alias
-- An alias with its active connection and that connection's profile: what an ad hoc request needs, as `steps` has it.
SELECT
    'alias' AS connection,
    '' AS inline_url,
    alias.name AS alias,
    connection.sys_id AS connection_sys_id,
    connection.name AS connection_name,
    connection.connection_url,
    connection.mid_selection,
    connection.mid_server_id,
    connection.require_fips,
    connection.connection_timeout,
    connection.ca_certificates,
    profile.sys_id AS profile,
    profile.protocol
FROM sys_alias AS alias
LEFT JOIN http_connection AS connection ON connection.connection_alias_id = alias.sys_id AND connection.active
LEFT JOIN mid_protocol_profile AS profile
    ON profile.sys_id = connection.mid_protocol_profile_id AND connection.mutual_auth
WHERE alias.name = :name;

-- name: wants
-- The plan of the step that waits for a job.
SELECT sys_id, plan FROM step_execution WHERE item = :item AND state = 'In Progress';

-- name: move_step
UPDATE step_execution SET mid_server = :mid_server WHERE sys_id = :sys_id;

-- name: by_key
-- The execution that a user started with this Idempotency-Key.
SELECT sys_id, action, action_name FROM execution WHERE sys_created_by = :user AND idempotency_key = :key;

-- name: insert_execution
INSERT INTO execution (
    sys_id, sys_created_on, sys_created_by, action, action_name, version, state, priority, idempotency_key,
    inputs, output_plan, outputs
) VALUES (
    :sys_id, :now, :user, :action, :action_name, :version, 'In Progress', :priority, :key, :inputs, :output_plan, '{}'
);

-- name: insert_step
INSERT INTO step_execution (
    sys_id, execution, position, name, state, plan, item, response, mid_server, fips_proof, error, started, outputs
) VALUES (
    :sys_id, :execution, :position, :name, :state, :plan, :item, '', :mid_server, '', '', :started, '{}'
);

-- name: inputs
SELECT inputs, output_plan FROM execution WHERE sys_id = :execution;

-- name: brought
-- What the steps of an execution have brought so far.
SELECT step.name, step.outputs, response.payload AS result
FROM step_execution AS step LEFT JOIN ecc_queue AS response ON response.sys_id = step.response
WHERE step.execution = :execution AND step.finished IS NOT NULL
ORDER BY step.position;

-- name: attachment
SELECT sys_id, file_name, content_type, size_bytes FROM sys_attachment WHERE sys_id = :sys_id;

-- name: next_step
-- The first step of an execution that has not begun, and whether somebody wanted an earlier one cancelled.
SELECT
    step.sys_id,
    step.execution,
    step.name,
    step.plan,
    execution.priority,
    EXISTS (
        SELECT 1 FROM step_execution AS earlier JOIN ecc_queue AS job ON job.sys_id = earlier.item
        WHERE earlier.execution = step.execution AND job.cancel = 1
    ) AS cancelled
FROM step_execution AS step JOIN execution ON execution.sys_id = step.execution
WHERE step.execution = :execution AND step.state = 'Waiting'
ORDER BY step.position
LIMIT 1;

-- name: running_step
-- The job of the step of an execution that is in progress.
SELECT item FROM step_execution
WHERE execution = :execution AND state = 'In Progress';

-- name: steps_of_items
-- The steps in progress of these jobs (JSON), whether another waits for its end, and what the action brings.
SELECT
    step.sys_id,
    step.item,
    step.execution,
    step.plan,
    EXISTS (
        SELECT 1 FROM step_execution AS later WHERE later.execution = step.execution AND later.state = 'Waiting'
    ) AS waiting,
    execution.output_plan
FROM step_execution AS step JOIN execution ON execution.sys_id = step.execution
WHERE step.item IN (SELECT value FROM json_each(:items)) AND step.state = 'In Progress';

-- name: begin_step
-- Its plan is what it turned out to be.
UPDATE step_execution SET state = 'In Progress', started = :now, item = :item, mid_server = :mid_server, plan = :plan
WHERE sys_id = :sys_id;

-- name: end_step
UPDATE step_execution
SET state = :state,
    started = COALESCE(started, :now),
    finished = :now,
    response = :response,
    fips_proof = :fips_proof,
    error = :error,
    outputs = :outputs
WHERE sys_id = :sys_id;

-- name: cancel_steps
-- The steps after one that failed.
UPDATE step_execution SET state = 'Cancelled' WHERE execution = :execution AND state = 'Waiting';

-- name: end_execution
UPDATE execution SET state = :state, finished = :now, outputs = :outputs WHERE sys_id = :execution;

-- name: proof_of_mid
-- What a MID Server proved last.
SELECT fips_proof_id FROM ecc_agent WHERE sys_id = :sys_id;

-- name: executions
SELECT sys_id, sys_created_on, sys_created_by, action, action_name, version, state, finished, inputs, outputs
FROM execution
WHERE sys_id IN (SELECT value FROM json_each(:executions));

-- name: execution
SELECT sys_id, action, action_name, version, state, inputs FROM execution WHERE sys_id = :sys_id;

-- name: step_details
-- The steps of executions (JSON) in order, each with the result that came back.
SELECT
    step.execution,
    step.name,
    step.state,
    step.plan,
    step.item,
    step.mid_server,
    proof.proof AS fips_proof,
    step.error,
    step.started,
    step.finished,
    step.outputs,
    job.lease_until,
    job.timeout_us,
    job.attempts,
    response.payload AS result
FROM step_execution AS step
LEFT JOIN ecc_queue AS job ON job.sys_id = step.item
LEFT JOIN ecc_queue AS response ON response.sys_id = step.response
LEFT JOIN fips_proof AS proof ON proof.sys_id = step.fips_proof
WHERE step.execution IN (SELECT value FROM json_each(:executions))
ORDER BY step.execution, step.position;

-- name: step_answers
-- The steps of executions (JSON) in order, with no more than what came back.
SELECT step.execution, step.name, step.state, step.error, step.outputs, response.payload AS result
FROM step_execution AS step LEFT JOIN ecc_queue AS response ON response.sys_id = step.response
WHERE step.execution IN (SELECT value FROM json_each(:executions))
ORDER BY step.execution, step.position;
