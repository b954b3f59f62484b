//! `digitallz config check`: what is in force, and where it came from.

use serde::Serialize;

use crate::cli::{Cli, ConfigCommand};
use crate::exit::Ending;
use crate::output;
use crate::settings::Environment;

#[derive(Serialize)]
struct SettingRow {
    name: &'static str,
    value: Option<String>,
    origin: String,
    help: &'static str,
}

/// Checks every setting and shows it.
pub fn run(cli: &Cli, command: &ConfigCommand) -> anyhow::Result<Ending> {
    let ConfigCommand::Check = command;
    let environment = Environment::read(cli.env_file.as_deref())?;
    environment.check()?;
    let rows: Vec<SettingRow> = environment
        .describe()
        .into_iter()
        .map(|(setting, value, origin)| SettingRow {
            name: setting.name,
            value,
            origin: origin.to_string(),
            help: setting.help,
        })
        .collect();
    output::list(
        cli.json,
        "settings",
        &rows,
        &[
            output::text("SETTING", |row: &SettingRow| row.name.to_owned()),
            output::text("VALUE", |row: &SettingRow| row.value.clone().unwrap_or_else(|| "-".to_owned())),
            output::text("FROM", |row: &SettingRow| row.origin.clone()),
        ],
    )?;
    Ok(Ending::Done)
}
