-- Who a request's credentials name. Roles: `admin` is a superuser or a member of the group admin.

-- name: by_token
-- The user of an API token.
SELECT account.username, account.password, account.is_superuser OR EXISTS (
    SELECT 1 FROM auth_user_groups AS member JOIN auth_group AS role ON role.id = member.group_id
    WHERE member.user_id = account.id AND role.name = 'admin'
) AS is_admin
FROM api_token AS token JOIN auth_user AS account ON account.id = token.user_id
WHERE token.token_hash = :token_hash AND account.is_active;

-- name: by_name
-- A user by name, for HTTP Basic.
SELECT account.username, account.password, account.is_superuser OR EXISTS (
    SELECT 1 FROM auth_user_groups AS member JOIN auth_group AS role ON role.id = member.group_id
    WHERE member.user_id = account.id AND role.name = 'admin'
) AS is_admin
FROM auth_user AS account
WHERE account.username = :username AND account.is_active;
