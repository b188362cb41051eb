//! Starts, stops and abandons real servers.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{
    Environment, Error, Options, PrivatePostgres,
    home::{GLANCE, GLANCES},
};

/// Marks the process that is to be killed, as opposed to a test run.
const VICTIM: &str = "PGDIAL_TEST_VICTIM";

/// A folder that the account used under root can enter too, removed at the end.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Self {
        let path = Path::new("/tmp").join(format!("pgdial-test-{}", Uuid::new_v4().simple()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.0.join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

fn options(folder: Option<PathBuf>) -> Options {
    let environment = Environment {
        pg_bindir: env::var_os("PGDIAL_PG_BINDIR").map(PathBuf::from),
        path: env::var_os("PATH"),
    };
    Options {
        folder,
        ..Options::careless(environment)
    }
}

fn is_alive(pid: i32) -> bool {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::test_kill_process(pid).is_ok()
}

#[track_caller]
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..GLANCES {
        if condition() {
            return;
        }
        thread::sleep(GLANCE);
    }
    panic!("still not so after a minute: {what}");
}

async fn ask(url: &str, question: &'static str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let answer = sqlx::query_scalar(question)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    answer
}

#[tokio::test]
async fn a_server_answers_and_is_gone_with_its_files_when_dropped() {
    let server = PrivatePostgres::start(&options(None)).unwrap();
    assert_eq!(
        ask(&server.url(), "select current_user::text").await,
        "pgdial"
    );
    assert_eq!(
        ask(&server.url(), "select current_setting('fsync')").await,
        "off"
    );
    assert_eq!(
        ask(&server.url(), "select current_setting('listen_addresses')").await,
        ""
    );
    assert!(
        server
            .psql_line()
            .contains(server.socket_dir().to_str().unwrap())
    );
    let (pid, socket_dir) = (server.pid(), server.socket_dir().to_owned());
    assert!(is_alive(pid));
    drop(server);
    assert!(!is_alive(pid));
    assert!(!socket_dir.exists());
}

#[tokio::test]
async fn a_kept_cluster_is_durable_and_comes_back_with_its_rows() {
    let scratch = Scratch::new();
    let keep = || Options {
        durable: true,
        ..options(Some(scratch.path().join("kept")))
    };
    let server = PrivatePostgres::start(&keep()).unwrap();
    assert_eq!(server.data_dir(), scratch.path().join("kept/data"));
    assert_eq!(
        ask(&server.url(), "select current_setting('fsync')").await,
        "on"
    );
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    sqlx::raw_sql("create table kept as select 'row'::text as word")
        .execute(&mut connection)
        .await
        .unwrap();
    server.stop().unwrap();
    let again = PrivatePostgres::start(&keep()).unwrap();
    assert_eq!(ask(&again.url(), "select word from kept").await, "row");
}

#[tokio::test]
async fn extra_settings_win_over_ours() {
    let settings = vec![("max_connections".to_owned(), "17".to_owned())];
    let server = PrivatePostgres::start(&Options {
        settings,
        ..options(None)
    })
    .unwrap();
    assert_eq!(
        ask(&server.url(), "select current_setting('max_connections')").await,
        "17"
    );
}

#[test]
fn a_server_that_cannot_start_says_why_in_its_own_words() {
    let settings = vec![("no_such_setting".to_owned(), "on".to_owned())];
    let error = PrivatePostgres::start(&Options {
        settings,
        ..options(None)
    })
    .unwrap_err();
    assert!(matches!(error, Error::Died { .. }), "{error:?}");
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[test]
fn a_home_that_others_may_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let open = || options(Some(scratch.path().join("open")));
    let server = PrivatePostgres::start(&open()).unwrap();
    let home = server.socket_dir().to_owned();
    server.stop().unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
    let error = PrivatePostgres::start(&open()).unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
}

#[test]
fn a_server_does_not_outlive_a_killed_starter() {
    let mut starter = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "db::private::tests::the_victim",
            "--ignored",
            "--nocapture",
        ])
        .env(VICTIM, "yes")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(starter.stdout.take().unwrap()).lines();
    let found = lines
        .map(Result::unwrap)
        .find_map(|line| Some(line.split_once("server ")?.1.to_owned()))
        .unwrap();
    let (pid, home) = found.split_once(' ').unwrap();
    let pid: i32 = pid.parse().unwrap();
    assert!(is_alive(pid) && Path::new(home).exists());
    starter.kill().unwrap(); // SIGKILL: no destructor runs
    starter.wait().unwrap();
    wait_until("the server is gone", || !is_alive(pid));
    wait_until("its files are gone", || !Path::new(home).exists());
}

/// Not a test: the process that the test above starts and kills.
#[test]
#[ignore = "started by a_server_does_not_outlive_a_killed_starter"]
fn the_victim() {
    if env::var_os(VICTIM).is_none() {
        return;
    }
    let server = PrivatePostgres::start(&options(None)).unwrap();
    println!("server {} {}", server.pid(), server.socket_dir().display());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}
