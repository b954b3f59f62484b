alter table core.keyword_observations
    drop constraint keyword_observations_period_kind_check,
    add constraint keyword_observations_period_kind_check
        check (period_kind in ('instant', 'day', 'week', 'month', 'quarter', 'trailing_90_days')),
    add constraint a_trailing_period_has_ninety_days
        check (period_kind <> 'trailing_90_days' or period_end_date = period_start_date + 89);
comment on column core.keyword_observations.period_kind is 'instant (a sample), day, week (Sunday to Saturday), month, quarter or trailing_90_days.';
comment on column analytics.keyword_observations_v1.period_kind is 'instant (a sample), day, week (Sunday to Saturday), month, quarter or trailing_90_days.';

alter table core.listing_observations
    add column sold_count          bigint           check (sold_count >= 0),
    add column available_count     bigint           check (available_count >= 0),
    add column watch_count         bigint           check (watch_count >= 0),
    add column review_count        bigint           check (review_count >= 0),
    add column recent_review_count bigint           check (recent_review_count >= 0),
    add column review_average      double precision check (review_average between 0 and 5);
comment on column core.listing_observations.sold_count is 'Sales since the listing began, as the marketplace estimates them; only differences between samples are demand.';
comment on column core.listing_observations.available_count is 'Pieces on offer, as the marketplace estimates them; null where it only says that there are more than it tells.';
comment on column core.listing_observations.watch_count is 'Members who watch it.';
comment on column core.listing_observations.review_count is 'Reviews ever; on eBay those of the product.';
comment on column core.listing_observations.recent_review_count is 'Reviews of the last 28 days; null where the answer does not reach back so far.';
comment on column core.listing_observations.review_average is 'Mean of the stars of the reviews that the answer holds, 1 to 5.';

alter table raw.payload_readings add column missing_row_count integer not null default 0;
comment on column raw.payload_readings.missing_row_count is 'Rows that were asked for and that the marketplace no longer has.';

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
    primary key (raw_payload_id, seller)
);
comment on table core.seller_observations is 'What an answer said of a seller at a moment; null where it said nothing.';
comment on column core.seller_observations.raw_payload_id is 'The payload it was read from.';
comment on column core.seller_observations.marketplace is 'amazon, etsy or ebay.';
comment on column core.seller_observations.market is 'Country site.';
comment on column core.seller_observations.seller is 'The seller, as core.listings names it; on Etsy the number of the shop.';
comment on column core.seller_observations.observed_at is 'When it was true in the world.';
comment on column core.seller_observations.sold_count is 'Sales ever; only differences between samples are demand.';
comment on column core.seller_observations.active_listing_count is 'Listings on offer.';
comment on column core.seller_observations.review_count is 'Reviews of the past year.';
comment on column core.seller_observations.review_average is 'Mean of the stars of these, 1 to 5.';
comment on column core.seller_observations.favorite_count is 'Members who marked the shop as a favourite.';
comment on column core.seller_observations.ingested_at is 'When it became known to this system.';
create index seller_observations_series on core.seller_observations (marketplace, market, seller, observed_at);

create table core.keyword_categories (
    raw_payload_id bigint      not null references raw.payloads,
    relevancy_rank integer     not null check (relevancy_rank >= 1),
    keyword_id     bigint      not null references core.keywords,
    category_id    text        not null,
    category_name  text,
    observed_at    timestamptz not null,
    ingested_at    timestamptz not null,
    primary key (raw_payload_id, relevancy_rank)
);
comment on table core.keyword_categories is 'Categories of the marketplace that suit a keyword, the most suitable first.';
comment on column core.keyword_categories.raw_payload_id is 'The payload it was read from.';
comment on column core.keyword_categories.relevancy_rank is 'Position among the suggestions; 1 is the most relevant.';
comment on column core.keyword_categories.keyword_id is 'The keyword.';
comment on column core.keyword_categories.category_id is 'The marketplace''s own identifier.';
comment on column core.keyword_categories.category_name is 'Its name.';
comment on column core.keyword_categories.observed_at is 'When it was true in the world.';
comment on column core.keyword_categories.ingested_at is 'When it became known to this system.';
create index keyword_categories_by_keyword on core.keyword_categories (keyword_id, observed_at);

create or replace view analytics.keyword_data_v1 as
with demand as (
    select distinct on (keyword_id, week_start_date) *
    from core.weekly_demand
    order by keyword_id, week_start_date, ingested_at desc
), trend as (
    select keyword_id,
           jsonb_agg(jsonb_build_object('week_start_date', week_start_date, 'metric', metric, 'value', value,
                                        'unit', unit, 'value_status', value_status) order by week_start_date) as weeks,
           string_agg(distinct resource, ',') as source,
           bool_or(value is not null) as has_value,
           max(observed_at) as last_observed_at
    from demand
    group by keyword_id
), competition as (
    select distinct on (keyword_id) keyword_id, score, score_version, scored_at, observed_at
    from ml.competition_scores
    order by keyword_id, week_start_date desc, scored_at desc
), latest as (
    select keyword_id, max(observed_at) as observed_at
    from core.keyword_observations
    group by keyword_id
), signals as (
    -- The latest value of each; where there never was one, the latest reason.
    select distinct on (keyword_id, metric) keyword_id, metric, value, unit, value_status, status_reason, resource,
           observed_at, period_start_date, period_end_date
    from core.keyword_observations
    where metric in ('search_query_volume', 'cpc_suggested')
    order by keyword_id, metric, (value is null), observed_at desc, ingested_at desc, keyword_observation_id desc
)
select keywords.keyword_text as keyword,
       keywords.marketplace as platform,
       volume.value as search_volume,
       competition.score as competition,
       bid.value::numeric as cpc,
       trend.weeks as trend_data,
       greatest(latest.observed_at, trend.last_observed_at) as last_updated,
       keywords.market,
       keywords.keyword_id,
       coalesce(volume.value_status, 'unavailable') as search_volume_status,
       case
           when volume.value is not null then volume.resource
           when volume.status_reason is not null then volume.status_reason
           when keywords.marketplace = 'amazon' then 'the search terms report gives a rank, not a count'
           else 'the marketplace gives no number of searches'
       end as search_volume_source,
       case when competition.score is null then 'pending' else 'estimated' end as competition_status,
       competition.score_version as competition_source,
       coalesce(bid.value_status, 'unavailable') as cpc_status,
       case
           when bid.value is not null then bid.resource
           when bid.status_reason is not null then bid.status_reason
           when keywords.marketplace = 'etsy' then 'the marketplace suggests no bids'
           else 'no source of bids is connected'
       end as cpc_source,
       case when trend.has_value then 'observed' when trend.weeks is null then 'pending' else 'unavailable' end as trend_data_status,
       trend.source as trend_data_source,
       case when bid.value is not null then bid.unit end as cpc_currency,
       case when bid.value is not null then bid.observed_at end as cpc_observed_at,
       case when volume.value is not null then volume.period_start_date end as search_volume_start_date,
       case when volume.value is not null then volume.period_end_date end as search_volume_end_date
from core.keywords
left join trend using (keyword_id)
left join competition using (keyword_id)
left join latest using (keyword_id)
left join signals volume on volume.keyword_id = keywords.keyword_id and volume.metric = 'search_query_volume'
left join signals bid on bid.keyword_id = keywords.keyword_id and bid.metric = 'cpc_suggested';
comment on column analytics.keyword_data_v1.search_volume is 'Number of searches in the latest week of which one is known, where a marketplace gives one; never an estimate.';
comment on column analytics.keyword_data_v1.cpc is 'Latest suggested bid for a click under exact match; not a price that was paid.';
comment on column analytics.keyword_data_v1.search_volume_source is 'Resource of the marketplace, or why there is none.';
comment on column analytics.keyword_data_v1.cpc_source is 'Resource of the marketplace, or why there is none.';
comment on column analytics.keyword_data_v1.cpc_currency is 'ISO 4217 code of cpc.';
comment on column analytics.keyword_data_v1.cpc_observed_at is 'When cpc was true.';
comment on column analytics.keyword_data_v1.search_volume_start_date is 'First day of the week that search_volume is about.';
comment on column analytics.keyword_data_v1.search_volume_end_date is 'Last day of that week.';
