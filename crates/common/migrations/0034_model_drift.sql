-- Whether a champion still sees what it learnt from, and keeps what it promised.

alter table ml.model_versions add column training_inputs jsonb;
comment on column ml.model_versions.training_inputs is 'How the inputs of the last year it was trained on were distributed, in tenths: what drift is told from. Null where it was not kept yet.';

create table ml.model_drift (
    model_version_id bigint           not null references ml.model_versions,
    as_of            timestamptz      not null,
    measure          text             not null,
    value            double precision not null,
    expected_value   double precision not null,
    tolerance        double precision not null check (tolerance >= 0),
    keyword_count    integer          not null check (keyword_count > 0),
    is_drifted       boolean          not null,
    measured_at      timestamptz      not null,
    primary key (model_version_id, as_of, measure)
);
comment on table ml.model_drift is 'Whether champions still see what they learnt from and keep what they promised, only ever added: looked at after every scoring.';
comment on column ml.model_drift.model_version_id is 'The champion.';
comment on column ml.model_drift.as_of is 'Nothing known later was used.';
comment on column ml.model_drift.measure is 'psi_ and an input: its population stability index beside the training; coverage_80 and coverage_95: shares of the latest actual values inside the intervals; error_ratio: their error divided by that of seasonal naive.';
comment on column ml.model_drift.value is 'What was measured.';
comment on column ml.model_drift.expected_value is 'What it would be without drift.';
comment on column ml.model_drift.tolerance is 'How far from it is not called drift: the conventional limit, or what chance does with so few keywords.';
comment on column ml.model_drift.keyword_count is 'Keywords it was measured on.';
comment on column ml.model_drift.is_drifted is 'Whether it is farther away; of errors, whether seasonal naive was better by more than noise.';
comment on column ml.model_drift.measured_at is 'When it was measured.';
create trigger model_drift_is_kept before update or delete or truncate on ml.model_drift
    for each statement execute function ops.refuse_change();

create view analytics.model_drift_v1 as
select models.marketplace, models.model_name, models.version as model_version, models.state, drift.as_of, drift.measure,
       drift.value, drift.expected_value, drift.tolerance, drift.keyword_count, drift.is_drifted,
       drift.as_of = max(drift.as_of) over (partition by drift.model_version_id) as is_latest, drift.measured_at
from ml.model_drift drift
join ml.model_versions models using (model_version_id)
where drift.measured_at <= core.as_of();
comment on view analytics.model_drift_v1 is 'Whether champions still see what they learnt from and keep what they promised.';
comment on column analytics.model_drift_v1.marketplace is 'amazon, etsy or ebay.';
comment on column analytics.model_drift_v1.model_name is 'demand or competition.';
comment on column analytics.model_drift_v1.model_version is 'Version of the model.';
comment on column analytics.model_drift_v1.state is 'What the version is now: candidate, champion, retired or demoted.';
comment on column analytics.model_drift_v1.as_of is 'Nothing known later was used.';
comment on column analytics.model_drift_v1.measure is 'psi_ and an input, coverage_80, coverage_95 or error_ratio.';
comment on column analytics.model_drift_v1.value is 'What was measured.';
comment on column analytics.model_drift_v1.expected_value is 'What it would be without drift.';
comment on column analytics.model_drift_v1.tolerance is 'How far from it is not called drift.';
comment on column analytics.model_drift_v1.keyword_count is 'Keywords it was measured on.';
comment on column analytics.model_drift_v1.is_drifted is 'Whether it is farther away than that.';
comment on column analytics.model_drift_v1.is_latest is 'True for the latest look at the version.';
comment on column analytics.model_drift_v1.measured_at is 'When it was measured.';
