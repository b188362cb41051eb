//! Follows docs/MIGRATING.md by running its blocks of shell and SQL.

use std::{fs, process::Command};

use super::Ran;
use crate::support::processes::Machine;

/// Blocks of this language, in order.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines().map(str::trim_start) {
        match &mut block {
            None if line == fence => block = Some(String::new()),
            None => {}
            Some(_) if line == "```" => blocks.extend(block.take()),
            Some(lines) => {
                lines.push_str(line);
                lines.push('\n');
            }
        }
    }
    blocks
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_page_says_can_be_done_as_it_says() {
    let path = format!("{}/docs/MIGRATING.md", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    let machine = Machine::new().await;
    machine
        .db
        .sql("create table public.orders (id bigint, phone text)")
        .await;
    let sql = blocks(&text, "sql");
    assert_eq!(sql.len(), 1, "{sql:?}");
    machine
        .db
        .sql(&format!("set search_path = public; {}", sql[0]))
        .await;
    assert_eq!(
        machine.db.text("select count(*) from pgdial.calls").await,
        "1"
    );

    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_pgdial"))
        .parent()
        .unwrap();
    let of_machine = machine.command(&[]);
    let url = of_machine
        .get_envs()
        .find(|(name, _)| *name == "DATABASE_URL");
    let shell = blocks(&text, "sh");
    assert!(shell.len() >= 3, "{shell:?}");
    for block in &shell {
        let mut command = Command::new("sh");
        let mut path = bin.as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        command
            .args(["-e", "-c", block])
            .env("PATH", path)
            .env("DATABASE_URL", url.unwrap().1.unwrap())
            .current_dir(machine.file("").as_path());
        let ran = Ran::of(command, "");
        assert_eq!(ran.code, 0, "{block}: {ran:?}");
    }
    let waiting = "select string_agg(concat_ws(' ', phone, script_id, idempotency_key, metadata), ', ' order by phone) \
                   from pgdial.calls where idempotency_key like 'job-%'";
    assert_eq!(
        machine.db.text(waiting).await,
        r#"+14155550101 welcome job-17 {"order": "4711"}, +14155550102 welcome job-18 {"order": "4712"}"#
    );
    let paused = "select paused from pgdial.trunks where name = 'default'";
    assert_eq!(
        machine.db.text(paused).await,
        "true",
        "going back pauses it"
    );
}
