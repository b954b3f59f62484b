alter table ops.crawl_runs
    add column plan_key text unique;
comment on column ops.crawl_runs.plan_key is 'Fingerprint of the plan that made it, the market, and the period of a backfill: applying a plan again makes no run twice. Null for other runs.';

create index keyword_observations_by_resource on core.keyword_observations (keyword_id, resource, observed_at desc)
    where value is not null;

-- A plan's runs are looked up while they are under way.
create index crawl_runs_planned on ops.crawl_runs (marketplace, created_at) where planned_requests is not null;
