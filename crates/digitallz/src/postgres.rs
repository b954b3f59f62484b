//! A private Postgres, started from the server binaries of the machine when no `DATABASE_URL` is given.
//!
//! The cluster listens on a Unix socket in a directory that only its owner can enter, so it needs no password. Several
//! processes share it: each holds a shared lock while it uses the cluster, and the one that leaves last stops it, unless
//! it was asked to stay up. A process that was killed holds no lock; the next one finds the cluster running.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use digitallz_common::secret::Secret;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor};

/// Name of the database inside the private cluster, and of its owner.
pub const DATABASE_NAME: &str = "digitallz";

/// Longest path of a Unix socket that every system accepts.
const MAX_SOCKET_PATH: usize = 100;

/// Where clusters live that root starts for a data directory the server's user cannot enter.
const SYSTEM_DIRECTORY: &str = "/var/lib/digitallz";

/// Why there is no private Postgres.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No server binaries were found.
    #[error(
        "no PostgreSQL server binaries were found (looked at pg_config, {0}); install the package `postgresql`, or set DATABASE_URL to a server of your own"
    )]
    NoBinaries(String),
    /// The cluster was made by another major version.
    #[error(
        "the cluster in {path} was made by PostgreSQL {found}, whose binaries are not installed; install them, or choose another --data-dir"
    )]
    OtherVersion {
        /// The cluster.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// Root found no user to run the server as.
    #[error(
        "PostgreSQL refuses to run as root and there is neither a user `postgres` nor `nobody`; run as another user, or set DATABASE_URL"
    )]
    NoUser,
    /// A file or directory could not be made or read.
    #[error("failed to {doing} {path}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A server command failed.
    #[error("`{command}` failed: {output}")]
    Command {
        /// The command.
        command: String,
        /// The end of what it printed.
        output: String,
    },
    /// The server runs but cannot be used.
    #[error("the private PostgreSQL runs but its database could not be made")]
    Database(#[source] sqlx::Error),
}

/// A running private cluster that this process uses.
#[derive(Debug)]
pub struct PrivatePostgres {
    layout: Layout,
    users_lock: File,
}

/// Starts the cluster of a data directory, making it first when there is none, or joins the running one.
///
/// `options` are passed to the server, for example `-c fsync=off` in tests.
pub async fn start(data_dir: &Path, options: &[&str]) -> Result<PrivatePostgres, PostgresError> {
    let layout = Layout::of(data_dir)?;
    let users_lock = {
        let _start_lock = lock(&layout.lock_dir, "start.lock")?;
        if !layout.data().join("PG_VERSION").exists() {
            eprintln!("initializing a private PostgreSQL in {}, once; this takes some seconds", layout.root.display());
            layout.initialise()?;
        }
        if !layout.is_running()? {
            layout.start_server(options)?;
        }
        let users_lock = open_lock(&layout.lock_dir, "users.lock")?;
        users_lock.lock_shared().map_err(|source| file_error("lock", &layout.lock_dir, source))?;
        users_lock
    };
    let postgres = PrivatePostgres { layout, users_lock };
    postgres.ensure_database(DATABASE_NAME).await?;
    Ok(postgres)
}

/// Stops the cluster of a data directory whoever uses it; false when it was not running.
pub fn stop(data_dir: &Path) -> Result<bool, PostgresError> {
    let layout = Layout::of(data_dir)?;
    let _start_lock = lock(&layout.lock_dir, "start.lock")?;
    if !layout.data().join("PG_VERSION").exists() || !layout.is_running()? {
        return Ok(false);
    }
    layout.stop_server()?;
    Ok(true)
}

/// Name of the file that holds the process number of a server that stays up after its last user.
const KEPT_UP: &str = "kept-up";

impl PrivatePostgres {
    /// Returns the connection string of a database of the cluster. It holds no password: the socket's directory guards it.
    pub fn url(&self, database: &str) -> Secret {
        let socket: String =
            url::form_urlencoded::byte_serialize(self.layout.socket.to_string_lossy().as_bytes()).collect();
        Secret::new(format!("postgresql:///{database}?host={socket}&user={DATABASE_NAME}"))
    }

    /// Returns the directory of the cluster.
    pub fn directory(&self) -> &Path {
        &self.layout.root
    }

    /// Lets the server stay up when its last user leaves, until [`stop`] is called.
    pub fn keep_up(&self) -> Result<(), PostgresError> {
        let path = self.layout.lock_dir.join(KEPT_UP);
        fs::write(&path, self.layout.server_process()).map_err(|source| file_error("write", &path, source))
    }

    /// Leaves the cluster and stops it unless another process uses it or it is to stay up.
    pub fn leave(self) -> Result<(), PostgresError> {
        let _start_lock = lock(&self.layout.lock_dir, "start.lock")?;
        let unlocked = self.users_lock.unlock();
        unlocked.map_err(|source| file_error("unlock", &self.layout.lock_dir, source))?;
        match self.users_lock.try_lock() {
            Ok(()) if self.layout.is_kept_up() => Ok(()),
            Ok(()) => self.layout.stop_server(),
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(source)) => Err(file_error("lock", &self.layout.lock_dir, source)),
        }
    }

    /// Drops a database with everything in it and makes it anew, empty.
    pub async fn recreate_database(&self, name: &str) -> Result<(), PostgresError> {
        self.administer(&format!("drop database if exists \"{name}\" with (force)")).await?;
        self.administer(&format!("create database \"{name}\"")).await
    }

    /// Gives a database another name; nobody may be connected to it.
    pub async fn rename_database(&self, name: &str, new_name: &str) -> Result<(), PostgresError> {
        self.administer(&format!("alter database \"{name}\" rename to \"{new_name}\"")).await
    }

    async fn ensure_database(&self, name: &str) -> Result<(), PostgresError> {
        match self.administer(&format!("create database \"{name}\"")).await {
            Err(PostgresError::Database(sqlx::Error::Database(error))) if error.code().as_deref() == Some("42P04") => {
                Ok(())
            }
            other => other,
        }
    }

    /// Runs a statement that no transaction may hold, in the cluster's own database. Names in it are ours, not a user's.
    async fn administer(&self, statement: &str) -> Result<(), PostgresError> {
        let options: PgConnectOptions = self.url("postgres").expose().parse().map_err(PostgresError::Database)?;
        let mut connection = options.connect().await.map_err(PostgresError::Database)?;
        let result = connection.execute(sqlx::AssertSqlSafe(statement.to_owned())).await;
        result.map(|_| ()).map_err(PostgresError::Database)
    }
}

/// Where the parts of a cluster are, and who runs it.
#[derive(Debug)]
struct Layout {
    binaries: PathBuf,
    root: PathBuf,
    socket: PathBuf,
    lock_dir: PathBuf,
    owner: Option<Owner>,
}

/// The user that root runs the server as.
#[derive(Debug, Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

impl Layout {
    fn of(data_dir: &Path) -> Result<Layout, PostgresError> {
        make_directory(data_dir)?;
        let lock_dir = fs::canonicalize(data_dir).map_err(|source| file_error("open", data_dir, source))?;
        let owner = if rustix::process::geteuid().is_root() { Some(server_user()?) } else { None };
        let mut root = lock_dir.join("postgres");
        if let Some(owner) = owner
            && !owner.can_enter(&lock_dir)
        {
            root = Path::new(SYSTEM_DIRECTORY).join(short_hash(&lock_dir));
            make_directory(Path::new(SYSTEM_DIRECTORY))?;
        }
        let mut socket = root.join("socket");
        if socket.join(".s.PGSQL.5432").as_os_str().len() > MAX_SOCKET_PATH {
            socket = std::env::temp_dir().join(format!("digitallz-{}", short_hash(&root)));
        }
        let binaries = find_binaries(&root.join("data"))?;
        Ok(Layout { binaries, root, socket, lock_dir, owner })
    }

    fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    fn initialise(&self) -> Result<(), PostgresError> {
        self.make_private(&self.root)?;
        let data = self.data();
        let unfinished = self.root.join("data.new");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(|source| file_error("remove", &unfinished, source))?;
        }
        let mut command = self.command("initdb");
        command.arg("--pgdata").arg(&unfinished);
        command.args([
            "--username",
            DATABASE_NAME,
            "--encoding=UTF8",
            "--locale=C",
            "--auth-local=trust",
            "--auth-host=reject",
        ]);
        run(command)?;
        fs::rename(&unfinished, &data).map_err(|source| file_error("make", &data, source))
    }

    fn start_server(&self, options: &[&str]) -> Result<(), PostgresError> {
        self.make_private(&self.socket)?;
        let mut server_options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c unix_socket_permissions=0700 -c max_connections=300 -c jit=off",
            self.socket.display()
        );
        for option in options {
            server_options.push(' ');
            server_options.push_str(option);
        }
        let mut command = self.command("pg_ctl");
        command.arg("--pgdata").arg(self.data()).arg("--log").arg(self.root.join("server.log"));
        command.args(["--wait", "--timeout=60", "--silent", "--options", &server_options, "start"]);
        // The server outlives this command, so it must not hold our pipes.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let name = command_name(&command);
        let status = command.status().map_err(|source| file_error("run", &self.binaries.join("pg_ctl"), source))?;
        if status.success() {
            return Ok(());
        }
        let log = fs::read_to_string(self.root.join("server.log")).unwrap_or_default();
        Err(PostgresError::Command { command: name, output: tail(&log) })
    }

    fn stop_server(&self) -> Result<(), PostgresError> {
        let mut command = self.command("pg_ctl");
        command.arg("--pgdata").arg(self.data()).args(["--wait", "--silent", "--mode=fast", "stop"]);
        run(command).map(|_| ())
    }

    fn is_running(&self) -> Result<bool, PostgresError> {
        let mut command = self.command("pg_ctl");
        command.arg("--pgdata").arg(self.data()).arg("status");
        let output = command.output().map_err(|source| file_error("run", &self.binaries.join("pg_ctl"), source))?;
        Ok(output.status.success())
    }

    /// Returns the process number of the running server, as the server itself notes it; empty when it does not run.
    fn server_process(&self) -> String {
        let notes = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        notes.lines().next().unwrap_or_default().to_owned()
    }

    /// Tells whether this very server, not one before a restart of the machine, is to stay up.
    fn is_kept_up(&self) -> bool {
        let kept_up = fs::read_to_string(self.lock_dir.join(KEPT_UP)).unwrap_or_default();
        !kept_up.is_empty() && kept_up == self.server_process()
    }

    /// Prepares a server command, to be run as the cluster's owner in a directory it can enter.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.current_dir("/").env_remove("PGDATA").env_remove("DATABASE_URL").env("LC_ALL", "C");
        if let Some(owner) = self.owner {
            command.uid(owner.uid).gid(owner.gid);
        }
        command
    }

    /// Makes a directory that only the cluster's owner can enter.
    fn make_private(&self, path: &Path) -> Result<(), PostgresError> {
        make_directory(path)?;
        if let Some(owner) = self.owner {
            chown(path, Some(owner.uid), Some(owner.gid)).map_err(|source| file_error("hand over", path, source))?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .map_err(|source| file_error("protect", path, source))
    }
}

impl Owner {
    /// Tells whether the user can reach a directory through all of its parents.
    fn can_enter(self, directory: &Path) -> bool {
        directory.ancestors().all(|ancestor| {
            fs::metadata(ancestor).is_ok_and(|metadata| {
                let mode = metadata.mode();
                let bit = match (metadata.uid() == self.uid, metadata.gid() == self.gid) {
                    (true, _) => 0o100,
                    (false, true) => 0o010,
                    (false, false) => 0o001,
                };
                mode & bit != 0
            })
        })
    }
}

/// Finds the user of the distribution's package, or the one who owns nothing.
fn server_user() -> Result<Owner, PostgresError> {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |name: &str| {
        users.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            match fields.as_slice() {
                [user, _, uid, gid, ..] if *user == name => {
                    Some(Owner { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
                }
                _ => None,
            }
        })
    };
    find("postgres").or_else(|| find("nobody")).ok_or(PostgresError::NoUser)
}

/// Finds the directory of the server binaries: those that made the cluster, if it exists, else the newest.
fn find_binaries(data: &Path) -> Result<PathBuf, PostgresError> {
    let wanted = fs::read_to_string(data.join("PG_VERSION")).ok().map(|version| version.trim().to_owned());
    let candidates = binary_directories();
    let found = candidates.iter().find(|directory| match &wanted {
        None => true,
        Some(wanted) => major_version(directory).as_ref() == Some(wanted),
    });
    match (found, wanted) {
        (Some(directory), _) => Ok(directory.clone()),
        (None, Some(found)) if !candidates.is_empty() => {
            Err(PostgresError::OtherVersion { path: data.to_owned(), found })
        }
        (None, _) => Err(PostgresError::NoBinaries("/usr/lib/postgresql/*/bin, Homebrew, PATH".to_owned())),
    }
}

/// Lists the directories that hold server binaries, the newest first.
fn binary_directories() -> Vec<PathBuf> {
    let mut directories = Vec::new();
    for pattern in ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"] {
        let mut versions: Vec<PathBuf> =
            fs::read_dir(pattern).into_iter().flatten().flatten().map(|entry| entry.path().join("bin")).collect();
        versions
            .sort_by_key(|path| std::cmp::Reverse(major_version(path).and_then(|version| version.parse::<u32>().ok())));
        directories.extend(versions);
    }
    if let Ok(output) = Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output() {
        directories.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    directories.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    directories.retain(|directory| ["initdb", "pg_ctl", "postgres"].iter().all(|name| directory.join(name).is_file()));
    directories
}

/// Asks the server of a directory for its major version.
fn major_version(directory: &Path) -> Option<String> {
    let output = Command::new(directory.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    version.split('.').next().map(str::to_owned)
}

fn run(mut command: Command) -> Result<Output, PostgresError> {
    let name = command_name(&command);
    let program = PathBuf::from(command.get_program());
    let output = command.output().map_err(|source| file_error("run", &program, source))?;
    if output.status.success() {
        return Ok(output);
    }
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(PostgresError::Command { command: name, output: tail(&text) })
}

fn command_name(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    program.to_string_lossy().into_owned()
}

/// Returns the last lines of a text, on one line.
fn tail(text: &str) -> String {
    const LINES: usize = 5;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("; ")
}

/// Takes an exclusive lock, waiting for it; it is released when the file is dropped.
fn lock(directory: &Path, name: &str) -> Result<File, PostgresError> {
    let file = open_lock(directory, name)?;
    file.lock().map_err(|source| file_error("lock", directory, source))?;
    Ok(file)
}

fn open_lock(directory: &Path, name: &str) -> Result<File, PostgresError> {
    let path = directory.join(name);
    File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|source| file_error("open", &path, source))
}

fn make_directory(path: &Path) -> Result<(), PostgresError> {
    fs::create_dir_all(path).map_err(|source| file_error("make", path, source))
}

fn file_error(doing: &'static str, path: &Path, source: io::Error) -> PostgresError {
    PostgresError::File { doing, path: path.to_owned(), source }
}

fn short_hash(path: &Path) -> String {
    let digest = Sha256::digest(path.to_string_lossy().as_bytes());
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
