-- Who a request's credentials name, and which roles that user has. `admin` is a superuser, or a member of the group admin.

-- name: by_token
-- The user of an API token that has not ended: a row for each role, one with none where there is none.
SELECT account.username, account.is_superuser, token.scope, role.name AS role
FROM api_token AS token
JOIN auth_user AS account ON account.id = token.user_id
LEFT JOIN auth_user_groups AS member ON member.user_id = account.id
LEFT JOIN auth_group AS role ON role.id = member.group_id
WHERE token.token_hash = :token_hash AND account.is_active AND (token.expires IS NULL OR token.expires > :now);

-- name: by_name
-- A user by name, for HTTP Basic.
SELECT
    account.id,
    account.username,
    account.password,
    account.is_superuser,
    'full' AS scope,
    EXISTS (SELECT 1 FROM totp_device AS device WHERE device.user_id = account.id AND device.confirmed) AS second_factor
FROM auth_user AS account
WHERE account.username = :username AND account.is_active;

-- name: roles
-- A user's roles.
SELECT role.name FROM auth_user_groups AS member JOIN auth_group AS role ON role.id = member.group_id
WHERE member.user_id = :user;
