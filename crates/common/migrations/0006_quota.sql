create table ops.quotas (
    quota_id    bigint      generated always as identity primary key,
    marketplace text        not null check (marketplace in ('amazon', 'etsy', 'ebay')),
    credential  text        not null,
    scope       text        not null,
    account     jsonb       not null,
    updated_at  timestamptz not null,
    unique (marketplace, credential, scope)
);
comment on table ops.quotas is 'The quota ledger: how much of each limit of a marketplace is spent, shared by all collectors of all machines.';
comment on column ops.quotas.quota_id is 'Identifier.';
comment on column ops.quotas.marketplace is 'Marketplace that sets the limit.';
comment on column ops.quotas.credential is 'Fingerprint of the credential that is limited, with its region where regions count by themselves; not a secret.';
comment on column ops.quotas.scope is 'What is counted together: an operation, an API, or any for all requests of the credential.';
comment on column ops.quotas.account is 'Windows with their limits and what is spent of each, the slow-down in force, and a pause a marketplace asked for.';
comment on column ops.quotas.updated_at is 'When the account changed last.';

create table ops.quota_permits (
    permit_id     bigint      generated always as identity primary key,
    marketplace   text        not null check (marketplace in ('amazon', 'etsy', 'ebay')),
    operation     text        not null,
    quota_ids     bigint[]    not null,
    crawl_run_id  uuid,
    job_id        uuid,
    holder        integer     not null,
    state         text        not null check (state in ('open', 'spent', 'returned', 'expired')),
    granted_at    timestamptz not null,
    send_at       timestamptz not null,
    expires_at    timestamptz not null,
    settled_at    timestamptz,
    status_code   smallint,
    check ((settled_at is null) = (state = 'open'))
);
comment on table ops.quota_permits is 'Every permission to send one request, and what became of it. A unit of quota is spent here or nowhere.';
comment on column ops.quota_permits.permit_id is 'Identifier.';
comment on column ops.quota_permits.marketplace is 'Marketplace that is asked.';
comment on column ops.quota_permits.operation is 'The marketplace''s name of the operation.';
comment on column ops.quota_permits.quota_ids is 'The quotas it counts against.';
comment on column ops.quota_permits.crawl_run_id is 'The crawl run it is spent for; null for a request that serves none, such as a look at the limits.';
comment on column ops.quota_permits.job_id is 'The job it is spent for; null for a request that serves none.';
comment on column ops.quota_permits.holder is 'Process that holds it: key of the advisory lock that it keeps as long as it lives.';
comment on column ops.quota_permits.state is 'open (may be on its way), spent, returned (certainly not sent), expired (its holder died; counted as spent).';
comment on column ops.quota_permits.granted_at is 'When it was granted, by the clock of the database.';
comment on column ops.quota_permits.send_at is 'The request is not sent before this moment.';
comment on column ops.quota_permits.expires_at is 'The request is over, or was never sent, by this moment.';
comment on column ops.quota_permits.settled_at is 'When it became known that the request was over.';
comment on column ops.quota_permits.status_code is 'HTTP status of the answer; null when none came.';
create index quota_permits_open on ops.quota_permits (expires_at) where state = 'open';
create index quota_permits_by_run on ops.quota_permits (crawl_run_id, operation);

create table ops.access_tokens (
    marketplace      text        not null check (marketplace in ('amazon', 'etsy', 'ebay')),
    credential       text        not null,
    token_kind       text        not null,
    sealed_token     bytea,
    refresh_at       timestamptz,
    mint_count       bigint      not null default 0,
    minting_until    timestamptz,
    minted_at        timestamptz,
    primary key (marketplace, credential, token_kind)
);
comment on table ops.access_tokens is 'Access tokens that all collectors share, encrypted with a key that follows from the credential and is not stored.';
comment on column ops.access_tokens.marketplace is 'Marketplace that issued it.';
comment on column ops.access_tokens.credential is 'Fingerprint of the credential it was issued for; not a secret.';
comment on column ops.access_tokens.token_kind is 'What it stands for: main, advertiser, insights or user.';
comment on column ops.access_tokens.sealed_token is 'The token, AES-256-GCM, nonce first; null before the first and after a refused one.';
comment on column ops.access_tokens.refresh_at is 'From this moment on it is replaced.';
comment on column ops.access_tokens.mint_count is 'How often a token was fetched.';
comment on column ops.access_tokens.minting_until is 'Until this moment one collector is fetching a token and the others wait.';
comment on column ops.access_tokens.minted_at is 'When it was fetched.';
