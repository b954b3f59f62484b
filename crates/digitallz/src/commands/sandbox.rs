//! `digitallz sandbox`: pretend marketplaces, alone.

use std::time::Duration;

use digitallz_sandbox::{Sandbox, SandboxConfig};
use serde_json::{Map, Value, json};

use crate::cli::{Cli, SandboxArgs};
use crate::commands::run::wait_for_stop;
use crate::exit::Ending;
use crate::output;

/// Lifetime of the tokens the sandbox grants, as the real services have it.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// Serves until told to stop, after printing the settings that point the collectors here.
pub async fn run(cli: &Cli, args: &SandboxArgs) -> anyhow::Result<Ending> {
    let sandbox = Sandbox::start(SandboxConfig {
        seed: args.seed,
        now: args.now,
        limit_factor: args.limit_factor,
        token_lifetime: TOKEN_LIFETIME,
        ports: [args.ports[0], args.ports[1], args.ports[2]],
        report_document_bytes: args.report_document_bytes,
        ..SandboxConfig::default()
    })
    .await?;
    let settings = sandbox.settings();
    if cli.json {
        let settings: Map<String, Value> =
            settings.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
        output::print_json(&json!({ "settings": settings }))?;
    } else {
        for (name, value) in settings {
            output::print(&format!("{name}={value}"))?;
        }
    }
    eprintln!("the sandbox is running; give the lines above to `--env-file`; stop with Ctrl-C");
    wait_for_stop().await?;
    sandbox.stop().await;
    Ok(Ending::Done)
}
