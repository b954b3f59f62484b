-- What was estimated before this rule came from the marketplaces' own suggestions.
update core.keyword_observations
set status_reason = 'suggested by the marketplace'
where value_status in ('estimated', 'imputed') and status_reason is null;

alter table core.keyword_observations
    drop constraint an_absence_has_a_reason,
    -- What was observed speaks for itself; everything else says why, or by what method.
    add constraint all_but_the_observed_has_a_reason
        check ((value_status = 'observed') = (status_reason is null)),
    add constraint a_reason_says_something check (status_reason <> ''),
    add constraint a_value_has_a_unit check (unit <> ''),
    add constraint a_share_lies_between_zero_and_one check (unit <> 'share' or value is null or value between 0 and 1),
    add constraint a_rank_begins_with_one check (unit <> 'rank' or value is null or value >= 1),
    add constraint an_instant_lies_on_its_day
        check (period_kind <> 'instant' or period_start_date = (observed_at at time zone 'utc')::date),
    add constraint a_trailing_period_ends_with_its_day
        check (period_kind <> 'trailing_90_days' or period_end_date = (observed_at at time zone 'utc')::date),
    add constraint a_week_starts_on_sunday check (period_kind <> 'week' or extract(dow from period_start_date) = 0);
comment on column core.keyword_observations.status_reason is 'Why there is no value; of an estimated or imputed value, the method; null exactly for what was observed.';
comment on column analytics.keyword_observations_v1.status_reason is 'Why there is no value; of an estimated or imputed value, the method; null exactly for what was observed.';

-- What is known of a listing is, field by field, what the latest sample that tells it says. Which sample that was must be known,
-- or the order of reading would matter.
alter table core.listings
    add column title_seen_at       timestamptz,
    add column seller_seen_at      timestamptz,
    add column brand_seen_at       timestamptz,
    add column listing_url_seen_at timestamptz,
    add column listed_at_seen_at   timestamptz;
update core.listings
set title_seen_at = case when title is not null then last_seen_at end,
    seller_seen_at = case when seller is not null then last_seen_at end,
    brand_seen_at = case when brand is not null then last_seen_at end,
    listing_url_seen_at = case when listing_url is not null then last_seen_at end,
    listed_at_seen_at = case when listed_at is not null then last_seen_at end;
comment on column core.listings.title_seen_at is 'When the sample was taken that tells the title.';
comment on column core.listings.seller_seen_at is 'When the sample was taken that tells the seller.';
comment on column core.listings.brand_seen_at is 'When the sample was taken that tells the brand.';
comment on column core.listings.listing_url_seen_at is 'When the sample was taken that tells the address.';
comment on column core.listings.listed_at_seen_at is 'When the sample was taken that tells listed_at.';
