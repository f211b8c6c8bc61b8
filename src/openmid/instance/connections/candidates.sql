-- Selection's questions, asked by the queue's writer. Portable to both databases.

-- name: candidates
-- The MID Servers that a connection means; `:profile`, `:mid`, `:cluster` may be empty.
SELECT
    agent.sys_id,
    agent.name,
    agent.validated,
    agent.reported_status,
    agent.last_refreshed,
    agent.fips_enforced,
    agent.paused,
    agent.profiles_not_loaded,
    CASE WHEN cluster.cluster_type = 'failover' THEN member."order" END AS place,
    CASE WHEN EXISTS (
        SELECT 1 FROM mid_protocol_profile AS profile
        WHERE profile.sys_id = :profile AND profile.applies_to = 'all'
    ) OR EXISTS (
        SELECT 1 FROM mid_protocol_profile_mid_list AS listed
        WHERE listed.midprotocolprofile_id = :profile AND listed.midserver_id = agent.sys_id
    ) THEN 1 ELSE 0 END AS profile_applies
FROM ecc_agent AS agent
LEFT JOIN ecc_agent_cluster_member_m2m AS member
    ON member.mid_server_id = agent.sys_id AND member.cluster_id = :cluster
LEFT JOIN ecc_agent_cluster AS cluster ON cluster.sys_id = member.cluster_id
WHERE (:mid = '' OR agent.sys_id = :mid) AND (:cluster = '' OR member.cluster_id = :cluster)
ORDER BY agent.name;

-- name: agents
-- How many MID Servers there are.
SELECT count(*) AS agents FROM ecc_agent;

-- name: some_candidates
-- As `candidates` for a connection that means all of them: `:limit` of many, those after `:skipped` others, and the first
-- `:more` of all, since behind the last comes the first.
SELECT
    agent.sys_id,
    agent.name,
    agent.validated,
    agent.reported_status,
    agent.last_refreshed,
    agent.fips_enforced,
    agent.paused,
    agent.profiles_not_loaded,
    NULL AS place,
    CASE WHEN EXISTS (
        SELECT 1 FROM mid_protocol_profile AS profile
        WHERE profile.sys_id = :profile AND profile.applies_to = 'all'
    ) OR EXISTS (
        SELECT 1 FROM mid_protocol_profile_mid_list AS listed
        WHERE listed.midprotocolprofile_id = :profile AND listed.midserver_id = agent.sys_id
    ) THEN 1 ELSE 0 END AS profile_applies
FROM ecc_agent AS agent
WHERE agent.sys_id IN (SELECT sys_id FROM ecc_agent ORDER BY sys_id LIMIT :limit OFFSET :skipped)
    OR agent.sys_id IN (SELECT sys_id FROM ecc_agent ORDER BY sys_id LIMIT :more)
ORDER BY agent.name;

-- name: statuses
-- What a MID Server says of its profiles.
SELECT profile_statuses FROM ecc_agent WHERE sys_id = :sys_id;

-- name: applications
SELECT link.midserver_id AS mid, item.name
FROM ecc_agent_application_m2m AS link
JOIN ecc_agent_application AS item ON item.sys_id = link.midapplication_id;

-- name: capabilities
SELECT link.midserver_id AS mid, item.name
FROM ecc_agent_capability_m2m AS link
JOIN ecc_agent_capability AS item ON item.sys_id = link.midcapability_id;

-- name: reported
-- What config.xml says that a MID Server can do.
SELECT sys_id AS mid, reported_capabilities FROM ecc_agent;

-- name: ranges
SELECT link.midserver_id AS mid, item.type, item.range
FROM ecc_agent_ip_range_m2m AS link
JOIN ecc_agent_ip_range AS item ON item.sys_id = link.iprange_id;

-- name: open_jobs
-- How many jobs wait for a MID Server; a hundred are as many as a thousand.
SELECT count(*) AS jobs FROM (
    SELECT 1 AS one FROM ecc_queue
    WHERE mid_server = :mid AND queue = 'output' AND state = 'ready'
    LIMIT 100
) AS waiting;

-- name: demands
-- What a connection asks of its MID Server and says with each call, beside what the planner reads.
SELECT
    connection.mid_selection,
    connection.mid_cluster_id,
    cluster.name AS cluster_name,
    application.name AS application,
    connection.connect_timeout,
    connection.tls_timeout,
    connection.first_byte_timeout,
    connection.credential_id,
    connection.additional_http_headers
FROM http_connection AS connection
LEFT JOIN ecc_agent_cluster AS cluster ON cluster.sys_id = connection.mid_cluster_id
LEFT JOIN ecc_agent_application AS application ON application.sys_id = connection.application_id
WHERE connection.sys_id = :sys_id;

-- name: demanded_capabilities
SELECT item.name FROM http_connection_capabilities AS link
JOIN ecc_agent_capability AS item ON item.sys_id = link.midcapability_id
WHERE link.httpconnection_id = :sys_id
ORDER BY item.name;
