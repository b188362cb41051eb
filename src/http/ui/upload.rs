//! Upload of a list: looked at first, then enqueued, with every row that was not taken and why.
//!
//! Nothing is kept between the two: the list goes back and forth in the form, so any process may do either. The rules are
//! those of `pgdial import`, and rows have idempotency keys by the name of the list: enqueueing the same list again makes
//! no second call, which is also how one that was cut off goes on.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read},
    path::Path,
    time::Duration,
};

use axum::{http::StatusCode, response::Response};
use maud::{Markup, html};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    super::{
        calls::campaign_of,
        problem::{Code, Problem},
    },
    form::{Form, Uploaded},
    frame::{Frame, Query},
    parts::{Tone, badge, count, figure, section, table, text},
    standing::{Standing, is_later},
    told,
};
use crate::{
    domain::Region,
    flow::{enqueue::Enqueued, view::Campaign},
    lists::{
        self, Opened, ReadArgs,
        calls::{Headed, Refusal, Row, Rules, Source, check, numbers_mut},
    },
    provider::Stopwatch,
};

/// Rows of a list at most; `pgdial import` takes any number.
const MOST_ROWS: usize = 20_000;
/// Rows in one transaction.
const BATCH: usize = 1000;
/// How long batches follow each other before the page answers.
const LONGEST: Duration = Duration::from_secs(15);
/// Rows of a preview, as they are understood.
const SHOWN: usize = 5;
/// Columns whose meaning can be chosen.
const MOST_COLUMNS: usize = 500;
/// Rows that were not taken, on the screen.
const MOST_TOLD: usize = 1000;

/// Meanings of a column that are offered: what `--map` calls them, and people.
const MEANINGS: [(&str, &str); 16] = [
    ("to", "the number to ring"),
    ("scriptId", "script"),
    ("timezone", "time zone"),
    ("region", "region"),
    ("campaign", "campaign"),
    ("from", "caller id"),
    ("priority", "priority"),
    ("runAt", "not before"),
    ("expiresAt", "expires"),
    ("maxAttempts", "attempts at most"),
    ("idempotencyKey", "idempotency key"),
    ("consentAt", "consent, when"),
    ("consentRef", "consent, where recorded"),
    ("consentExpiresAt", "consent, until"),
    ("metadata", "metadata, as a JSON object"),
    ("-", "left out"),
];

/// `GET /ui/upload`
pub(in crate::http) async fn ask(frame: Frame, query: Query) -> Result<Response, Problem> {
    let chosen = query.get("campaign");
    let form = chosen.map_or_else(Form::default, |name| Form::with("campaign", name));
    first(&frame, &form, None).await
}

/// `POST /ui/upload`: shows how the list is read, or enqueues it.
pub(in crate::http) async fn upload(frame: Frame, uploaded: Uploaded) -> Result<Response, Problem> {
    let (form, file) = uploaded.read().await?;
    let (list, rules) = match given(&form, file).and_then(|list| Ok((list, rules(&form)?))) {
        Ok(given) => given,
        Err(problem) => return refused(&frame, &form, &problem).await,
    };
    let rules = Rules {
        key_prefix: Some(name_of(&form, &list)),
        ..rules
    };
    let (read, list) = read(list, rules.clone()).await?;
    match read {
        Ok(rows) if form.get("step") == Some("enqueue") => {
            let told = enqueue(&frame, rows).await?;
            told.keep(&frame, rules.key_prefix.as_deref().unwrap_or_default())
                .await?;
            Ok(report(&frame, &form, &list, &rules, &told))
        }
        read => preview(&frame, &form, &list, &rules, read).await,
    }
}

/// The list of a form: its file, or else its text.
fn given(form: &Form, file: Option<Vec<u8>>) -> Result<String, Problem> {
    let invalid = |words: &str| Problem::new(Code::InvalidRequest, words.to_owned());
    let bytes = match (file, form.get("list")) {
        (Some(file), _) if !file.is_empty() => file,
        // Browsers send line ends as CRLF; a file that was read has any.
        (_, Some(_)) => return Ok(form.whole("list").replace("\r\n", "\n")),
        _ => return Err(invalid("choose a file, or paste a list")),
    };
    let opened = Opened::reader(Box::new(Cursor::new(bytes)), &ReadArgs::default())
        .map_err(|error| invalid(&error.what))?;
    if opened.is_workbook() {
        return Err(invalid(
            "this is a workbook: save its sheet as CSV (UTF-8), or use `pgdial import`, which reads workbooks",
        ));
    }
    let mut text = String::new();
    let read = opened.text().read_to_string(&mut text);
    read.map_err(|_not_utf_8| {
        invalid("the file has bytes that are no text: save it as CSV in UTF-8")
    })?;
    if text.contains('\0') {
        return Err(invalid(
            "the file contains the character U+0000: save it as CSV in UTF-8",
        ));
    }
    Ok(text.replace("\r\n", "\n"))
}

/// How the form wants the list read.
fn rules(form: &Form) -> Result<Rules, Problem> {
    let region = form.get("region").map(str::parse::<Region>).transpose();
    let region = region
        .map_err(|error| Problem::new(Code::InvalidRequest, format!("the region is {error}")))?;
    let map = (0..MOST_COLUMNS).filter_map(|at| {
        let name = form.get(&format!("column-{at}"))?;
        let meaning = form.get(&format!("meaning-{at}"))?;
        Some((name.to_owned(), meaning.to_owned()))
    });
    Ok(Rules {
        campaign: form.get("campaign").map(str::to_owned),
        script: form.get("script").map(str::to_owned),
        script_may_lack: true,
        read: ReadArgs {
            region,
            map: map.collect(),
            ..ReadArgs::default()
        },
        ..Rules::default()
    })
}

/// The name of the list, which its rows' keys begin with: as given, else by what is in it.
fn name_of(form: &Form, list: &str) -> String {
    form.get("name").map_or_else(
        || {
            let digest = hex::encode(Sha256::digest(list));
            format!("list-{}", digest.get(..8).unwrap_or_default())
        },
        str::to_owned,
    )
}

/// What is in a list.
#[derive(Debug)]
struct Contents {
    about: String,
    rows: Vec<Row>,
}

/// Reads all rows, away from what serves requests.
async fn read(
    list: String,
    rules: Rules,
) -> Result<(Result<Contents, lists::Error>, String), Problem> {
    let reading = tokio::task::spawn_blocking(move || (contents(&list, &rules), list));
    reading
        .await
        .map_err(|error| Problem::internal().cause(error))
}

fn contents(list: &str, rules: &Rules) -> Result<Contents, lists::Error> {
    let mut source = Source::open(opened(list)?, Path::new("-"), rules)?;
    let mut rows = Vec::new();
    loop {
        let (more, _) = source.batch(BATCH)?;
        if more.is_empty() {
            break;
        }
        rows.extend(more.into_iter().map(with_script));
        if rows.len() > MOST_ROWS {
            return Err(lists::Error {
                what: format!(
                    "the list has more than {MOST_ROWS} rows: split it, or use `pgdial import`, which takes any number"
                ),
                hint: None,
            });
        }
    }
    Ok(Contents {
        about: source.about(false),
        rows,
    })
}

/// The code of a row that is refused because nothing names its script, which the form asks for.
const NO_SCRIPT: &str = "no_script";

fn with_script(mut row: Row) -> Row {
    if row
        .request
        .as_ref()
        .is_ok_and(|request| request.get("scriptId").is_none())
    {
        row.request = Err(Refusal {
            is_error: true,
            code: NO_SCRIPT,
            detail: "it names no script".to_owned(),
        });
    }
    row
}

fn opened(list: &str) -> Result<Opened, lists::Error> {
    let bytes = Box::new(Cursor::new(list.to_owned().into_bytes()));
    Opened::reader(bytes, &ReadArgs::default())
}

async fn campaigns(frame: &Frame) -> Result<Vec<Campaign>, Problem> {
    let mut campaigns: Vec<Campaign> = frame.app.calls.campaigns(None).await?;
    campaigns.retain(|campaign| campaign.archived_at.is_none() && frame.owner.has(&campaign.name));
    Ok(campaigns)
}

async fn first(frame: &Frame, form: &Form, problem: Option<&str>) -> Result<Response, Problem> {
    let campaigns = campaigns(frame).await?;
    let body = html! {
        h1 { "Upload a list" }
        @if let Some(problem) = problem { p.wrong role="alert" { (text(problem)) } }
        form.act method="post" enctype="multipart/form-data" {
            (frame.first_token())
            p.field {
                label for="file" { "File" }
                input #file name="file" type="file" accept=".csv,.tsv,.txt,.ndjson,.jsonl,text/csv,text/plain";
                span.soft { "CSV with a header, as spreadsheets save it, or a bare list of numbers; NDJSON. Up to 4 MiB and " (count(MOST_ROWS.try_into().unwrap_or(0))) " rows." }
            }
            p.field {
                label for="list" { "Or paste it" }
                textarea #list name="list" rows="8" spellcheck="false" autocomplete="off" placeholder="Name,Phone\nAda,+1 415 555 0100" { "\n" (form.whole("list")) }
            }
            (settings(form, &campaigns, None, 0))
            p.buttons { button.strong { "Look at it" } }
        }
        p.soft { "Nothing is enqueued yet. Larger lists and workbooks: " code { "pgdial import FILE --dry-run" } }
    };
    Ok(frame.page("Upload a list", &body))
}

async fn refused(frame: &Frame, form: &Form, problem: &Problem) -> Result<Response, Problem> {
    let response = first(frame, form, Some(problem.detail())).await?;
    Ok(told(response, StatusCode::UNPROCESSABLE_ENTITY))
}

/// What holds for all rows. So many of them name no script.
fn settings(
    form: &Form,
    campaigns: &[Campaign],
    name: Option<&str>,
    without_script: i64,
) -> Markup {
    let chosen = form.get("campaign");
    html! {
        div.fields {
            p.field {
                label for="campaign" { "Campaign" }
                select #campaign name="campaign" {
                    option value="" { "as each row says, else default" }
                    @for campaign in campaigns { option value=(campaign.name) selected[chosen == Some(campaign.name.as_str())] { (campaign.name) } }
                }
            }
            p.field {
                label for="script" { "Script" span.soft { " required, unless a column of the list names it" } }
                input #script name="script" autocomplete="off" value=[form.get("script")] required[without_script > 0]
                    aria-invalid=[(without_script > 0).then_some("true")] aria-describedby="script-about";
                span #script-about {
                    @if without_script > 0 { strong { "Rows that name no script: " (count(without_script)) ". Give one here, or say which column it is. " } }
                    span.soft { "The provider's id of the script, agent or assistant, for rows that name none." }
                }
            }
            p.field {
                label for="region" { "Region of numbers without +" }
                input #region name="region" autocomplete="off" placeholder="e.g. US" value=[form.get("region")];
            }
            @if let Some(name) = name {
                p.field {
                    label for="name" { "Name of the list" }
                    input #name name="name" required maxlength="100" autocomplete="off" value=(name);
                    span.soft { "The same rows under the same name make no second call. To ring them all again, give another name." }
                }
            }
        }
    }
}

async fn preview(
    frame: &Frame,
    form: &Form,
    list: &str,
    rules: &Rules,
    read: Result<Contents, lists::Error>,
) -> Result<Response, Problem> {
    let campaigns = campaigns(frame).await?;
    let headed = opened(list).and_then(|opened| Headed::of(opened, rules, SHOWN));
    let columns = match &headed {
        Ok(headed) => columns(frame, headed, form),
        // NDJSON has no columns, and what cannot be read has none to show.
        Err(_none) => html! {},
    };
    let (mut tried, mut first_rows) = (Told::default(), Vec::new());
    if let Ok(contents) = &read {
        let (mut lines, mut requests) = (Vec::new(), Vec::new());
        for row in &contents.rows {
            let checked = row
                .request
                .as_ref()
                .map_err(|refusal| refusal.detail.clone());
            let checked = checked.and_then(|request| {
                check(request)?;
                let may = frame.owner.needs(campaign_of(request));
                may.map_err(|problem| problem.detail().to_owned())?;
                Ok(request)
            });
            match checked {
                Ok(request) => {
                    if first_rows.len() < SHOWN {
                        first_rows.push(understood(frame, row.line, request));
                    }
                    lines.push(row.line);
                    requests.push(request.clone());
                }
                Err(why) => tried.untaken.push((row.line, why)),
            }
        }
        let queue = &frame.app.calls;
        let answers = queue.would_enqueue(frame.owner.as_str(), &requests);
        for ((line, request), answer) in lines.into_iter().zip(&requests).zip(answers.await?) {
            tried.note(line, campaign_of(request), answer);
        }
        tried.untaken.sort_by_key(|(line, _)| *line);
    }
    let used = tried
        .campaigns
        .iter()
        .map(|(name, calls)| (&**name, *calls));
    let used: BTreeMap<&str, i64> = used.collect();
    let rows = read.iter().flat_map(|contents| &contents.rows);
    let lack = rows.filter(|row| {
        row.request
            .as_ref()
            .is_err_and(|refusal| refusal.code == NO_SCRIPT)
    });
    let without_script = lack.count().try_into().unwrap_or(i64::MAX);
    let fate = fate(frame, &campaigns, &used).await?;
    let name = rules.key_prefix.as_deref().unwrap_or_default();
    let is_readable = read.is_ok() && tried.created > 0;
    let body = html! {
        h1 { "Upload a list" }
        @if let Err(error) = &read { p.wrong role="alert" { (text(&frame.see_text(&error.what))) } }
        @if let Ok(contents) = &read {
            p.lead {
                strong { (count(tried.created)) } " of " (count(size(&contents.rows))) " rows can be enqueued. "
                @if tried.duplicates > 0 { (count(tried.duplicates)) " were enqueued before. " }
                span.soft { "The list is " (contents.about) ". Nothing is enqueued yet." }
            }
        }
        form method="post" enctype="multipart/form-data" {
            (frame.first_token())
            (columns)
            (section("settings", "For all rows", &html! {}, &settings(form, &campaigns, Some(name), without_script)))
            details.card { summary { "The list" }
                label.hidden for="list" { "The list" }
                textarea #list name="list" rows="12" spellcheck="false" { "\n" (list) }
            }
            p.buttons {
                button.strong[!is_readable] name="step" value="look" formnovalidate { "Look again" }
                @if is_readable { button.strong name="step" value="enqueue" { "Enqueue " (count(tried.created)) " calls" } }
                a.button href=(frame.to("upload")) { "Begin again" }
            }
        }
        @if !used.is_empty() { (section("fate", "When they are dialled", &html! {}, &fate)) }
        @if !first_rows.is_empty() {
            (section("first", "The first rows, as they are understood", &html! {}, &table("The first rows", &["Line", "Number", "Campaign", "Script", "Metadata", "Further"], &first_rows, "")))
        }
        @if !tried.untaken.is_empty() { (untaken(frame, &tried.untaken)) }
    };
    let response = frame.page("Upload a list", &body);
    Ok(match read {
        Ok(_) => response,
        Err(_) => told(response, StatusCode::UNPROCESSABLE_ENTITY),
    })
}

/// What becomes of the rows once they are enqueued: how their campaigns stand, and by whose clock they are dialled.
async fn fate(
    frame: &Frame,
    campaigns: &[Campaign],
    used: &BTreeMap<&str, i64>,
) -> Result<Markup, Problem> {
    let queue = &frame.app.calls;
    let dialling = frame.app.kept.dialling(queue).await?;
    let all_hours = queue.calling_hours(None).await?;
    let row = |(name, calls): (&&str, &i64)| {
        let campaign = campaigns.iter().find(|campaign| campaign.name == **name);
        let hours = campaign.and_then(|campaign| campaign.calling_hours.as_ref());
        let hours = hours.map(|name| (name, all_hours.iter().find(|hours| hours.name == *name)));
        // When its other calls are due says nothing of these.
        let reasons = campaign.map(|campaign| {
            let reasons = campaign.reasons.iter().cloned();
            reasons
                .filter(|reason| !is_later(reason))
                .collect::<Vec<_>>()
        });
        vec![
            html! { a href=(frame.to(&format!("campaigns/{name}"))) { (text(name)) } },
            html! { (count(*calls)) },
            html! {
                @match &reasons {
                    Some(reasons) => { (Standing::of(reasons, Tone::Good, "may dial").short(frame, &dialling)) }
                    None => { (badge(Tone::Bad, "there is no such campaign")) }
                }
            },
            html! {
                @match hours {
                    None => { "At any hour of the callee's day: the campaign has no calling hours" }
                    Some((name, hours)) => {
                        (text(name))
                        @if let Some(hours) = hours {
                            ": " (text(&hours.week)) ", "
                            @match &hours.timezone { Some(zone) => { "by the clock of " (text(zone)) } None => { "by the callee's clock" } }
                        }
                        "; outside them they wait"
                    }
                }
            },
        ]
    };
    let rows: Vec<_> = used.iter().map(row).collect();
    let heads = ["Campaign", "Calls", "Now", "Hours"];
    Ok(table("When they are dialled", &heads, &rows, ""))
}

fn size<T>(list: &[T]) -> i64 {
    list.len().try_into().unwrap_or(i64::MAX)
}

/// Each column with some of its values, and a choice of what it is.
fn columns(frame: &Frame, headed: &Headed, form: &Form) -> Markup {
    let rows: Vec<_> = headed
        .columns
        .iter()
        .take(MOST_COLUMNS)
        .enumerate()
        .map(|(at, column)| {
            let (name_field, meaning_field) = (format!("column-{at}"), format!("meaning-{at}"));
            let own = format!("metadata.{}", column.name);
            let chosen = form
                .get(&meaning_field)
                .filter(|_| form.get(&name_field) == Some(column.name.as_str()))
                .unwrap_or(&column.meaning);
            let is_known = MEANINGS.iter().any(|(meaning, _)| *meaning == chosen);
            vec![
                html! { (text(&column.name)) input type="hidden" name=(name_field) value=(column.name); },
                html! {
                    div {
                        @for (at, sample) in column.samples.iter().enumerate() {
                            @if at > 0 { span.soft { " · " } }
                            (text(&frame.see_text(sample)))
                        }
                    }
                },
                html! {
                    select name=(meaning_field) aria-label={ "What " (column.name) " is" } {
                        option value=(own) selected[!is_known] { "metadata, " (column.name) }
                        @for (meaning, said) in MEANINGS { option value=(meaning) selected[meaning == chosen] { (said) } }
                    }
                },
            ]
        })
        .collect();
    section(
        "columns",
        "Columns",
        &html! {},
        &table(
            "Columns of the list",
            &["Column", "As in", "It is"],
            &rows,
            "The list has no columns.",
        ),
    )
}

/// A row as it would be enqueued.
fn understood(frame: &Frame, line: u64, request: &Value) -> Vec<Markup> {
    let mut request = request.clone();
    for number in numbers_mut(request.get_mut("to")) {
        if let Value::String(number) = number {
            *number = frame.see_text(number);
        }
    }
    let said = |name: &str| match request.get(name) {
        Some(Value::String(said)) => said.clone(),
        Some(Value::Array(list)) => {
            let list: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            list.join(", ")
        }
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let shown = ["to", "campaign", "scriptId", "metadata", "idempotencyKey"];
    let further = request.as_object().into_iter().flatten();
    let further: Vec<String> = further
        .filter(|(name, _)| !shown.contains(&name.as_str()))
        .map(|(name, _)| format!("{name} {}", said(name)))
        .collect();
    vec![
        html! { (line) },
        html! { span.nowrap { (text(&said("to"))) } },
        html! { @if said("campaign").is_empty() { "default" } @else { (text(&said("campaign"))) } },
        text(&said("scriptId")),
        html! { span.mono { (text(&frame.see_text(&said("metadata")))) } },
        text(&frame.see_text(&further.join(", "))),
    ]
}

/// Rows that are not taken, each with its line and why.
fn untaken(frame: &Frame, refusals: &[(u64, String)]) -> Markup {
    let rows: Vec<_> = refusals
        .iter()
        .take(MOST_TOLD)
        .map(|(line, why)| vec![html! { "line " (line) }, text(&frame.see_text(why))])
        .collect();
    let inside = html! {
        (table("Rows that are not taken", &["Line", "Why"], &rows, ""))
        @if refusals.len() > MOST_TOLD {
            p { "And " (count(size(refusals) - size(&rows))) " more. Mend these, and look again." }
        }
    };
    let beside = count(size(refusals));
    section(
        "untaken",
        "Rows that are not taken",
        &html! { (beside) },
        &inside,
    )
}

/// What became of the rows of a list.
#[derive(Debug, Default)]
struct Told {
    created: i64,
    duplicates: i64,
    /// Line and reason of every row that was not taken.
    untaken: Vec<(u64, String)>,
    /// Rows that were not reached: the same list goes on with them.
    left: i64,
    /// The campaigns of what was created or known.
    campaigns: BTreeMap<String, i64>,
}

async fn enqueue(frame: &Frame, contents: Contents) -> Result<Told, Problem> {
    let clock = Stopwatch::start();
    let mut told = Told::default();
    let mut rows = contents.rows.into_iter().peekable();
    while rows.peek().is_some() {
        if clock.elapsed() > LONGEST {
            told.left = size(&rows.collect::<Vec<_>>());
            break;
        }
        let (mut lines, mut requests) = (Vec::new(), Vec::new());
        for row in rows.by_ref().take(BATCH) {
            match row.request {
                Ok(request) => match frame.owner.needs(campaign_of(&request)) {
                    Ok(()) => {
                        lines.push(row.line);
                        requests.push(request);
                    }
                    Err(problem) => told.untaken.push((row.line, problem.detail().to_owned())),
                },
                Err(refusal) => told.untaken.push((row.line, refusal.detail)),
            }
        }
        let queue = &frame.app.calls;
        let answers = queue.enqueue(frame.owner.as_str(), &requests).await?;
        for ((line, request), answer) in lines.into_iter().zip(&requests).zip(answers) {
            queue.metrics().enqueued.add(answer.as_str());
            told.note(line, campaign_of(request), answer);
        }
    }
    told.untaken.sort_by_key(|(line, _)| *line);
    Ok(told)
}

impl Told {
    /// In the audit.
    async fn keep(&self, frame: &Frame, list: &str) -> Result<(), Problem> {
        if self.created + self.duplicates > 0 {
            let counts = json!({
                "created": self.created, "duplicates": self.duplicates, "notTaken": self.untaken.len(),
                "campaigns": self.campaigns,
            });
            let queue = &frame.app.calls;
            queue.note_import(list, &counts, &frame.owner.by()).await?;
            frame.app.kept.acted();
        }
        Ok(())
    }

    fn note(&mut self, line: u64, campaign: &str, answer: Enqueued) {
        let words = match answer {
            Enqueued::Created(_) => {
                self.created += 1;
                *self.campaigns.entry(campaign.to_owned()).or_default() += 1;
                return;
            }
            Enqueued::Duplicate(_) => {
                self.duplicates += 1;
                return;
            }
            Enqueued::KeyReused(words)
            | Enqueued::KeyLocked(words)
            | Enqueued::Suppressed(words)
            | Enqueued::ConsentMissing(words)
            | Enqueued::CampaignOver(words)
            | Enqueued::UnknownCampaign(words)
            | Enqueued::Invalid(words) => words.replace('\n', "; "),
        };
        self.untaken.push((line, words));
    }
}

fn report(frame: &Frame, form: &Form, list: &str, rules: &Rules, told: &Told) -> Response {
    let name = rules.key_prefix.as_deref().unwrap_or_default();
    let body = html! {
        h1 { "List " (text(name)) }
        @if told.left == 0 {
            p.said role="status" { "Every row is accounted for." }
        } @else {
            p.wrong role="alert" { (count(told.left)) " rows were not reached in time. Go on: the rows before are known, and make no second call." }
        }
        section.card {
            div.figures {
                (figure("Enqueued", &html! { (count(told.created)) }, &html! { "new calls" }))
                (figure("Known", &html! { (count(told.duplicates)) }, &html! { "were calls before" }))
                (figure("Not taken", &html! { (count(size(&told.untaken))) }, &html! { "told below" }))
                @if told.left > 0 { (figure("Left", &html! { (count(told.left)) }, &html! { "not reached" })) }
            }
            @for (campaign, calls) in &told.campaigns {
                p { (count(*calls)) " in the campaign " a href=(frame.to(&format!("campaigns/{campaign}"))) { (text(campaign)) } }
            }
        }
        @if told.left > 0 || !told.untaken.is_empty() { (again(frame, form, list, name, told.left > 0)) }
        @if !told.untaken.is_empty() { (untaken(frame, &told.untaken)) }
        p { a href=(frame.to("upload")) { "Upload another list" } }
    };
    frame.page("Upload a list", &body)
}

/// The same form, to go on, or to mend what was not taken.
fn again(frame: &Frame, form: &Form, list: &str, name: &str, is_cut_off: bool) -> Markup {
    let kept = form
        .all()
        .filter(|(field, _)| !["csrf", "list", "name", "step"].contains(field));
    html! {
        form method="post" enctype="multipart/form-data" {
            (frame.first_token())
            @for (field, value) in kept { input type="hidden" name=(field) value=(value); }
            input type="hidden" name="name" value=(name);
            details.card {
                summary { "The list" }
                label.hidden for="list" { "The list" }
                textarea #list name="list" rows="12" spellcheck="false" { "\n" (list) }
            }
            p.buttons {
                @if is_cut_off { button.strong name="step" value="enqueue" { "Go on" } }
                button name="step" value="look" { "Mend the list, and look again" }
            }
        }
    }
}
