//! Bulk: a file of numbers, imported by `pgdial import` as a separate process.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    time::Duration,
};

use super::{
    Bed, Error, Measure, Options, bare, number,
    process::{Folder, Process},
};

/// Calls at scale 1.
const CALLS: usize = 1_000_000;
/// Interval of sampling the process: after its end, what it used can no longer be read.
const LOOK: Duration = Duration::from_millis(20);

pub(super) async fn import(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let calls = options.scaled(CALLS);
    let folder = Folder::new()?;
    let (file, results) = (folder.file("calls.csv"), folder.file("results.csv"));
    write_csv(&file, calls).map_err(Error::io("cannot write the file to import"))?;
    bed.settle_down().await?;

    let (file, results) = (file.to_string_lossy(), results.to_string_lossy());
    let mut meter = bed.meter_as("lab");
    let args = ["import", &file, "--results", &results];
    let mut import = Process::start(bed, &folder, &args, &[])?;
    meter = meter.also("pgdial", import.pid);
    let ended = loop {
        meter.look();
        if let Some(status) = import.ended()? {
            break status;
        }
        tokio::time::sleep(LOOK).await;
    };
    let mut used = meter.stop();
    // This process only waited.
    used.cpu.remove("lab");
    used.peak_rss.remove("lab");
    if !ended.success() {
        return Err(import.failed(ended));
    }
    bed.check_waiting(calls).await?;

    bare::make(bed).await?;
    bed.sql("truncate pgdial.calls, pgdial.call_events").await?;
    bed.settle_down().await?;
    let limit = bare::copy_in(bed, calls).await?;
    Ok(vec![
        Measure::rate("enqueue-bulk", calls, &used)
            .with_bare(&limit)
            .note("CSV; from the start of the process to its end"),
    ])
}

fn write_csv(path: &std::path::Path, calls: usize) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "to,scriptId,metadata.name,metadata.order")?;
    for nth in 0..calls {
        writeln!(file, "{},welcome,Person {nth},{nth}", number(nth))?;
    }
    file.flush()
}
