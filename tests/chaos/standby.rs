//! A standby that follows a private server until it is promoted.

use std::{
    fs::{DirBuilder, File, Metadata},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::process::{Child, Command};

use crate::{postgres, stage::until};

/// Runs a server that ends when its stdin does: with this process, however that ends.
const UNDER_US: &str = r#"exec 3<&0; "$@" </dev/null & server=$!; { read -r _ <&3; kill -INT $server; } & wait $server"#;

/// A running standby; ends when dropped.
#[derive(Debug)]
pub(crate) struct Standby {
    /// Folder with its data and socket.
    pub(crate) home: PathBuf,
    _server: Child,
}

impl Standby {
    /// Copies the running cluster below a new folder, and starts a server that follows it.
    pub(crate) async fn follow(primary: &Path, base: &Path) -> Self {
        let options = PgConnectOptions::new()
            .socket(primary)
            .username("pgdial")
            .database("postgres");
        let mut admin = PgConnection::connect_with(&options).await.unwrap();
        let question = "select setting from pg_config where name = 'BINDIR'";
        let programs = PathBuf::from(
            postgres::text(&mut admin, &format!("({question})"))
                .await
                .unwrap(),
        );
        let owner = std::fs::metadata(primary).unwrap();
        let home = make_home(base, &owner);
        copy(&programs, primary, &home, &owner).await;
        let server = start(&programs, &home, &owner);
        until("the standby answers", Duration::from_mins(1), async || {
            PgConnection::connect_with(&options.clone().socket(&home))
                .await
                .is_ok()
        })
        .await;
        Self {
            home,
            _server: server,
        }
    }
}

/// A folder owned by the account that runs the primary, below one that it may traverse.
fn make_home(base: &Path, owner: &Metadata) -> PathBuf {
    let home = base.join("home");
    DirBuilder::new().mode(0o711).create(base).unwrap();
    DirBuilder::new().mode(0o700).create(&home).unwrap();
    chown(&home, Some(owner.uid()), Some(owner.gid())).unwrap();
    home
}

async fn copy(programs: &Path, primary: &Path, home: &Path, owner: &Metadata) {
    let copied = owned(Command::new(programs.join("pg_basebackup")), owner)
        .args(["-U", "pgdial", "-R", "-X", "stream", "-c", "fast", "-h"])
        .arg(primary)
        .arg("-D")
        .arg(home.join("data"))
        .current_dir(home)
        .output()
        .await
        .unwrap();
    assert!(
        copied.status.success(),
        "{}",
        String::from_utf8_lossy(&copied.stderr)
    );
}

fn start(programs: &Path, home: &Path, owner: &Metadata) -> Child {
    let log = File::create(home.join("server.log")).unwrap();
    owned(Command::new("/bin/sh"), owner)
        .args(["-c", UNDER_US, "pgdial-standby"])
        .arg(programs.join("postgres"))
        .arg("-D")
        .arg(home.join("data"))
        .arg("-k")
        .arg(home)
        .args(["-c", "listen_addresses="])
        // With fewer than the primary has, it would refuse to follow.
        .args(["-c", &format!("max_connections={}", postgres::CONNECTIONS)])
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn owned(mut command: Command, owner: &Metadata) -> Command {
    if rustix::process::geteuid().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command
}
