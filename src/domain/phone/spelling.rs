//! Reduces a number as people and programs spell it to its digits.

use std::borrow::Cow;

use super::{PhoneError, plans::PLANS};

pub(super) struct Spelled {
    /// A + came first.
    pub is_international: bool,
    /// ASCII digits, at least one.
    pub digits: String,
}

const LONGEST: usize = 250;

/// Extracts the digits, or says why the text is not exactly one number.
pub(super) fn read(text: &str) -> Result<Spelled, PhoneError> {
    if text.chars().take(LONGEST + 1).count() > LONGEST {
        return Err(PhoneError::Endless);
    }
    let plain = unquoted(&in_ascii(text)).to_ascii_lowercase();
    let number = without_uri(&plain)?;
    if is_rounded(&number) {
        return Err(PhoneError::Rounded);
    }
    let bare: String = number.chars().filter(|c| !is_between(*c)).collect();
    let digits = bare.trim_start_matches('+');
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(Spelled {
            is_international: digits.len() < bare.len(),
            digits: digits.to_owned(),
        });
    }
    Err(problem(&bare, digits))
}

fn is_between(c: char) -> bool {
    " ()-./[]".contains(c)
}

/// Digits of any script as ASCII, every plus as +, every separator as a space.
fn in_ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let plain = |c: char| {
        // The table lists ten digits per script.
        let digit = || PLANS.digits.chars().position(|digit| digit == c);
        if c.is_ascii() {
            c
        } else if PLANS.pluses.contains(c) {
            '+'
        } else if PLANS.between.contains(c) {
            ' '
        } else {
            digit()
                .and_then(|at| char::from_digit(u32::try_from(at % 10).ok()?, 10))
                .unwrap_or(c)
        }
    };
    Cow::Owned(text.chars().map(plain).collect())
}

/// Strips the quotes with which spreadsheets keep a number a text ('+1..., ="+1..."), and the `.0` of a number they
/// took for one.
fn unquoted(text: &str) -> &str {
    let around = |c: char| {
        c.is_ascii_whitespace() || "'\"\u{2018}\u{2019}\u{201b}\u{201c}\u{201d}".contains(c)
    };
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let text = text
        .strip_prefix('=')
        .filter(|rest| rest.starts_with('"'))
        .unwrap_or(text);
    let text = text.trim_matches(around);
    let whole = text.strip_suffix(".0");
    whole
        .filter(|whole| whole.bytes().all(|b| b.is_ascii_digit()))
        .unwrap_or(text)
}

/// Strips `tel:` and its parameters (RFC 3966).
fn without_uri(text: &str) -> Result<Cow<'_, str>, PhoneError> {
    let text = text.strip_prefix("tel:").unwrap_or(text);
    let (number, context) = match text.split_once(";phone-context=") {
        Some((number, rest)) => (number, rest.split(';').next()),
        None => (text, None),
    };
    let number = number
        .split_once(";isub=")
        .map_or(number, |(number, _)| number);
    match context {
        None => Ok(Cow::Borrowed(number)),
        Some(context) if context.starts_with('+') => Ok(Cow::Owned(format!("{context}{number}"))),
        Some(_) => Err(PhoneError::Private),
    }
}

/// Matches `1.41555E+10`.
fn is_rounded(number: &str) -> bool {
    let number = number.trim_start_matches('+');
    number.split_once('e').is_some_and(|(mantissa, exponent)| {
        let digits = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_digit() || b == b'.' || b == b',')
        };
        let exponent = exponent.trim_start_matches('+');
        mantissa.starts_with(|c: char| c.is_ascii_digit())
            && digits(mantissa)
            && !exponent.is_empty()
            && exponent.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Why these are not the digits of a number.
fn problem(bare: &str, digits: &str) -> PhoneError {
    let number = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    let begins = number.len() < digits.len();
    if bare.is_empty() {
        PhoneError::Empty
    } else if begins && number.contains('+') {
        PhoneError::Several
    } else if begins && is_extension(number) {
        PhoneError::Extension
    } else {
        PhoneError::Unreadable
    }
}

/// Matches `x5`, `ext5`, `;ext=5`, `,,5#`.
fn is_extension(rest: &str) -> bool {
    let marks = rest.trim_start_matches([';', ',', '#', '~']);
    let words = ["extension", "extn", "ext", "x"];
    let word = words.iter().find_map(|word| marks.strip_prefix(word));
    let number = word.unwrap_or(marks).trim_start_matches(['=', ':']);
    let digits = number.trim_end_matches('#');
    (word.is_some() || marks.len() < rest.len())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b',')
}
