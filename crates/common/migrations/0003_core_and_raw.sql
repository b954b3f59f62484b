create table core.keywords (
    keyword_id            bigint      generated always as identity primary key,
    marketplace           text        not null check (marketplace in ('amazon', 'etsy', 'ebay')),
    market                text        not null,
    keyword_text          text        not null check (keyword_text <> ''),
    original_text         text        not null,
    normalization_version smallint    not null,
    is_active             boolean     not null default true,
    created_at            timestamptz not null,
    unique (marketplace, market, keyword_text)
);
comment on table core.keywords is 'Normalised search terms, one per market.';
comment on column core.keywords.keyword_id is 'Identifier.';
comment on column core.keywords.marketplace is 'amazon, etsy or ebay.';
comment on column core.keywords.market is 'Country site, ISO 3166 alpha-2 in capitals.';
comment on column core.keywords.keyword_text is 'The normalised text that is searched for and compared.';
comment on column core.keywords.original_text is 'The text as it was first written.';
comment on column core.keywords.normalization_version is 'Version of the reading that made keyword_text.';
comment on column core.keywords.is_active is 'True when crawl runs cover it.';
comment on column core.keywords.created_at is 'When it became known here.';

create table raw.payloads (
    raw_payload_id   bigint      generated always as identity primary key,
    request_key      text        not null unique,
    marketplace      text        not null check (marketplace in ('amazon', 'etsy', 'ebay')),
    market           text        not null,
    resource         text        not null,
    keyword_id       bigint      references core.keywords,
    crawl_run_id     uuid        not null references ops.crawl_runs,
    job_id           uuid        references ops.jobs,
    page_number      integer     not null check (page_number >= 1),
    request_method   text        not null,
    request_url      text        not null,
    request_body     text,
    status_code      smallint    not null,
    response_headers jsonb       not null,
    content_type     text,
    body             bytea       not null,
    body_encoding    text        not null check (body_encoding in ('identity', 'zstd')),
    body_size_bytes  bigint      not null check (body_size_bytes >= 0),
    content_sha256   bytea       not null check (octet_length(content_sha256) = 32),
    fetched_at       timestamptz not null,
    ingested_at      timestamptz not null
);
comment on table raw.payloads is 'The body of an answer, verbatim, with the request that brought it. Never changed.';
comment on column raw.payloads.raw_payload_id is 'Identifier.';
comment on column raw.payloads.request_key is 'Natural key of the request: asking twice stores one answer.';
comment on column raw.payloads.marketplace is 'Marketplace that answered.';
comment on column raw.payloads.market is 'Country site that was asked.';
comment on column raw.payloads.resource is 'Kind of data that was asked for.';
comment on column raw.payloads.keyword_id is 'Keyword that was asked for; null for answers about many.';
comment on column raw.payloads.crawl_run_id is 'The crawl run that asked.';
comment on column raw.payloads.job_id is 'The job that asked; null for recorded answers that were brought in.';
comment on column raw.payloads.page_number is 'Page of the resource within the crawl run, from 1.';
comment on column raw.payloads.request_method is 'HTTP method.';
comment on column raw.payloads.request_url is 'Address that was asked, secrets removed.';
comment on column raw.payloads.request_body is 'Body that was sent, secrets removed.';
comment on column raw.payloads.status_code is 'HTTP status of the answer.';
comment on column raw.payloads.response_headers is 'Headers of the answer, cookies removed.';
comment on column raw.payloads.content_type is 'Media type the answer claimed.';
comment on column raw.payloads.body is 'The body, encoded as body_encoding says.';
comment on column raw.payloads.body_encoding is 'zstd: compressed here; identity: stored as it came because it came compressed.';
comment on column raw.payloads.body_size_bytes is 'Size of the body as received.';
comment on column raw.payloads.content_sha256 is 'SHA-256 of the body as received.';
comment on column raw.payloads.fetched_at is 'When the answer arrived.';
comment on column raw.payloads.ingested_at is 'When it became known to this system.';
create index payloads_by_run on raw.payloads (crawl_run_id);
create index payloads_by_keyword on raw.payloads (keyword_id, fetched_at);

create table raw.payload_readings (
    raw_payload_id        bigint      primary key references raw.payloads on delete cascade,
    outcome               text        not null check (outcome in ('processed', 'quarantined')),
    reason                text,
    reader_version        smallint    not null,
    row_count             integer     not null default 0,
    observation_count     integer     not null default 0,
    listing_count         integer     not null default 0,
    serp_entry_count      integer     not null default 0,
    quarantined_row_count integer     not null default 0,
    untracked_row_count   integer     not null default 0,
    read_at               timestamptz not null,
    check (outcome = 'processed' or reason is not null),
    check (outcome = 'processed' or observation_count + listing_count + serp_entry_count = 0)
);
comment on table raw.payload_readings is 'What became of a payload: processed, or quarantined whole with a reason.';
comment on column raw.payload_readings.raw_payload_id is 'The payload.';
comment on column raw.payload_readings.outcome is 'processed, or quarantined when nothing in it could be trusted.';
comment on column raw.payload_readings.reason is 'Why it was quarantined.';
comment on column raw.payload_readings.reader_version is 'Version of the code that read it.';
comment on column raw.payload_readings.row_count is 'Rows (items, listings, report rows) the payload held.';
comment on column raw.payload_readings.observation_count is 'Keyword observations it gave.';
comment on column raw.payload_readings.listing_count is 'Listings it gave.';
comment on column raw.payload_readings.serp_entry_count is 'SERP entries it gave.';
comment on column raw.payload_readings.quarantined_row_count is 'Rows of it that were quarantined.';
comment on column raw.payload_readings.untracked_row_count is 'Rows about search terms that nobody tracks here.';
comment on column raw.payload_readings.read_at is 'When it was read.';

create table raw.quarantined_rows (
    quarantined_row_id bigint      generated always as identity primary key,
    raw_payload_id     bigint      not null references raw.payloads on delete cascade,
    json_pointer       text        not null,
    reason             text        not null,
    row_text           text        not null,
    quarantined_at     timestamptz not null,
    unique (raw_payload_id, json_pointer)
);
comment on table raw.quarantined_rows is 'Rows of a payload that broke the contract, while the rest of it was kept.';
comment on column raw.quarantined_rows.quarantined_row_id is 'Identifier.';
comment on column raw.quarantined_rows.raw_payload_id is 'The payload that held the row.';
comment on column raw.quarantined_rows.json_pointer is 'Position of the row in the payload, RFC 6901.';
comment on column raw.quarantined_rows.reason is 'What was wrong, with the path inside the row.';
comment on column raw.quarantined_rows.row_text is 'The row as it stands in the payload, cut at 4,000 characters.';
comment on column raw.quarantined_rows.quarantined_at is 'When it was set aside.';

create table core.keyword_observations (
    keyword_observation_id bigint           generated always as identity primary key,
    keyword_id             bigint           not null references core.keywords,
    metric                 text             not null,
    value                  double precision,
    unit                   text             not null,
    value_status           text             not null check (value_status in ('observed', 'estimated', 'imputed',
        'below_threshold', 'not_found', 'pending', 'unavailable', 'invalid', 'blocked', 'failed', 'quarantined')),
    status_reason          text,
    resource               text             not null,
    observed_at            timestamptz      not null,
    period_start_date      date             not null,
    period_end_date        date             not null,
    period_kind            text             not null check (period_kind in ('instant', 'day', 'week', 'month', 'quarter')),
    fetched_at             timestamptz      not null,
    ingested_at            timestamptz      not null,
    raw_payload_id         bigint           not null references raw.payloads,
    unique (raw_payload_id, keyword_id, metric, period_start_date),
    constraint a_value_exists_only_when_seen check ((value is not null) = (value_status in ('observed', 'estimated', 'imputed'))),
    constraint an_absence_has_a_reason check (value is not null or status_reason is not null),
    constraint a_value_is_a_number check (value is null or value between '-1e300' and '1e300'),
    constraint a_period_ends_after_it_starts check (period_end_date >= period_start_date),
    constraint an_instant_lies_on_one_day check (period_kind <> 'instant' or period_end_date = period_start_date),
    constraint a_week_has_seven_days check (period_kind <> 'week' or period_end_date = period_start_date + 6)
);
comment on table core.keyword_observations is 'One value of one metric for one keyword, or the reason why there is none.';
comment on column core.keyword_observations.keyword_observation_id is 'Identifier.';
comment on column core.keyword_observations.keyword_id is 'The keyword.';
comment on column core.keyword_observations.metric is 'What was measured, see the glossary of metrics in ARCHITECTURE.md.';
comment on column core.keyword_observations.value is 'The value in the unit; null exactly when the status says there is none.';
comment on column core.keyword_observations.unit is 'Unit of the value.';
comment on column core.keyword_observations.value_status is 'observed, estimated and imputed carry a value; every other status carries none.';
comment on column core.keyword_observations.status_reason is 'Why there is no value.';
comment on column core.keyword_observations.resource is 'Resource of the marketplace that said so.';
comment on column core.keyword_observations.observed_at is 'When it was true in the world.';
comment on column core.keyword_observations.period_start_date is 'First day of the period it is about.';
comment on column core.keyword_observations.period_end_date is 'Last day of the period it is about.';
comment on column core.keyword_observations.period_kind is 'instant (a sample), day, week (Sunday to Saturday), month or quarter.';
comment on column core.keyword_observations.fetched_at is 'When the answer arrived.';
comment on column core.keyword_observations.ingested_at is 'When it became known to this system.';
comment on column core.keyword_observations.raw_payload_id is 'The payload it was read from.';
create index keyword_observations_series on core.keyword_observations (keyword_id, metric, period_start_date);

create table core.listings (
    listing_id             bigint      generated always as identity primary key,
    marketplace            text        not null check (marketplace in ('amazon', 'etsy', 'ebay')),
    market                 text        not null,
    marketplace_listing_id text        not null,
    title                  text,
    seller                 text,
    brand                  text,
    listing_url            text,
    listed_at              timestamptz,
    first_seen_at          timestamptz not null,
    last_seen_at           timestamptz not null,
    unique (marketplace, market, marketplace_listing_id)
);
comment on table core.listings is 'Offer pages of the marketplaces, as last seen.';
comment on column core.listings.listing_id is 'Identifier.';
comment on column core.listings.marketplace is 'amazon, etsy or ebay.';
comment on column core.listings.market is 'Country site.';
comment on column core.listings.marketplace_listing_id is 'The marketplace''s own identifier: ASIN, listing id, item id.';
comment on column core.listings.title is 'Title, entities decoded.';
comment on column core.listings.seller is 'Shop or seller as the marketplace names it; null where it does not say.';
comment on column core.listings.brand is 'Brand; null where the marketplace does not say.';
comment on column core.listings.listing_url is 'Address of the page.';
comment on column core.listings.listed_at is 'When the offer was first made.';
comment on column core.listings.first_seen_at is 'First observation here.';
comment on column core.listings.last_seen_at is 'Latest observation here.';

create table core.listing_observations (
    raw_payload_id        bigint      not null references raw.payloads,
    listing_id            bigint      not null references core.listings,
    observed_at           timestamptz not null,
    price_amount          numeric     check (price_amount >= 0),
    price_currency        text,
    view_count            bigint,
    favorite_count        bigint,
    sales_rank            bigint,
    bid_count             bigint,
    seller_feedback_score bigint,
    is_promoted           boolean,
    ingested_at           timestamptz not null,
    primary key (raw_payload_id, listing_id),
    check ((price_amount is null) = (price_currency is null))
);
comment on table core.listing_observations is 'What an answer said of a listing at a moment; null where it said nothing.';
comment on column core.listing_observations.raw_payload_id is 'The payload it was read from.';
comment on column core.listing_observations.listing_id is 'The listing.';
comment on column core.listing_observations.observed_at is 'When it was true in the world.';
comment on column core.listing_observations.price_amount is 'Price, exact decimal; for an auction the current bid.';
comment on column core.listing_observations.price_currency is 'ISO 4217 code.';
comment on column core.listing_observations.view_count is 'Views since the listing began.';
comment on column core.listing_observations.favorite_count is 'Members who marked it as a favourite.';
comment on column core.listing_observations.sales_rank is 'Best rank by sales in any category, 1 is the best.';
comment on column core.listing_observations.bid_count is 'Bids so far on an auction.';
comment on column core.listing_observations.seller_feedback_score is 'Feedback score of the seller.';
comment on column core.listing_observations.is_promoted is 'True when the position was paid for.';
comment on column core.listing_observations.ingested_at is 'When it became known to this system.';
create index listing_observations_series on core.listing_observations (listing_id, observed_at);

create table core.serp_entries (
    raw_payload_id bigint      not null references raw.payloads,
    position       integer     not null check (position >= 1),
    keyword_id     bigint      not null references core.keywords,
    listing_id     bigint      not null references core.listings,
    entry_kind     text        not null check (entry_kind in ('organic', 'sponsored')),
    observed_at    timestamptz not null,
    primary key (raw_payload_id, position)
);
comment on table core.serp_entries is 'Positions of a search results page for a keyword at a moment.';
comment on column core.serp_entries.raw_payload_id is 'The payload that is the page.';
comment on column core.serp_entries.position is 'Position over all pages of the result, from 1.';
comment on column core.serp_entries.keyword_id is 'The keyword searched for.';
comment on column core.serp_entries.listing_id is 'The listing at the position.';
comment on column core.serp_entries.entry_kind is 'organic, or sponsored when the marketplace says that the position was paid for.';
comment on column core.serp_entries.observed_at is 'When the page was shown.';
create index serp_entries_by_keyword on core.serp_entries (keyword_id, observed_at);
