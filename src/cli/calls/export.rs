//! `calls export`: writes calls page by page, with one page in memory.

use std::{fs::File, io::Write, path::Path};

use serde_json::json;

use super::args::ExportArgs;
use crate::{
    cli::{Exit, Failure, Out},
    export::{Format, Writer},
    flow::Queue,
};

/// Calls per page.
const PAGE: i32 = 2000;

/// Writes pages until none is left.
pub(super) async fn run(args: &ExportArgs, calls: &Queue, out: &mut Out) -> Result<Exit, Failure> {
    let filter = json!(args.filter.given());
    let by_name = args.out.as_deref().and_then(Path::extension);
    let format = args.format.unwrap_or(match by_name {
        Some(extension) if extension.eq_ignore_ascii_case("csv") => Format::Csv,
        _ => Format::Ndjson,
    });
    let mut file = match &args.out {
        Some(path) => Some(File::create(path).map_err(|error| {
            Failure::failed(format!("{} cannot be written: {error}", path.display()))
        })?),
        None => None,
    };
    let mut writer = Writer::new(format);
    let (mut count, mut cursor) = (0_usize, None::<String>);
    loop {
        let (page, next) = calls.export(&filter, cursor.as_deref(), PAGE).await?;
        count += page.len();
        let bytes = writer.write(&page)?;
        match &mut file {
            Some(file) => file.write_all(&bytes)?,
            None => out.data().write_all(&bytes)?,
        }
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    if let Some(file) = file {
        file.sync_all()?;
    }
    let calls = if count == 1 { "call" } else { "calls" };
    out.note(format!("{count} {calls} exported"));
    Ok(Exit::Ok)
}
