//! `digitallz run`: plays roles until it is told to stop.

use crate::cli::{Cli, Role};
use crate::demo_mark;
use crate::exit::Ending;
use crate::roles;
use crate::session::Session;

/// Plays the roles until SIGINT or SIGTERM, then lets running jobs finish for a while; a second signal hurries.
pub async fn run(cli: &Cli, chosen: &[Role]) -> anyhow::Result<Ending> {
    let chosen = if chosen.is_empty() { &Role::ALL } else { chosen };
    let session = Session::open_for_work(cli).await?;
    demo_mark::note_users_data(&session.db).await?;
    let running = roles::start(&session.db, &session.clock, &session.environment, chosen)?;
    let names: Vec<String> = chosen.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
    eprintln!("running {}; stop with Ctrl-C or SIGTERM", names.join(", "));
    wait_for_stop().await?;
    eprintln!("stopping: running jobs may finish, waiting ones stay in the queue; a second signal stops at once");
    let shutdown = running.shutdown();
    let stopped = running.stop();
    tokio::pin!(stopped);
    tokio::select! {
        () = &mut stopped => {}
        signal = wait_for_stop() => {
            signal?;
            eprintln!("stopping at once: running jobs go back to the queue");
            shutdown.stop_at_once();
            stopped.await;
        }
    }
    session.close().await?;
    Ok(Ending::Done)
}

/// Returns when the process is told to stop.
pub async fn wait_for_stop() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
