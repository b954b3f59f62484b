-- $1 to $9 are the same for all rows; the arrays hold one element per row.
insert into ml.predictions (
    target_kind, target_metric, unit, as_of_date, model_version_id, feature_set_version, score_version, run_id,
    predicted_at, keyword_id, horizon_days, target_date, current_value, predicted_value, lo_80, hi_80, lo_95, hi_95,
    baseline_value, trend_class, competition_level, is_abstained, abstain_reason, observation_count,
    first_observed_date, last_observed_date, source_list, data_quality_score, error_scale,
    probability_falling, probability_stable, probability_rising, demand_pattern, season_strength, next_peak_date
)
select $1, $2, $3, $4, $5, $6, $7, $8, $9, keyword_id, horizon_days, target_date, current_value, predicted_value,
       lo_80, hi_80, lo_95, hi_95, baseline_value, trend_class, competition_level, abstain_reason is not null,
       abstain_reason, observation_count, first_observed_date, last_observed_date,
       -- Names of resources hold no comma; no source at all is an empty array.
       string_to_array(sources, ','), data_quality_score, error_scale, probability_falling, probability_stable,
       probability_rising, demand_pattern, season_strength, next_peak_date
from unnest($10::bigint[], $11::integer[], $12::date[], $13::double precision[], $14::double precision[],
            $15::double precision[], $16::double precision[], $17::double precision[], $18::double precision[],
            $19::double precision[], $20::text[], $21::text[], $22::text[], $23::integer[], $24::date[], $25::date[],
            $26::text[], $27::double precision[], $28::double precision[], $29::double precision[],
            $30::double precision[], $31::double precision[], $32::text[], $33::double precision[], $34::date[])
    as predictions (keyword_id, horizon_days, target_date, current_value, predicted_value, lo_80, hi_80, lo_95, hi_95,
                    baseline_value, trend_class, competition_level, abstain_reason, observation_count,
                    first_observed_date, last_observed_date, sources, data_quality_score, error_scale, probability_falling,
                    probability_stable, probability_rising, demand_pattern, season_strength, next_peak_date)
-- One row per model and day; where the terms allow no model, one per scoring.
on conflict do nothing
