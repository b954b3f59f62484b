-- Time series lie in one partition for each month, so that old months can go at once and indexes stay small.
create schema partitions;
comment on schema partitions is 'The months of partitioned tables; nobody asks them by name.';

-- These views are made anew over the tables that take the place of the old ones, analytics.keyword_data_v1 in 0026.
drop view analytics.keyword_data_v1, analytics.keyword_observations_v1, analytics.serp_entries_v1, core.weekly_demand;

create schema before_partitions;
alter table core.keyword_observations set schema before_partitions;
alter table core.listing_observations set schema before_partitions;
alter table core.serp_entries set schema before_partitions;
alter table core.seller_observations set schema before_partitions;
alter table core.keyword_categories set schema before_partitions;
alter table raw.payload_chunks set schema before_partitions;

create sequence core.keyword_observation_ids;

create table core.keyword_observations (
    keyword_observation_id bigint           not null default nextval('core.keyword_observation_ids'),
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
    period_kind            text             not null
        check (period_kind in ('instant', 'day', 'week', 'month', 'quarter', 'trailing_90_days')),
    fetched_at             timestamptz      not null,
    ingested_at            timestamptz      not null,
    superseded_at          timestamptz,
    raw_payload_id         bigint           not null references raw.payloads,
    crawl_run_id           uuid             not null,
    constraint a_value_exists_only_when_seen check ((value is not null) = (value_status in ('observed', 'estimated', 'imputed'))),
    constraint an_absence_has_a_reason check (value is not null or status_reason is not null),
    constraint a_value_is_a_number check (value is null or value between '-1e300' and '1e300'),
    constraint a_period_ends_after_it_starts check (period_end_date >= period_start_date),
    constraint an_instant_lies_on_one_day check (period_kind <> 'instant' or period_end_date = period_start_date),
    constraint a_week_has_seven_days check (period_kind <> 'week' or period_end_date = period_start_date + 6),
    constraint a_trailing_period_has_ninety_days check (period_kind <> 'trailing_90_days'
        or period_end_date = period_start_date + 89),
    constraint what_is_superseded_was_known check (superseded_at >= ingested_at)
) partition by range (observed_at);
comment on table core.keyword_observations is 'One value of one metric for one keyword, or the reason why there is none. Never changed: a better reading supersedes.';
comment on column core.keyword_observations.keyword_observation_id is 'Identifier.';
comment on column core.keyword_observations.keyword_id is 'The keyword.';
comment on column core.keyword_observations.metric is 'What was measured, see the glossary of metrics in ARCHITECTURE.md.';
comment on column core.keyword_observations.value is 'The value in the unit; null exactly when the status says there is none.';
comment on column core.keyword_observations.unit is 'Unit of the value.';
comment on column core.keyword_observations.value_status is 'observed, estimated and imputed carry a value; every other status carries none.';
comment on column core.keyword_observations.status_reason is 'Why there is no value.';
comment on column core.keyword_observations.resource is 'Resource that said so.';
comment on column core.keyword_observations.observed_at is 'When it was true in the world; the month of it is the partition.';
comment on column core.keyword_observations.period_start_date is 'First day of the period it is about.';
comment on column core.keyword_observations.period_end_date is 'Last day of the period it is about.';
comment on column core.keyword_observations.period_kind is 'instant (a sample), day, week (Sunday to Saturday), month, quarter or trailing_90_days.';
comment on column core.keyword_observations.fetched_at is 'When the answer arrived.';
comment on column core.keyword_observations.ingested_at is 'When it became known to this system.';
comment on column core.keyword_observations.superseded_at is 'When a better reading of the same payload took its place; null while it stands.';
comment on column core.keyword_observations.raw_payload_id is 'The payload it was read from.';
comment on column core.keyword_observations.crawl_run_id is 'The crawl run of that payload, repeated so that a series is shown without looking at every payload.';

create table core.listing_observations (
    raw_payload_id        bigint           not null references raw.payloads,
    listing_id            bigint           not null references core.listings,
    observed_at           timestamptz      not null,
    price_amount          numeric          check (price_amount >= 0),
    price_currency        text,
    view_count            bigint,
    favorite_count        bigint,
    sales_rank            bigint,
    bid_count             bigint,
    seller_feedback_score bigint,
    is_promoted           boolean,
    sold_count            bigint           check (sold_count >= 0),
    available_count       bigint           check (available_count >= 0),
    watch_count           bigint           check (watch_count >= 0),
    review_count          bigint           check (review_count >= 0),
    recent_review_count   bigint           check (recent_review_count >= 0),
    review_average        double precision check (review_average between 0 and 5),
    ingested_at           timestamptz      not null,
    superseded_at         timestamptz,
    check ((price_amount is null) = (price_currency is null)),
    constraint what_is_superseded_was_known check (superseded_at >= ingested_at)
) partition by range (observed_at);
comment on table core.listing_observations is 'What an answer said of a listing at a moment; null where it said nothing.';
comment on column core.listing_observations.raw_payload_id is 'The payload it was read from.';
comment on column core.listing_observations.listing_id is 'The listing.';
comment on column core.listing_observations.observed_at is 'When it was true in the world; the month of it is the partition.';
comment on column core.listing_observations.price_amount is 'Price, exact decimal; for an auction the current bid.';
comment on column core.listing_observations.price_currency is 'ISO 4217 code.';
comment on column core.listing_observations.view_count is 'Views since the listing began.';
comment on column core.listing_observations.favorite_count is 'Members who marked it as a favourite.';
comment on column core.listing_observations.sales_rank is 'Best rank by sales in any category, 1 is the best.';
comment on column core.listing_observations.bid_count is 'Bids so far on an auction.';
comment on column core.listing_observations.seller_feedback_score is 'Feedback score of the seller.';
comment on column core.listing_observations.is_promoted is 'True when the position was paid for.';
comment on column core.listing_observations.sold_count is 'Sales since the listing began, as the marketplace estimates them; only differences between samples are demand.';
comment on column core.listing_observations.available_count is 'Pieces on offer, as the marketplace estimates them; null where it only says that there are more than it tells.';
comment on column core.listing_observations.watch_count is 'Members who watch it.';
comment on column core.listing_observations.review_count is 'Reviews ever; on eBay those of the product.';
comment on column core.listing_observations.recent_review_count is 'Reviews of the last 28 days; null where the answer does not reach back so far.';
comment on column core.listing_observations.review_average is 'Mean of the stars of the reviews that the answer holds, 1 to 5.';
comment on column core.listing_observations.ingested_at is 'When it became known to this system.';
comment on column core.listing_observations.superseded_at is 'When a better reading of the same payload took its place; null while it stands.';

create table core.serp_entries (
    raw_payload_id bigint      not null references raw.payloads,
    position       integer     not null check (position >= 1),
    keyword_id     bigint      not null references core.keywords,
    listing_id     bigint      not null references core.listings,
    entry_kind     text        not null check (entry_kind in ('organic', 'sponsored')),
    observed_at    timestamptz not null,
    ingested_at    timestamptz not null,
    superseded_at  timestamptz,
    constraint what_is_superseded_was_known check (superseded_at >= ingested_at)
) partition by range (observed_at);
comment on table core.serp_entries is 'Positions of a search results page for a keyword at a moment.';
comment on column core.serp_entries.raw_payload_id is 'The payload that is the page.';
comment on column core.serp_entries.position is 'Position over all pages of the result, from 1.';
comment on column core.serp_entries.keyword_id is 'The keyword searched for.';
comment on column core.serp_entries.listing_id is 'The listing at the position.';
comment on column core.serp_entries.entry_kind is 'organic, or sponsored when the marketplace says that the position was paid for.';
comment on column core.serp_entries.observed_at is 'When the page was shown; the month of it is the partition.';
comment on column core.serp_entries.ingested_at is 'When it became known to this system.';
comment on column core.serp_entries.superseded_at is 'When a better reading of the same payload took its place; null while it stands.';

create table core.seller_observations (
    raw_payload_id       bigint           not null references raw.payloads,
    marketplace          text             not null check (marketplace in ('amazon', 'etsy', 'ebay')),
    market               text             not null,
    seller               text             not null,
    observed_at          timestamptz      not null,
    sold_count           bigint           check (sold_count >= 0),
    active_listing_count bigint           check (active_listing_count >= 0),
    review_count         bigint           check (review_count >= 0),
    review_average       double precision check (review_average between 0 and 5),
    favorite_count       bigint           check (favorite_count >= 0),
    ingested_at          timestamptz      not null,
    superseded_at        timestamptz,
    constraint what_is_superseded_was_known check (superseded_at >= ingested_at)
) partition by range (observed_at);
comment on table core.seller_observations is 'What an answer said of a seller at a moment; null where it said nothing.';
comment on column core.seller_observations.raw_payload_id is 'The payload it was read from.';
comment on column core.seller_observations.marketplace is 'amazon, etsy or ebay.';
comment on column core.seller_observations.market is 'Country site.';
comment on column core.seller_observations.seller is 'The seller, as core.listings names it; on Etsy the number of the shop.';
comment on column core.seller_observations.observed_at is 'When it was true in the world; the month of it is the partition.';
comment on column core.seller_observations.sold_count is 'Sales ever; only differences between samples are demand.';
comment on column core.seller_observations.active_listing_count is 'Listings on offer.';
comment on column core.seller_observations.review_count is 'Reviews of the past year.';
comment on column core.seller_observations.review_average is 'Mean of the stars of these, 1 to 5.';
comment on column core.seller_observations.favorite_count is 'Members who marked the shop as a favourite.';
comment on column core.seller_observations.ingested_at is 'When it became known to this system.';
comment on column core.seller_observations.superseded_at is 'When a better reading of the same payload took its place; null while it stands.';

create table core.keyword_categories (
    raw_payload_id bigint      not null references raw.payloads,
    relevancy_rank integer     not null check (relevancy_rank >= 1),
    keyword_id     bigint      not null references core.keywords,
    category_id    text        not null,
    category_name  text,
    observed_at    timestamptz not null,
    ingested_at    timestamptz not null,
    superseded_at  timestamptz,
    constraint what_is_superseded_was_known check (superseded_at >= ingested_at)
) partition by range (observed_at);
comment on table core.keyword_categories is 'Categories of the marketplace that suit a keyword, the most suitable first.';
comment on column core.keyword_categories.raw_payload_id is 'The payload it was read from.';
comment on column core.keyword_categories.relevancy_rank is 'Position among the suggestions; 1 is the most relevant.';
comment on column core.keyword_categories.keyword_id is 'The keyword.';
comment on column core.keyword_categories.category_id is 'The marketplace''s own identifier.';
comment on column core.keyword_categories.category_name is 'Its name.';
comment on column core.keyword_categories.observed_at is 'When it was true in the world; the month of it is the partition.';
comment on column core.keyword_categories.ingested_at is 'When it became known to this system.';
comment on column core.keyword_categories.superseded_at is 'When a better reading of the same payload took its place; null while it stands.';

-- The row of a payload is what everything refers to, and its request key is unique over all time: it is not partitioned. What
-- grows is its body.
create table raw.payload_chunks (
    raw_payload_id bigint      not null references raw.payloads on delete cascade,
    chunk_number   integer     not null check (chunk_number >= 1),
    bytes          bytea       not null,
    fetched_at     timestamptz not null
) partition by range (fetched_at);
comment on table raw.payload_chunks is 'The bodies of answers, in pieces of a megabyte; most have one.';
comment on column raw.payload_chunks.raw_payload_id is 'The payload.';
comment on column raw.payload_chunks.chunk_number is 'Place in the body, from 1.';
comment on column raw.payload_chunks.bytes is 'The bytes, encoded as body_encoding of the payload says, over all pieces together.';
comment on column raw.payload_chunks.fetched_at is 'When the answer arrived; the month of it is the partition.';
alter table raw.payload_chunks alter column bytes set storage external;

create unique index keyword_observations_once on core.keyword_observations
    (raw_payload_id, keyword_id, metric, period_start_date, observed_at) where superseded_at is null;
create index keyword_observations_by_resource on core.keyword_observations (keyword_id, resource, observed_at desc)
    where value is not null;
-- Two years of a keyword lie in scores of places of the tables, but side by side in these indexes, which hold all that is asked for.
create index keyword_observations_series on core.keyword_observations (keyword_id, metric, observed_at)
    include (period_start_date, value, value_status, ingested_at, superseded_at, crawl_run_id);
create index keyword_observations_of_keyword_data on core.keyword_observations (keyword_id, metric, observed_at)
    include (keyword_observation_id, value, unit, value_status, status_reason, resource, period_start_date, period_end_date,
             period_kind, ingested_at, superseded_at, raw_payload_id, crawl_run_id)
    where metric in ('search_frequency_rank', 'listing_views_per_week', 'auction_bids',
        'search_query_volume', 'monthly_searches', 'monthly_searches_average',
        'cpc_suggested', 'top_of_page_bid_low', 'top_of_page_bid_high');
create unique index listing_observations_once on core.listing_observations (raw_payload_id, listing_id, observed_at)
    where superseded_at is null;
create index listing_observations_series on core.listing_observations (listing_id, observed_at);
create unique index serp_entries_once on core.serp_entries (raw_payload_id, position, observed_at)
    where superseded_at is null;
create index serp_entries_by_keyword on core.serp_entries (keyword_id, observed_at);
create unique index seller_observations_once on core.seller_observations (raw_payload_id, seller, observed_at)
    where superseded_at is null;
create index seller_observations_series on core.seller_observations (marketplace, market, seller, observed_at);
create unique index keyword_categories_once on core.keyword_categories (raw_payload_id, relevancy_rank, observed_at)
    where superseded_at is null;
create index keyword_categories_by_keyword on core.keyword_categories (keyword_id, observed_at);
alter table raw.payload_chunks add primary key (raw_payload_id, chunk_number, fetched_at);

create function core.make_partitions(first_at timestamptz, last_at timestamptz) returns integer
language plpgsql as $$
declare
    parent record;
    month timestamp;
    name text;
    made integer := 0;
begin
    for month in
        select generate_series(date_trunc('month', first_at at time zone 'UTC'), last_at at time zone 'UTC', '1 month')
    loop
        continue when to_regclass(format('partitions.payload_chunks_%s', to_char(month, 'YYYY_MM'))) is not null;
        -- Two workers that need the same month wait for one another, and the second finds it made.
        perform pg_advisory_xact_lock(hashtext('core.make_partitions'));
        for parent in
            select tables.oid::regclass as name, tables.relname
            from pg_partitioned_table partitioned
            join pg_class tables on tables.oid = partitioned.partrelid
            where tables.relnamespace in ('core'::regnamespace, 'raw'::regnamespace)
            -- The table that is looked for above comes last.
            order by tables.relname = 'payload_chunks', tables.relname
        loop
            name := format('%s_%s', parent.relname, to_char(month, 'YYYY_MM'));
            continue when to_regclass(format('partitions.%I', name)) is not null;
            -- To attach a table that is ready locks nobody out of its parent.
            execute format('create table partitions.%I (like %s including all)', name, parent.name);
            execute format('alter table %s attach partition partitions.%I for values from (%L) to (%L)', parent.name, name,
                           month at time zone 'UTC', (month + interval '1 month') at time zone 'UTC');
            made := made + 1;
        end loop;
    end loop;
    return made;
end
$$;
comment on function core.make_partitions is 'Makes the partitions of all months between two moments that are not there; returns how many.';

select core.make_partitions(first_month, first_month)
from (
    select date_trunc('month', observed_at, 'UTC') as first_month from before_partitions.keyword_observations
    union select date_trunc('month', observed_at, 'UTC') from before_partitions.listing_observations
    union select date_trunc('month', observed_at, 'UTC') from before_partitions.serp_entries
    union select date_trunc('month', observed_at, 'UTC') from before_partitions.seller_observations
    union select date_trunc('month', observed_at, 'UTC') from before_partitions.keyword_categories
    union select date_trunc('month', fetched_at, 'UTC') from raw.payloads
) months;

insert into core.keyword_observations (keyword_observation_id, keyword_id, metric, value, unit, value_status, status_reason,
    resource, observed_at, period_start_date, period_end_date, period_kind, fetched_at, ingested_at, raw_payload_id, crawl_run_id)
select observations.keyword_observation_id, observations.keyword_id, observations.metric, observations.value, observations.unit,
       observations.value_status, observations.status_reason, observations.resource, observations.observed_at,
       observations.period_start_date, observations.period_end_date, observations.period_kind, observations.fetched_at,
       observations.ingested_at, observations.raw_payload_id, payloads.crawl_run_id
from before_partitions.keyword_observations observations
join raw.payloads using (raw_payload_id);
select setval('core.keyword_observation_ids', coalesce(max(keyword_observation_id), 0) + 1, false)
from core.keyword_observations;
insert into core.listing_observations (raw_payload_id, listing_id, observed_at, price_amount, price_currency, view_count,
    favorite_count, sales_rank, bid_count, seller_feedback_score, is_promoted, sold_count, available_count, watch_count,
    review_count, recent_review_count, review_average, ingested_at)
select raw_payload_id, listing_id, observed_at, price_amount, price_currency, view_count, favorite_count, sales_rank,
       bid_count, seller_feedback_score, is_promoted, sold_count, available_count, watch_count, review_count,
       recent_review_count, review_average, ingested_at
from before_partitions.listing_observations;
insert into core.serp_entries (raw_payload_id, position, keyword_id, listing_id, entry_kind, observed_at, ingested_at)
select entries.raw_payload_id, entries.position, entries.keyword_id, entries.listing_id, entries.entry_kind,
       entries.observed_at, readings.read_at
from before_partitions.serp_entries entries
join raw.payload_readings readings using (raw_payload_id);
insert into core.seller_observations (raw_payload_id, marketplace, market, seller, observed_at, sold_count,
    active_listing_count, review_count, review_average, favorite_count, ingested_at)
select raw_payload_id, marketplace, market, seller, observed_at, sold_count, active_listing_count, review_count,
       review_average, favorite_count, ingested_at
from before_partitions.seller_observations;
insert into core.keyword_categories (raw_payload_id, relevancy_rank, keyword_id, category_id, category_name, observed_at,
    ingested_at)
select raw_payload_id, relevancy_rank, keyword_id, category_id, category_name, observed_at, ingested_at
from before_partitions.keyword_categories;
insert into raw.payload_chunks (raw_payload_id, chunk_number, bytes, fetched_at)
select chunks.raw_payload_id, chunks.chunk_number, chunks.bytes, payloads.fetched_at
from before_partitions.payload_chunks chunks
join raw.payloads using (raw_payload_id);
insert into raw.payload_chunks (raw_payload_id, chunk_number, bytes, fetched_at)
select raw_payload_id, 1, body, fetched_at
from raw.payloads
where body is not null;

alter table raw.payloads drop constraint a_body_is_here_in_chunks_or_purged;
update raw.payloads set chunk_count = 1 where body is not null;
alter table raw.payloads
    drop column body,
    add constraint a_body_is_in_chunks_or_purged check (num_nonnulls(chunk_count, purged_at) = 1);
comment on column raw.payloads.chunk_count is 'Pieces of the body in raw.payload_chunks; null once it is purged.';

drop schema before_partitions cascade;

-- What is known is what was ingested by the moment of interest and not superseded by then.
create function core.as_of() returns timestamptz
language sql stable parallel safe as
$$ select coalesce(nullif(current_setting('digitallz.as_of', true), '')::timestamptz, 'infinity'::timestamptz) $$;
comment on function core.as_of is 'The moment as of which views show what is known: the setting digitallz.as_of, or now.';

create view core.weekly_demand as
select keyword_id, period_start_date - extract(dow from period_start_date)::integer as week_start_date, metric, unit, value,
       value_status, status_reason, resource, observed_at, ingested_at, raw_payload_id
from core.keyword_observations
where metric in ('search_frequency_rank', 'listing_views_per_week', 'auction_bids')
  -- A file may tell the rank of a month.
  and (metric <> 'search_frequency_rank' or period_kind = 'week')
  and ingested_at <= core.as_of() and (superseded_at is null or superseded_at > core.as_of());

create view analytics.keyword_observations_v1 as
select observations.keyword_observation_id, observations.keyword_id, keywords.keyword_text, keywords.marketplace,
       keywords.market, observations.metric, observations.value, observations.unit, observations.value_status,
       observations.status_reason, observations.resource as source, observations.observed_at,
       observations.period_start_date, observations.period_end_date, observations.period_kind,
       observations.fetched_at, observations.ingested_at, observations.raw_payload_id,
       encode(payloads.content_sha256, 'hex') as payload_sha256, payloads.crawl_run_id
from core.keyword_observations observations
join core.keywords using (keyword_id)
join raw.payloads payloads using (raw_payload_id)
where observations.ingested_at <= core.as_of()
  and (observations.superseded_at is null or observations.superseded_at > core.as_of());

create view analytics.serp_entries_v1 as
select entries.keyword_id, keywords.keyword_text, keywords.marketplace, keywords.market, entries.observed_at,
       entries.position, entries.entry_kind, listings.marketplace_listing_id, listings.title, listings.seller,
       observations.price_amount, observations.price_currency, observations.favorite_count, observations.sales_rank,
       observations.bid_count, entries.raw_payload_id
from core.serp_entries entries
join core.keywords using (keyword_id)
join core.listings using (listing_id)
left join core.listing_observations observations
    on observations.raw_payload_id = entries.raw_payload_id and observations.listing_id = entries.listing_id
   and observations.observed_at = entries.observed_at
   and observations.ingested_at <= core.as_of()
   and (observations.superseded_at is null or observations.superseded_at > core.as_of())
where entries.ingested_at <= core.as_of() and (entries.superseded_at is null or entries.superseded_at > core.as_of());

comment on view core.weekly_demand is 'Demand of a keyword week by week: the metric that its marketplace offers, true or a stated proxy.';
comment on column core.weekly_demand.keyword_id is 'The keyword.';
comment on column core.weekly_demand.week_start_date is 'The Sunday on which the week begins.';
comment on column core.weekly_demand.metric is 'search_frequency_rank (Amazon), listing_views_per_week (Etsy), auction_bids (eBay).';
comment on column core.weekly_demand.unit is 'Unit of the value.';
comment on column core.weekly_demand.value is 'The value, null when the status says there is none.';
comment on column core.weekly_demand.value_status is 'As in keyword_observations.';
comment on column core.weekly_demand.status_reason is 'Why there is no value.';
comment on column core.weekly_demand.resource is 'Resource that said so.';
comment on column core.weekly_demand.observed_at is 'When it was true in the world.';
comment on column core.weekly_demand.ingested_at is 'When it became known to this system.';
comment on column core.weekly_demand.raw_payload_id is 'The payload it was read from; for a difference, the later one.';
comment on view analytics.keyword_observations_v1 is 'Every observation with its period, its status and the hash of the answer it was read from.';
comment on view analytics.serp_entries_v1 is 'Search results pages, position by position.';
comment on column analytics.keyword_observations_v1.keyword_observation_id is 'Identifier.';
comment on column analytics.keyword_observations_v1.keyword_id is 'The keyword.';
comment on column analytics.keyword_observations_v1.keyword_text is 'Its normalised text.';
comment on column analytics.keyword_observations_v1.marketplace is 'amazon, etsy or ebay.';
comment on column analytics.keyword_observations_v1.market is 'Country site.';
comment on column analytics.keyword_observations_v1.metric is 'What was measured.';
comment on column analytics.keyword_observations_v1.value is 'The value; null exactly when value_status says there is none.';
comment on column analytics.keyword_observations_v1.unit is 'Unit of the value.';
comment on column analytics.keyword_observations_v1.value_status is 'observed, estimated and imputed carry a value; every other status carries none.';
comment on column analytics.keyword_observations_v1.status_reason is 'Why there is no value.';
comment on column analytics.keyword_observations_v1.source is 'Resource of the marketplace that said so.';
comment on column analytics.keyword_observations_v1.observed_at is 'When it was true in the world.';
comment on column analytics.keyword_observations_v1.period_start_date is 'First day of the period it is about.';
comment on column analytics.keyword_observations_v1.period_end_date is 'Last day of the period it is about.';
comment on column analytics.keyword_observations_v1.period_kind is 'instant (a sample), day, week (Sunday to Saturday), month, quarter or trailing_90_days.';
comment on column analytics.keyword_observations_v1.fetched_at is 'When the answer arrived.';
comment on column analytics.keyword_observations_v1.ingested_at is 'When it became known to this system.';
comment on column analytics.keyword_observations_v1.raw_payload_id is 'The answer it was read from.';
comment on column analytics.keyword_observations_v1.payload_sha256 is 'SHA-256 of that answer, hexadecimal.';
comment on column analytics.keyword_observations_v1.crawl_run_id is 'The crawl run that asked.';
comment on column analytics.serp_entries_v1.keyword_id is 'The keyword searched for.';
comment on column analytics.serp_entries_v1.keyword_text is 'Its normalised text.';
comment on column analytics.serp_entries_v1.marketplace is 'amazon, etsy or ebay.';
comment on column analytics.serp_entries_v1.market is 'Country site.';
comment on column analytics.serp_entries_v1.observed_at is 'When the page was shown.';
comment on column analytics.serp_entries_v1.position is 'Position over all pages of the result, from 1.';
comment on column analytics.serp_entries_v1.entry_kind is 'organic or sponsored.';
comment on column analytics.serp_entries_v1.marketplace_listing_id is 'ASIN, listing id or item id.';
comment on column analytics.serp_entries_v1.title is 'Title as last seen.';
comment on column analytics.serp_entries_v1.seller is 'Shop or seller, where the marketplace names it.';
comment on column analytics.serp_entries_v1.price_amount is 'Price, exact decimal; for an auction the current bid.';
comment on column analytics.serp_entries_v1.price_currency is 'ISO 4217 code.';
comment on column analytics.serp_entries_v1.favorite_count is 'Favourites at the moment.';
comment on column analytics.serp_entries_v1.sales_rank is 'Best sales rank at the moment.';
comment on column analytics.serp_entries_v1.bid_count is 'Bids at the moment, on an auction.';
comment on column analytics.serp_entries_v1.raw_payload_id is 'The answer that is the page.';

-- Payloads are read in any order; what a listing is called follows from what was said of it last.
create function core.is_told_later(told text, told_at timestamptz, known text, known_at timestamptz) returns boolean
language sql immutable parallel safe as
-- Of two that were told at the same moment, the greater one counts, whichever was read first.
$$ select told is not null and (known is null or told_at > known_at or (told_at = known_at and told > known collate "C")) $$;
comment on function core.is_told_later is 'Whether something told at a moment takes the place of what is known.';
