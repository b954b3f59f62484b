//! What becomes of answers that differ from those seen before: a contract for each resource of a marketplace.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::audit;
use crate::marketplace::{Marketplace, Resource, UnknownName};

/// What becomes of a field that differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It is accepted, and reported as drift.
    #[default]
    Evolve,
    /// Its whole payload is quarantined.
    Freeze,
    /// Its row is quarantined, the rest of the payload is read.
    DiscardRow,
    /// It counts as absent, the rest of its row is read.
    DiscardValue,
}

impl Mode {
    /// All modes.
    pub const ALL: [Mode; 4] = [Mode::Evolve, Mode::Freeze, Mode::DiscardRow, Mode::DiscardValue];

    /// Returns the name used in tables and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Evolve => "evolve",
            Mode::Freeze => "freeze",
            Mode::DiscardRow => "discard_row",
            Mode::DiscardValue => "discard_value",
        }
    }

    /// Tells whether it refuses something, for which must be known what was there before.
    pub fn refuses(self) -> bool {
        matches!(self, Mode::Freeze | Mode::DiscardRow)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Mode {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Mode, UnknownName> {
        // On the command line words are often joined by hyphens.
        let plain = name.trim().replace('-', "_");
        let found = Mode::ALL.into_iter().find(|mode| mode.name() == plain);
        found.ok_or_else(|| UnknownName::new("mode", name, &Mode::ALL.map(Mode::name)))
    }
}

/// A type of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JsonType {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number, whole or not.
    Number,
    /// A text.
    String,
    /// A list.
    Array,
    /// Names and values.
    Object,
}

impl JsonType {
    /// Returns the type of a value.
    pub fn of(value: &serde_json::Value) -> JsonType {
        match value {
            serde_json::Value::Null => JsonType::Null,
            serde_json::Value::Bool(_) => JsonType::Boolean,
            serde_json::Value::Number(_) => JsonType::Number,
            serde_json::Value::String(_) => JsonType::String,
            serde_json::Value::Array(_) => JsonType::Array,
            serde_json::Value::Object(_) => JsonType::Object,
        }
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            JsonType::Null => "null",
            JsonType::Boolean => "boolean",
            JsonType::Number => "number",
            JsonType::String => "string",
            JsonType::Array => "array",
            JsonType::Object => "object",
        }
    }
}

/// The fields of a resource and the types each was seen with; paths fold the elements of lists as `*`.
pub type KnownFields = BTreeMap<String, BTreeSet<JsonType>>;

/// The contract of one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceContract {
    /// What becomes of a field that is not known.
    pub unknown_fields: Mode,
    /// What becomes of a field whose type changed.
    pub types: Mode,
    /// What is known, where one of the modes refuses something.
    pub known_fields: Option<KnownFields>,
}

/// A contract in force, as it is listed.
#[derive(Clone, Debug, Serialize)]
pub struct ListedContract {
    /// The resource.
    pub resource: String,
    /// What becomes of a field that is not known.
    pub unknown_fields: String,
    /// What becomes of a field whose type changed.
    pub types: String,
    /// How many fields are known; none where no mode refuses anything.
    pub known_field_count: Option<i64>,
    /// Who set it.
    pub set_by: String,
    /// When.
    pub set_at: DateTime<Utc>,
}

/// Returns the contract of a resource; one that nobody set evolves.
pub async fn get(
    connection: &mut PgConnection,
    marketplace: Marketplace,
    resource: Resource,
) -> Result<SourceContract, sqlx::Error> {
    let row = sqlx::query!(
        r#"select unknown_fields, types, known_fields as "known_fields: Json<KnownFields>"
           from ops.source_contracts where marketplace = $1 and resource = $2"#,
        marketplace.name(),
        resource.name(),
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(SourceContract::default()) };
    let mode = |name: &str| Mode::from_str(name).map_err(|error| sqlx::Error::Decode(Box::new(error)));
    Ok(SourceContract {
        unknown_fields: mode(&row.unknown_fields)?,
        types: mode(&row.types)?,
        known_fields: row.known_fields.map(|known| known.0),
    })
}

/// Returns the contracts of a marketplace that somebody set.
pub async fn list(connection: &mut PgConnection, marketplace: Marketplace) -> Result<Vec<ListedContract>, sqlx::Error> {
    sqlx::query_as!(
        ListedContract,
        "select resource, unknown_fields, types,
                case when known_fields is not null then (select count(*) from jsonb_object_keys(known_fields)) end
                    as known_field_count,
                set_by, set_at
         from ops.source_contracts where marketplace = $1 order by resource",
        marketplace.name()
    )
    .fetch_all(connection)
    .await
}

/// Sets the contract of a resource, and writes the modes before and after into the audit trail.
///
/// The caller owns the transaction: the contract and its event are committed together.
pub async fn set(
    connection: &mut PgConnection,
    marketplace: Marketplace,
    resource: Resource,
    contract: &SourceContract,
    by: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let before = get(connection, marketplace, resource).await?;
    sqlx::query!(
        "insert into ops.source_contracts (marketplace, resource, unknown_fields, types, known_fields, set_by, set_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (marketplace, resource) do update
         set unknown_fields = excluded.unknown_fields, types = excluded.types, known_fields = excluded.known_fields,
             set_by = excluded.set_by, set_at = excluded.set_at",
        marketplace.name(),
        resource.name(),
        contract.unknown_fields.name(),
        contract.types.name(),
        contract.known_fields.as_ref().map(Json) as Option<Json<&KnownFields>>,
        by,
        now,
    )
    .execute(&mut *connection)
    .await?;
    let told = |contract: &SourceContract| {
        json!({ "unknown_fields": contract.unknown_fields, "types": contract.types,
                "known_field_count": contract.known_fields.as_ref().map(BTreeMap::len) })
    };
    let detail = json!({ "resource": resource, "before": told(&before), "after": told(contract) });
    audit::record(connection, now, by, "set_contract", marketplace.name(), detail).await
}
