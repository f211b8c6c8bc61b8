-- What the channel asks of `ecc_agent` often. Everything else about MID Servers goes through the ORM.

-- name: identify
-- The MID Server that a credential names, and what each of its requests needs to know.
SELECT sys_id, name, credential_hash, previous_credential_hash, validated, configuration,
    public_key, fingerprint, fips_enforced, proof_asked, paused, restart_asked
FROM ecc_agent
WHERE sys_id = :sys_id;

-- name: may_claim
-- A MID Server that gets work, unless it is paused.
SELECT configuration, paused FROM ecc_agent WHERE sys_id = :sys_id AND validated = 'true';

-- name: note_proof
-- A proof that a MID Server sent, unless it is known.
INSERT INTO fips_proof (sys_id, proof, signature, fingerprint)
VALUES (:sys_id, :proof, :signature, :fingerprint)
ON CONFLICT (sys_id) DO NOTHING;

-- name: note_issue
-- An issue of a MID Server, or one more time the one that is open.
INSERT INTO ecc_agent_issue (
    sys_id, sys_created_on, sys_created_by, sys_updated_on, sys_updated_by, sys_mod_count,
    mid_server_id, source, short_description, state, count, last_detected
) VALUES (:sys_id, :moment, 'system', :moment, 'system', 0, :mid_server, :source, :short_description, 'new', 1, :now)
ON CONFLICT (mid_server_id, source) WHERE state = 'new' DO UPDATE
SET short_description = :short_description,
    count = ecc_agent_issue.count + 1,
    last_detected = :now,
    sys_updated_on = :moment,
    sys_mod_count = ecc_agent_issue.sys_mod_count + 1;

-- name: processes
-- Which processes have spoken as a MID Server (`mid.copies`). Of two that two nodes hear in one moment one is kept: the
-- next is seconds off.
SELECT processes FROM ecc_agent WHERE sys_id = :sys_id;

-- name: open_issues
-- What is open on a MID Server.
SELECT source, short_description FROM ecc_agent_issue WHERE mid_server_id = :mid_server AND state = 'new';

-- name: resolve_issue
-- The cause of a MID Server's open issue is gone.
UPDATE ecc_agent_issue
SET state = 'resolved', resolved = :now, sys_updated_on = :moment, sys_mod_count = sys_mod_count + 1
WHERE mid_server_id = :mid_server AND source = :source AND state = 'new';

-- name: heartbeat
-- What a MID Server says of itself. Only these columns: an administrator may save the others at the same moment.
-- It has its new credential by now, so the one before a rekey is void.
UPDATE ecc_agent
SET version = :version,
    host_name = :host_name,
    host_os_distribution = :host_os_distribution,
    started = :started,
    last_refreshed = :now,
    reported_status = :status,
    fips_enforced = :fips_enforced,
    fips_proof_id = :proof,
    profile_statuses = :profile_statuses,
    profiles_not_loaded = :profiles_not_loaded,
    egress = :egress,
    load = :load,
    log_tail = CASE WHEN :log_tail = '[]' THEN log_tail ELSE :log_tail END,
    reported_capabilities = :capabilities,
    processes = :processes,
    previous_credential_hash = ''
WHERE sys_id = :sys_id;

-- name: heartbeat (postgresql)
-- `:log_tail` is compared as what the column is.
UPDATE ecc_agent
SET version = :version,
    host_name = :host_name,
    host_os_distribution = :host_os_distribution,
    started = :started,
    last_refreshed = :now,
    reported_status = :status,
    fips_enforced = CAST(:fips_enforced AS integer) != 0,
    fips_proof_id = :proof,
    profile_statuses = :profile_statuses,
    profiles_not_loaded = :profiles_not_loaded,
    egress = :egress,
    load = :load,
    log_tail = CASE WHEN CAST(:log_tail AS jsonb) = '[]' THEN log_tail ELSE CAST(:log_tail AS jsonb) END,
    reported_capabilities = :capabilities,
    processes = :processes,
    previous_credential_hash = ''
WHERE sys_id = :sys_id;
