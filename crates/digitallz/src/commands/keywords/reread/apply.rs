//! Carries out what was decided, a group in a transaction, so that a kill leaves every group as it was or as it is to be.

use chrono::{DateTime, Utc};
use digitallz_common::audit;
use digitallz_common::keyword::{Keyword, NORMALIZATION_VERSION};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::decide::{Fate, Group, Member, decide};
use super::keywords_around;

/// Rows whose text stays, which are brought to the new version together.
const BATCH_ROWS: usize = 1_000;

/// Who rereads, and when.
#[derive(Clone, Copy)]
pub(super) struct Act<'a> {
    pub(super) by: &'a str,
    pub(super) now: DateTime<Utc>,
}

/// Carries out all of it and returns how many keywords wait for another time, because they changed meanwhile.
pub(super) async fn apply(db: &PgPool, groups: &[Group], act: Act<'_>) -> anyhow::Result<usize> {
    let (unchanged, moving): (Vec<&Group>, Vec<&Group>) = groups.iter().partition(|group| group.is_unchanged());
    let mut postponed_count = 0;
    for group in moving {
        if !apply_group(db, group, act).await? {
            postponed_count += group.members.len();
        }
    }
    for batch in unchanged.chunks(BATCH_ROWS) {
        postponed_count += confirm(db, batch, act).await?;
    }
    Ok(postponed_count)
}

/// Carries out a group; nothing is done, and `false` returned, when the same would no longer be decided about it.
async fn apply_group(db: &PgPool, group: &Group, act: Act<'_>) -> anyhow::Result<bool> {
    let mut tx = db.begin().await?;
    // Nobody adds or changes keywords meanwhile; everything else, observations of them included, goes on.
    sqlx::query!("lock table core.keywords in share row exclusive mode").execute(&mut *tx).await?;
    if decide(&keywords_around(&mut tx, group).await?) != std::slice::from_ref(group) {
        tx.rollback().await?;
        return Ok(false);
    }
    free_texts(&mut tx, group).await?;
    // A survivor takes over from its losers what they have, so it comes before them.
    for member in &group.members {
        match &member.fate {
            Fate::Unchanged => keep(&mut tx, group, member, &member.keyword_text).await?,
            Fate::Changed { new_text } => keep(&mut tx, group, member, new_text).await?,
            Fate::Merged { .. } | Fate::Unreadable { .. } => {}
        }
    }
    for member in &group.members {
        match &member.fate {
            Fate::Unchanged | Fate::Changed { .. } => {}
            Fate::Merged { new_text, merged_into_keyword_id } => {
                merge(&mut tx, group, member, new_text, *merged_into_keyword_id).await?;
            }
            Fate::Unreadable { reason } => mark_unreadable(&mut tx, member, reason).await?,
        }
    }
    let subject = format!("{} {}", group.marketplace, group.market);
    let detail = json!({ "normalization_version": NORMALIZATION_VERSION, "keywords": group.members });
    audit::record(&mut tx, act.now, act.by, "reread keywords", &subject, detail).await?;
    tx.commit().await?;
    Ok(true)
}

/// Takes the members' texts away, so that they can change among them in any order.
async fn free_texts(connection: &mut PgConnection, group: &Group) -> Result<(), sqlx::Error> {
    let moving = group.members.iter().filter(|member| member.fate != Fate::Unchanged);
    sqlx::query!(
        "update core.keywords set keyword_text = keyword_text || ' [' || keyword_id || ' REREAD]' where keyword_id = any($1)",
        &moving.map(|member| member.keyword_id).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives a keyword its text, and what it takes over from those that are merged into it.
async fn keep(tx: &mut PgConnection, group: &Group, member: &Member, text: &str) -> Result<(), sqlx::Error> {
    let is_loser = |other: &&Member| matches!(&other.fate, Fate::Merged { merged_into_keyword_id, .. } if *merged_into_keyword_id == member.keyword_id);
    let losers: Vec<i64> = group.members.iter().filter(is_loser).map(|other| other.keyword_id).collect();
    let match_text = match_text(text, &group.market);
    sqlx::query!(
        "update core.keywords
         set keyword_text = $2, match_text = $3, normalization_version = $4, unreadable_reason = null,
             is_active = keywords.is_active or coalesce(losers.is_active, false),
             weight = greatest(keywords.weight, losers.weight),
             tags = (select coalesce(array_agg(distinct tag order by tag), '{}')
                     from core.keywords tagged, unnest(tagged.tags) as tag
                     where tagged.keyword_id = $1 or tagged.keyword_id = any($5))
         from (select bool_or(is_active) as is_active, max(weight) as weight
               from core.keywords where keyword_id = any($5)) losers
         where keywords.keyword_id = $1",
        member.keyword_id,
        text,
        match_text,
        NORMALIZATION_VERSION,
        &losers,
    )
    .execute(&mut *tx)
    .await?;
    // Those that were merged before follow: into the loser of today, or into the one whose text changes.
    let followed: Vec<i64> = losers.into_iter().chain([member.keyword_id]).collect();
    sqlx::query!(
        "update core.keywords
         set merged_into_keyword_id = $1, match_text = $3, normalization_version = $4,
             keyword_text = $2 || ' [' || keyword_id || ' MERGED INTO ' || $1::bigint || ']'
         where merged_into_keyword_id = any($5)",
        member.keyword_id,
        text,
        match_text,
        NORMALIZATION_VERSION,
        &followed,
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn merge(
    tx: &mut PgConnection,
    group: &Group,
    member: &Member,
    text: &str,
    merged_into_keyword_id: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update core.keywords
         set merged_into_keyword_id = $2, match_text = $4, normalization_version = $5, is_active = false,
             unreadable_reason = null,
             keyword_text = $3 || ' [' || keyword_id || ' MERGED INTO ' || $2::bigint || ']'
         where keyword_id = $1",
        member.keyword_id,
        merged_into_keyword_id,
        text,
        match_text(text, &group.market),
        NORMALIZATION_VERSION,
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn mark_unreadable(tx: &mut PgConnection, member: &Member, reason: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update core.keywords
         set unreadable_reason = $2, match_text = null, normalization_version = $4, is_active = false,
             keyword_text = $3 || ' [' || keyword_id || ' UNREADABLE]'
         where keyword_id = $1",
        member.keyword_id,
        reason,
        member.keyword_text,
        NORMALIZATION_VERSION,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Brings keywords to the new version whose text stays; those that are no longer as they were are counted.
async fn confirm(db: &PgPool, groups: &[&Group], act: Act<'_>) -> anyhow::Result<usize> {
    let members = groups.iter().flat_map(|group| group.members.iter().map(|member| (&group.market, member)));
    let mut keyword_ids = Vec::new();
    let mut texts = Vec::new();
    let mut match_texts = Vec::new();
    for (market, member) in members {
        keyword_ids.push(member.keyword_id);
        texts.push(member.keyword_text.clone());
        match_texts.push(match_text(&member.keyword_text, market));
    }
    let mut tx = db.begin().await?;
    let confirmed = sqlx::query!(
        "update core.keywords
         set normalization_version = $1,
             match_text = case when unreadable_reason is null then confirmed.match_text end
         from unnest($2::bigint[], $3::text[], $4::text[]) as confirmed (keyword_id, keyword_text, match_text)
         where keywords.keyword_id = confirmed.keyword_id and keywords.keyword_text = confirmed.keyword_text
           and merged_into_keyword_id is null",
        NORMALIZATION_VERSION,
        &keyword_ids,
        &texts,
        &match_texts as &[Option<String>],
    )
    .execute(&mut *tx)
    .await?;
    let confirmed_count = usize::try_from(confirmed.rows_affected())?;
    let detail = json!({ "normalization_version": NORMALIZATION_VERSION, "keyword_count": confirmed_count,
        "first_keyword_id": keyword_ids.iter().min(), "last_keyword_id": keyword_ids.iter().max() });
    audit::record(&mut tx, act.now, act.by, "reread keywords", "keywords whose text stays", detail).await?;
    tx.commit().await?;
    Ok(keyword_ids.len() - confirmed_count)
}

fn match_text(text: &str, market: &str) -> Option<String> {
    Keyword::parse(text).ok().map(|keyword| keyword.match_text(market))
}
