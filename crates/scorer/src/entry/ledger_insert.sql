-- The pages of the eight weeks, and of the four before that told who was new, are the sources of a count.
insert into ml.entry_outcomes (entry_prediction_id, revision, newcomer_count, success_count, actual_value, actual_level,
    error, persistence_error, is_inside_80, is_inside_95, source_payload_ids, scored_at)
select counted.*, coalesce(seen.payload_ids, '{}'), $2
from unnest($3::bigint[], $4::integer[], $5::integer[], $6::integer[], $7::double precision[], $8::text[],
            $9::double precision[], $10::double precision[], $11::boolean[], $12::boolean[])
    as counted (entry_prediction_id, revision, newcomer_count, success_count, actual_value, actual_level, error,
                persistence_error, is_inside_80, is_inside_95)
join ml.entry_predictions predictions using (entry_prediction_id)
join core.keywords on keywords.keyword_id = predictions.keyword_id
cross join lateral (
    select array_agg(distinct entries.raw_payload_id order by entries.raw_payload_id) as payload_ids
    from core.said_of(array[coalesce(keywords.merged_into_keyword_id, keywords.keyword_id)]) said
    join core.serp_entries entries on entries.keyword_id = said.said_keyword_id
    where entries.entry_kind = 'organic'
      and entries.observed_at >= (predictions.cohort_start_date - 28)::timestamp at time zone 'utc'
      and entries.observed_at < (predictions.outcome_date + 1)::timestamp at time zone 'utc'
      and entries.ingested_at <= $1
      and (entries.superseded_at is null or entries.superseded_at > $1)
) seen
on conflict do nothing
