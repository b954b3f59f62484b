-- A second reading of keywords, by which rows may change, merge or turn out to be none; `digitallz keywords reread` does it.
-- The previous release goes on: it writes rows of version 1, which the next rereading takes up.
alter table core.keywords
    add column match_text             text,
    add column merged_into_keyword_id bigint references core.keywords,
    add column unreadable_reason      text,
    add constraint a_newer_reading_has_a_match_form
        check (normalization_version < 2 or (match_text is null) = (unreadable_reason is not null)),
    add constraint a_merged_keyword_is_another
        check (merged_into_keyword_id <> keyword_id and (merged_into_keyword_id is null or unreadable_reason is null)),
    add constraint what_is_no_keyword_is_inactive
        check (not is_active or (merged_into_keyword_id is null and unreadable_reason is null));
comment on column core.keywords.keyword_text is 'The normalised text that is searched for and compared. Capitals stand only in the remark [... MERGED INTO ...] or [... UNREADABLE], which frees the text for others.';
comment on column core.keywords.match_text is 'The text with accents and plurals folded as the language of the market allows; near-duplicates share it. Null until a reading of version 2 or later, and for what is no keyword.';
comment on column core.keywords.merged_into_keyword_id is 'The keyword that a newer reading found it to be; what was observed before stays with this row. Null for most.';
comment on column core.keywords.unreadable_reason is 'Why a newer reading takes it for no keyword; null for most.';
comment on column core.keywords.is_active is 'True when crawl runs cover it; false for merged and unreadable ones.';
create index keywords_by_match_text on core.keywords (marketplace, market, match_text);
create index keywords_merged on core.keywords (merged_into_keyword_id) where merged_into_keyword_id is not null;
create index keywords_by_normalization_version on core.keywords (normalization_version, keyword_id);

create view analytics.merged_keywords_v1 as
select merged.keyword_id, merged.marketplace, merged.market, merged.original_text,
       merged.merged_into_keyword_id as keyword_id_merged_into, survivor.keyword_text
from core.keywords merged
join core.keywords survivor on survivor.keyword_id = merged.merged_into_keyword_id;
comment on view analytics.merged_keywords_v1 is 'Keywords that a newer reading found to be others. Join it to add their history to that of the keyword they are.';
comment on column analytics.merged_keywords_v1.keyword_id is 'Identifier under which its own history stands.';
comment on column analytics.merged_keywords_v1.marketplace is 'amazon, etsy or ebay.';
comment on column analytics.merged_keywords_v1.market is 'Country site.';
comment on column analytics.merged_keywords_v1.original_text is 'The text as it was first written.';
comment on column analytics.merged_keywords_v1.keyword_id_merged_into is 'Identifier of the keyword that it is.';
comment on column analytics.merged_keywords_v1.keyword_text is 'Normalised text of that keyword.';
