//! `dnc`: the list of numbers not to ring.

use std::{io::Read, path::PathBuf};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use super::{
    Exit, Failure, Out,
    import::open,
    out::{instant, text},
};
use crate::{domain::Phone, flow::Calls};

/// The list of numbers not to ring.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum DncCommand {
    /// Put numbers on the list. Waiting calls to them are passed over at once; live ones are left alone.
    Add {
        /// The numbers.
        #[arg(value_name = "NUMBER", required = true)]
        phones: Vec<Phone>,
        /// Why; shown to whoever asks for a call to them.
        #[arg(long, value_name = "TEXT", default_value = REASON)]
        reason: String,
    },
    /// Take numbers off the list.
    Remove {
        /// The numbers.
        #[arg(value_name = "NUMBER", required = true)]
        phones: Vec<Phone>,
        /// Kept with the act.
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// The list, newest first.
    List {
        /// How many.
        #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=100_000))]
        limit: i64,
    },
    /// Put the numbers of a file on the list: one a line, or CSV with a column `phone` and perhaps `reason`.
    Import {
        /// The file; `-` is stdin.
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
        /// Why, for lines that do not say.
        #[arg(long, value_name = "TEXT", default_value = REASON)]
        reason: String,
    },
}

const REASON: &str = "asked not to be called";
/// How many numbers are on their way at once: each is a round trip.
const AT_ONCE: usize = 4;

/// Does it.
pub async fn run(
    command: &DncCommand,
    calls: &Calls,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    match command {
        DncCommand::Add { phones, reason } => {
            let mut rows = Vec::new();
            for phone in phones {
                let added = calls.do_not_call_add(phone, by, reason).await?;
                rows.push((phone, if added { "added" } else { "already_listed" }));
            }
            verdicts(&rows, out)?;
            Ok(Exit::Ok)
        }
        DncCommand::Remove { phones, why } => {
            let mut rows = Vec::new();
            for phone in phones {
                let removed = calls.do_not_call_remove_as(phone, by, why.as_deref());
                let removed = removed.await?;
                rows.push((phone, if removed { "removed" } else { "not_listed" }));
            }
            verdicts(&rows, out)?;
            let missing = rows.iter().any(|(_, word)| *word == "not_listed");
            Ok(if missing { Exit::Failed } else { Exit::Ok })
        }
        DncCommand::List { limit } => list(*limit, calls, out).await,
        DncCommand::Import { file, reason } => {
            let (reader, _) = open(file)?;
            import(reader, reason, calls, by, out).await
        }
    }
}

fn verdicts(rows: &[(&Phone, &str)], out: &mut Out) -> Result<(), Failure> {
    if out.style.json {
        let rows = rows
            .iter()
            .map(|(phone, word)| json!({ "phone": phone, "verdict": word }));
        return out.json(&rows.collect::<Vec<_>>());
    }
    let rows = rows
        .iter()
        .map(|(phone, word)| vec![out.phone(&json!(phone)), (*word).to_owned()]);
    let rows = rows.collect();
    out.table(&["number", "verdict"], rows)
}

async fn list(limit: i64, calls: &Calls, out: &mut Out) -> Result<Exit, Failure> {
    let entries = calls.do_not_call_list(limit).await?;
    if out.style.json {
        out.json(&entries)?;
        return Ok(Exit::Ok);
    }
    let rows = entries.iter().map(|entry| {
        vec![
            out.phone(&entry["phone"]),
            instant(&entry["at"]),
            text(&entry["by"]),
            text(&entry["reason"]),
        ]
    });
    let rows = rows.collect();
    out.table(&["number", "since", "by", "reason"], rows)?;
    Ok(Exit::Ok)
}

async fn import(
    reader: impl Read,
    reason: &str,
    calls: &Calls,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for entry in entries(reader, reason)? {
        match entry {
            Ok(entry) => good.push(entry),
            Err(line) => bad.push(line),
        }
    }
    let added: Vec<bool> = stream::iter(&good)
        .map(|(phone, reason)| calls.do_not_call_add(phone, by, reason))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let new = added.iter().filter(|added| **added).count();
    for line in &bad {
        out.note(format!(
            "line {line}: not an E.164 number, as in +14155550100"
        ));
    }
    if out.style.json {
        let listed = good.len() - new;
        out.json(&json!({ "added": new, "alreadyListed": listed, "badLines": bad }))?;
    } else {
        out.note(format!(
            "{new} added, {} already listed, {} bad {}",
            good.len() - new,
            bad.len(),
            if bad.len() == 1 { "line" } else { "lines" }
        ));
    }
    Ok(if bad.is_empty() {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

type Entry = Result<(Phone, String), u64>;

/// Numbers with their reasons, or the lines that have none. With a header when the
/// first field of the file is no number.
fn entries(reader: impl Read, usual: &str) -> Result<Vec<Entry>, Failure> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(reader);
    let (mut phone_at, mut reason_at) = (0, 1);
    let mut entries = Vec::new();
    for (at, record) in reader.records().enumerate() {
        let record =
            record.map_err(|error| Failure::failed(format!("the file cannot be read: {error}")))?;
        let first = record.get(0).unwrap_or_default();
        if at == 0 && first.chars().any(char::is_alphabetic) {
            let column = |name: &str| {
                record
                    .iter()
                    .position(|column| column.eq_ignore_ascii_case(name))
            };
            phone_at = column("phone").or_else(|| column("to")).ok_or_else(|| {
                Failure::failed("the header has no column `phone`")
                    .hint("the columns are phone and reason")
            })?;
            reason_at = column("reason").unwrap_or(usize::MAX);
            continue;
        }
        let reason = record.get(reason_at).filter(|reason| !reason.is_empty());
        let reason = reason.unwrap_or(usual).to_owned();
        let line = record.position().map_or(0, csv::Position::line);
        let phone = Phone::parse(record.get(phone_at).unwrap_or_default());
        entries.push(phone.map(|phone| (phone, reason)).map_err(|_bad| line));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Entry> {
        entries(text.as_bytes(), "usual").unwrap()
    }

    fn entry(phone: &str, reason: &str) -> (Phone, String) {
        (Phone::parse(phone).unwrap(), reason.to_owned())
    }

    #[test]
    fn a_list_may_be_bare_numbers_or_have_a_header() {
        let bare = "+1 415 555 0100\n# a comment\n\n+14155550101,letter of 3 May\n";
        let want = [
            Ok(entry("+14155550100", "usual")),
            Ok(entry("+14155550101", "letter of 3 May")),
        ];
        assert_eq!(read(bare), want);
        let with_header = "reason,phone\n,+14155550100\nletter of 3 May,+14155550101\n";
        assert_eq!(read(with_header), want);
    }

    #[test]
    fn a_line_without_a_number_is_named() {
        assert_eq!(read("phone\n+14155550100\n555\n")[1], Err(3));
    }

    #[test]
    fn a_header_without_numbers_is_refused() {
        let failure = entries("name,reason\nAda,x\n".as_bytes(), "usual").unwrap_err();
        assert!(failure.to_string().contains("no column `phone`"));
    }
}
