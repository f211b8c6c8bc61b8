-- What the channel asks of `ecc_agent` often. Everything else about MID Servers goes through the ORM.

-- name: identify
-- The MID Server that a credential names, and what each of its requests needs to know.
SELECT sys_id, name, credential_hash, previous_credential_hash, validated, configuration
FROM ecc_agent
WHERE sys_id = :sys_id;

-- name: note_proof
-- A proof that a MID Server sent, unless it is known.
INSERT INTO fips_proof (sys_id, proof) VALUES (:sys_id, :proof) ON CONFLICT (sys_id) DO NOTHING;

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
    egress = :egress,
    previous_credential_hash = ''
WHERE sys_id = :sys_id;
