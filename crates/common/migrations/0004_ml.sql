create table ml.model_versions (
    model_version_id    bigint      generated always as identity primary key,
    model_name          text        not null check (model_name in ('demand', 'competition')),
    marketplace         text        not null check (marketplace in ('amazon', 'etsy', 'ebay')),
    version             integer     not null,
    state               text        not null check (state in ('candidate', 'champion', 'retired')),
    algorithm           text        not null,
    feature_set_version text        not null,
    parameters          jsonb       not null,
    as_of               timestamptz not null,
    trained_at          timestamptz not null,
    training_row_count  integer     not null,
    data_fingerprint    bytea       not null,
    artifact            bytea       not null,
    artifact_sha256     bytea       not null,
    metrics             jsonb       not null,
    code_version        text        not null,
    unique (model_name, marketplace, version)
);
comment on table ml.model_versions is 'Trained models with what they were made from and how well they did in the backtest.';
comment on column ml.model_versions.model_version_id is 'Identifier.';
comment on column ml.model_versions.model_name is 'demand or competition.';
comment on column ml.model_versions.marketplace is 'Marketplace whose keywords it predicts.';
comment on column ml.model_versions.version is 'Counts from 1 per model name and marketplace.';
comment on column ml.model_versions.state is 'candidate, champion (the one that predicts) or retired.';
comment on column ml.model_versions.algorithm is 'What was fitted.';
comment on column ml.model_versions.feature_set_version is 'The ordered, versioned list of inputs.';
comment on column ml.model_versions.parameters is 'Settings of the fit.';
comment on column ml.model_versions.as_of is 'Nothing known later was used.';
comment on column ml.model_versions.trained_at is 'When it was trained.';
comment on column ml.model_versions.training_row_count is 'Rows it was fitted on.';
comment on column ml.model_versions.data_fingerprint is 'SHA-256 of the series it was fitted on.';
comment on column ml.model_versions.artifact is 'The fitted model, JSON.';
comment on column ml.model_versions.artifact_sha256 is 'SHA-256 of the artifact.';
comment on column ml.model_versions.metrics is 'Backtest errors by horizon, beside seasonal naive on the same origins.';
comment on column ml.model_versions.code_version is 'Version of the program that trained it.';
create unique index model_versions_champion on ml.model_versions (model_name, marketplace) where state = 'champion';

create table ml.score_definitions (
    score_version text        primary key,
    definition    jsonb       not null,
    description   text        not null
);
comment on table ml.score_definitions is 'Published definitions of the competition score.';
comment on column ml.score_definitions.score_version is 'Name of the version.';
comment on column ml.score_definitions.definition is 'Components with weight, source metric and the two bounds between which it grows from 0 to 1.';
comment on column ml.score_definitions.description is 'What the score means.';

create table ml.competition_scores (
    keyword_id        bigint      not null references core.keywords,
    week_start_date   date        not null,
    score_version     text        not null references ml.score_definitions,
    score             double precision not null check (score between 0 and 1),
    level             text        not null check (level in ('low', 'medium', 'high')),
    contributions     jsonb       not null,
    source_payload_ids bigint[]   not null,
    observed_at       timestamptz not null,
    scored_at         timestamptz not null,
    primary key (keyword_id, week_start_date, score_version)
);
comment on table ml.competition_scores is 'How hard it is to be seen for a keyword, week by week, by a published formula.';
comment on column ml.competition_scores.keyword_id is 'The keyword.';
comment on column ml.competition_scores.week_start_date is 'The Sunday on which the week begins.';
comment on column ml.competition_scores.score_version is 'Definition by which it was computed.';
comment on column ml.competition_scores.score is '0 (easy) to 1 (hard); the sum of the contributions.';
comment on column ml.competition_scores.level is 'low below 1/3, medium below 2/3, else high.';
comment on column ml.competition_scores.contributions is 'Contribution of each component; they add up to the score.';
comment on column ml.competition_scores.source_payload_ids is 'Payloads the components were read from.';
comment on column ml.competition_scores.observed_at is 'Moment of the search results page that was scored.';
comment on column ml.competition_scores.scored_at is 'When it was computed.';

create table ml.predictions (
    prediction_id       bigint      generated always as identity primary key,
    keyword_id          bigint      not null references core.keywords,
    target_kind         text        not null check (target_kind in ('demand', 'competition')),
    target_metric       text        not null,
    unit                text        not null,
    as_of_date          date        not null,
    horizon_days        integer     not null check (horizon_days > 0),
    target_date         date        not null,
    current_value       double precision,
    predicted_value     double precision,
    lo_80               double precision,
    hi_80               double precision,
    lo_95               double precision,
    hi_95               double precision,
    baseline_value      double precision,
    trend_class         text        check (trend_class in ('rising', 'stable', 'falling', 'unknown')),
    competition_level   text        check (competition_level in ('low', 'medium', 'high')),
    is_abstained        boolean     not null,
    abstain_reason      text,
    model_version_id    bigint      not null references ml.model_versions,
    feature_set_version text        not null,
    score_version       text        references ml.score_definitions,
    observation_count   integer     not null,
    first_observed_date date,
    last_observed_date  date,
    source_list         text[]      not null,
    data_quality_score  double precision not null check (data_quality_score between 0 and 1),
    run_id              uuid        not null,
    predicted_at        timestamptz not null,
    unique (keyword_id, target_kind, as_of_date, horizon_days, model_version_id),
    check (is_abstained = (predicted_value is null)),
    check (is_abstained = (abstain_reason is not null)),
    check (lo_95 <= lo_80 and lo_80 <= predicted_value and predicted_value <= hi_80 and hi_80 <= hi_95)
);
comment on table ml.predictions is 'Predictions, only ever added: what a model said about a keyword for a date, as of a date.';
comment on column ml.predictions.prediction_id is 'Identifier.';
comment on column ml.predictions.keyword_id is 'The keyword.';
comment on column ml.predictions.target_kind is 'demand or competition.';
comment on column ml.predictions.target_metric is 'The metric that is predicted.';
comment on column ml.predictions.unit is 'Unit of the metric.';
comment on column ml.predictions.as_of_date is 'Nothing known after this day was used.';
comment on column ml.predictions.horizon_days is 'How far after the last observed week the target lies.';
comment on column ml.predictions.target_date is 'First day of the week that is predicted.';
comment on column ml.predictions.current_value is 'The last observed value.';
comment on column ml.predictions.predicted_value is 'The prediction; null when the model abstained.';
comment on column ml.predictions.lo_80 is 'Lower end of the 80 % interval.';
comment on column ml.predictions.hi_80 is 'Upper end of the 80 % interval.';
comment on column ml.predictions.lo_95 is 'Lower end of the 95 % interval.';
comment on column ml.predictions.hi_95 is 'Upper end of the 95 % interval.';
comment on column ml.predictions.baseline_value is 'What seasonal naive says.';
comment on column ml.predictions.trend_class is 'Direction of demand: rising or falling by more than 10 %, else stable; unknown when abstained.';
comment on column ml.predictions.competition_level is 'Level of the predicted competition score.';
comment on column ml.predictions.is_abstained is 'True when the history cannot carry a prediction.';
comment on column ml.predictions.abstain_reason is 'Why the model abstained.';
comment on column ml.predictions.model_version_id is 'The model that predicted.';
comment on column ml.predictions.feature_set_version is 'Inputs it used.';
comment on column ml.predictions.score_version is 'Definition of the competition score, where that is predicted.';
comment on column ml.predictions.observation_count is 'Observed weeks the prediction stands on.';
comment on column ml.predictions.first_observed_date is 'First of them.';
comment on column ml.predictions.last_observed_date is 'Last of them.';
comment on column ml.predictions.source_list is 'Resources the observations came from.';
comment on column ml.predictions.data_quality_score is 'Share of the weeks since the first that have an observation, over at most 104 weeks.';
comment on column ml.predictions.run_id is 'The scoring job.';
comment on column ml.predictions.predicted_at is 'When it was predicted.';
create index predictions_latest on ml.predictions (keyword_id, target_kind, horizon_days, as_of_date desc);
