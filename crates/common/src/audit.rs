//! The audit trail: what people decided, only ever added to.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

/// Adds an event, in the transaction of what it tells of.
///
/// `actor` is a person as named on the command line, or the part of the program that acted by itself; `action` a verb
/// phrase; `detail` an object without secrets.
pub async fn record(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    actor: &str,
    action: &str,
    subject: &str,
    detail: Value,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into ops.audit_events (happened_at, actor, action, subject, detail) values ($1, $2, $3, $4, $5)",
        now,
        actor,
        action,
        subject,
        detail,
    )
    .execute(connection)
    .await?;
    Ok(())
}
