-- What was said of a keyword that turned out to be another was said of that one.
create function core.said_of(wanted_keyword_ids bigint[])
returns table (said_keyword_id bigint, keyword_id bigint) language sql stable as $$
    select keywords.keyword_id, coalesce(keywords.merged_into_keyword_id, keywords.keyword_id)
    from core.keywords
    where keywords.keyword_id = any(wanted_keyword_ids) or keywords.merged_into_keyword_id = any(wanted_keyword_ids)
$$;
comment on function core.said_of is 'The keywords whose observations count for wanted ones: these themselves, and those that were merged into them.';
