use std::collections::{BTreeMap, BTreeSet};

/// Labels that Prometheus adds to every series; it also exports the metric `up`.
const OF_PROMETHEUS: [&str; 2] = ["instance", "job"];
const AGGREGATIONS: [&str; 6] = ["sum", "max", "min", "avg", "count", "topk"];
const OF_LABELS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
const OPERATORS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];

/// Series of one scrape: names, labels, and the labels' values.
pub(super) struct Exported(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

impl Exported {
    pub(super) fn read(text: &str) -> Self {
        let mut all: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let tokens = tokens(line);
            let [Token::Word(name), rest @ ..] = &*tokens else {
                panic!("{line}");
            };
            let labels = all.entry(name.clone()).or_default();
            for window in rest.windows(3) {
                if let [Token::Word(label), Token::Sign('='), Token::Text(value)] = window {
                    labels
                        .entry(label.clone())
                        .or_default()
                        .insert(value.clone());
                }
            }
        }
        Self(all)
    }

    /// What the expression and its legend use although nothing exports it.
    pub(super) fn unknown(&self, expression: &str, legend: &str) -> Vec<String> {
        let (mut wrong, mut metrics, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        let tokens = tokens(expression);
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            let Token::Word(word) = token else { continue };
            let opens = |sign| tokens.get(at) == Some(&Token::Sign(sign));
            if OF_LABELS.contains(&&**word) {
                while tokens
                    .get(at)
                    .is_some_and(|token| *token != Token::Sign(')'))
                {
                    if let Some(Token::Word(label)) = tokens.get(at) {
                        labels.push(label.clone());
                    }
                    at += 1;
                }
            } else if opens('(') || [&AGGREGATIONS[..], &OPERATORS].concat().contains(&&**word) {
                // A function.
            } else {
                metrics.push(word.clone());
                if opens('{') {
                    let end = tokens
                        .iter()
                        .skip(at)
                        .position(|t| *t == Token::Sign('}'))
                        .unwrap();
                    wrong.extend(self.unmatched(word, &tokens[at + 1..at + end]));
                    at += end;
                }
            }
        }
        for metric in &metrics {
            if metric != "up" && !self.0.contains_key(metric) {
                wrong.push(format!("no metric {metric}"));
            }
        }
        assert!(!metrics.is_empty(), "{expression}");
        labels.extend(legend.split("{{").skip(1).map(|part| {
            part.split("}}")
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        }));
        for label in labels {
            let known =
                |metric: &String| self.0.get(metric).is_some_and(|l| l.contains_key(&label));
            if !OF_PROMETHEUS.contains(&&*label) && label != "$value" && !metrics.iter().any(known)
            {
                wrong.push(format!("no label {label} on {metrics:?}"));
            }
        }
        wrong
    }

    /// Matchers between the braces that nothing can match.
    fn unmatched(&self, metric: &str, matchers: &[Token]) -> Vec<String> {
        let Some(labels) = self.0.get(metric) else {
            return Vec::new();
        };
        let mut wrong = Vec::new();
        for matcher in matchers.split(|token| *token == Token::Sign(',')) {
            let [Token::Word(label), .., Token::Text(text)] = matcher else {
                panic!("{matcher:?}");
            };
            let Some(values) = labels.get(label) else {
                wrong.push(format!("no label {label} on {metric}"));
                continue;
            };
            // Reasons come and go; counted words are exported from the start.
            let are_all_there = metric.ends_with("_total") || metric == "pgdial_pool_connections";
            for value in text.split('|').filter(|value| !value.contains('$')) {
                if are_all_there && !values.contains(value) {
                    wrong.push(format!(
                        "{metric} has no {label}={value:?}, only {values:?}"
                    ));
                }
            }
        }
        wrong
    }
}

/// Words, strings and signs. Numbers, durations, ranges and dashboard variables are skipped.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        let mut word = String::from(char);
        match char {
            '"' => {
                let inside: String = rest.by_ref().take_while(|c| *c != '"').collect();
                tokens.push(Token::Text(inside));
            }
            '[' => {
                rest.by_ref().find(|c| *c == ']').unwrap();
            }
            c if c.is_alphanumeric() || c == '_' || c == '$' => {
                while let Some(next) = rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    word.push(next);
                }
                if c.is_alphabetic() || c == '_' {
                    tokens.push(Token::Word(word));
                }
            }
            c if "(){},=".contains(c) => tokens.push(Token::Sign(c)),
            _ => {}
        }
    }
    tokens
}

#[test]
fn what_is_not_exported_is_found() {
    let exported = Exported::read(
        "# HELP a_total x\na_total{verb=\"x\",verdict=\"stale\"} 1\nb_seconds_bucket{le=\"+Inf\"} 1\nc 2",
    );
    let unknown = |expression: &str| exported.unknown(expression, "");
    for right in [
        "sum by (verb) (rate(a_total{verdict=\"stale\"}[15m])) > 0.1 * c",
        "histogram_quantile(0.99, sum by (le, instance) (rate(b_seconds_bucket[$__rate_interval])))",
        "c unless on () a_total{verb=~\"x|$verb\"} offset 5m",
        "max(c) == 0 and on () sum(increase(a_total[5m])) == 0",
    ] {
        assert_eq!(unknown(right), Vec::<String>::new(), "{right}");
    }
    for (wrong, what) in [
        ("rate(d_total[5m])", "no metric d_total"),
        ("c and on () e", "no metric e"),
        ("b_seconds_count", "no metric b_seconds_count"),
        (
            "sum by (trunk) (a_total)",
            "no label trunk on [\"a_total\"]",
        ),
        ("a_total{trunk=\"x\"}", "no label trunk on a_total"),
        (
            "a_total{verdict=~\"stale|old\"}",
            "a_total has no verdict=\"old\", only {\"stale\"}",
        ),
    ] {
        assert_eq!(unknown(wrong), [what], "{wrong}");
    }
    assert_eq!(
        exported.unknown("c", "{{trunk}}"),
        ["no label trunk on [\"c\"]"]
    );
}
