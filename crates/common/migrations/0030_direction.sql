-- How probable each direction of demand is, and what kind of series it is.
alter table ml.predictions
    add column probability_falling double precision check (probability_falling between 0 and 1),
    add column probability_stable double precision check (probability_stable between 0 and 1),
    add column probability_rising double precision check (probability_rising between 0 and 1),
    add column demand_pattern text
        check (demand_pattern in ('smooth', 'seasonal', 'intermittent', 'lumpy', 'isolated_event', 'dead')),
    add column season_strength double precision check (season_strength between 0 and 1),
    add column next_peak_date date,
    add constraint probabilities_add_up_to_one check (
        num_nulls(probability_falling, probability_stable, probability_rising) = 3
        or abs(probability_falling + probability_stable + probability_rising - 1) <= 1e-9),
    add constraint only_demand_has_a_direction check (
        target_kind = 'demand'
        or num_nulls(probability_falling, demand_pattern, season_strength, next_peak_date) = 4),
    add constraint a_peak_belongs_to_a_season check ((season_strength is null) = (next_peak_date is null));
comment on column ml.predictions.probability_falling is 'Probability that the mean demand of all predicted weeks lies more than a tenth below that of the last four; the same for every horizon. Null where the model cannot tell.';
comment on column ml.predictions.probability_stable is 'Probability that it lies within a tenth of it.';
comment on column ml.predictions.probability_rising is 'Probability that it lies more than a tenth above it.';
comment on column ml.predictions.demand_pattern is 'Kind of the known history: smooth, seasonal, intermittent, lumpy (Syntetos, Boylan and Croston 2005), isolated_event or dead. Null when the model abstained.';
comment on column ml.predictions.season_strength is 'Share of what moves around the level that the season explains; null where two years show none.';
comment on column ml.predictions.next_peak_date is 'First day of the week in which the season peaks next; null where there is none.';

create or replace view analytics.keyword_predictions_v1 as
select predictions.prediction_id, predictions.keyword_id, keywords.keyword_text, keywords.marketplace,
       keywords.market as locale, predictions.target_kind, predictions.target_metric, predictions.target_date,
       predictions.horizon_days, predictions.current_value, predictions.predicted_value, predictions.lo_80,
       predictions.hi_80, predictions.lo_95, predictions.hi_95, predictions.unit, predictions.baseline_value,
       predictions.trend_class, predictions.competition_level, predictions.is_abstained, predictions.abstain_reason,
       predictions.as_of_date, predictions.predicted_at, predictions.run_id, models.model_name,
       models.version as model_version, predictions.feature_set_version, predictions.score_version,
       predictions.observation_count, predictions.first_observed_date, predictions.last_observed_date,
       predictions.source_list, predictions.data_quality_score,
       predictions.predicted_at = max(predictions.predicted_at)
           over (partition by predictions.keyword_id, predictions.target_kind) as is_latest,
       ml.history_class(predictions.observation_count) as history_class,
       predictions.probability_falling, predictions.probability_stable, predictions.probability_rising,
       predictions.demand_pattern, predictions.season_strength, predictions.next_peak_date,
       (predictions.next_peak_date - predictions.last_observed_date) / 7 as weeks_until_peak
from ml.predictions predictions
join core.keywords using (keyword_id)
left join ml.model_versions models using (model_version_id);
comment on column analytics.keyword_predictions_v1.probability_falling is 'Probability that the mean demand of all predicted weeks lies more than a tenth below that of the last four; the same for every horizon. Null where the model cannot tell.';
comment on column analytics.keyword_predictions_v1.probability_stable is 'Probability that it lies within a tenth of it.';
comment on column analytics.keyword_predictions_v1.probability_rising is 'Probability that it lies more than a tenth above it.';
comment on column analytics.keyword_predictions_v1.demand_pattern is 'Kind of the known history: smooth, seasonal, intermittent, lumpy, isolated_event or dead; null when the model abstained.';
comment on column analytics.keyword_predictions_v1.season_strength is 'Share of what moves around the level that the season explains, 0 to 1; null where two years show none.';
comment on column analytics.keyword_predictions_v1.next_peak_date is 'First day of the week in which the season peaks next; null where there is none.';
comment on column analytics.keyword_predictions_v1.weeks_until_peak is 'Weeks from the last observed week to that of the next peak.';
