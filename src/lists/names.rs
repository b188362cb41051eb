//! Names of columns as spreadsheets, customer databases and voice platforms use them.
//!
//! Names are compared without case, spaces and signs. Our own name for a field wins; otherwise one column may have an
//! alternative name. If several do, the person has to choose: no office is rung merely because its column came first.

use super::Error;

/// A field a column may hold: our name for it, and names that mean the same.
pub(crate) struct Known {
    pub(crate) field: &'static str,
    own: &'static [&'static str],
    alike: &'static [&'static str],
}

pub(crate) const NUMBER: Known = Known {
    field: "to",
    own: &["to"],
    alike: &[
        "phone",
        "phonenumber",
        "phoneno",
        "number",
        "tonumber",
        "recipient",
        "recipientnumber",
        "recipientphonenumber",
        "customernumber",
        "customerphone",
        "customerphonenumber",
        "contactnumber",
        "contactphone",
        "contactphonenumber",
        "leadphone",
        "primaryphone",
        "mainphone",
        "mobile",
        "mobilephone",
        "mobilenumber",
        "mobilephonenumber",
        "cell",
        "cellphone",
        "cellnumber",
        "cellphonenumber",
        "telephone",
        "telephonenumber",
        "tel",
        "telno",
        "workphone",
        "workdirectphone",
        "workphonenumber",
        "homephone",
        "homephonenumber",
        "corporatephone",
        "companyphone",
        "companyphonenumber",
        "businessphone",
        "otherphone",
        "phone1",
        "phone2",
        "phone3",
        "phone1value",
        "phone2value",
        "phone3value",
        "alternatephone",
        "altphone",
        "msisdn",
        "e164",
        "telefon",
        "telefonnummer",
        "telefonnr",
        "telnr",
        "rufnummer",
        "nummer",
        "handy",
        "handynummer",
        "mobil",
        "mobilnummer",
        "mobiltelefon",
        "mobilfunknummer",
        "téléphone",
        "numéro",
        "numérodetéléphone",
        "portable",
        "teléfono",
        "telefono",
        "móvil",
        "movil",
        "celular",
        "número",
        "numero",
        "telefone",
        "cellulare",
        "telefoonnummer",
        "telefoon",
        "mobiel",
    ],
};

/// Why a number must not be rung, for `dnc import`.
pub(crate) const REASON: Known = Known {
    field: "reason",
    own: &["reason"],
    alike: &[
        "why",
        "comment",
        "comments",
        "note",
        "notes",
        "grund",
        "bemerkung",
    ],
};

/// The other fields of a request.
pub(crate) const OTHERS: [Known; 13] = [
    Known {
        field: "scriptId",
        own: &["scriptid", "script"],
        alike: &["assistantid", "agentid"],
    },
    of("campaign", &["campaign"]),
    of("timezone", &["timezone"]),
    of("region", &["region"]),
    of("from", &["from", "fromnumber"]),
    of("priority", &["priority"]),
    of("runAt", &["runat"]),
    of("expiresAt", &["expiresat"]),
    of("maxAttempts", &["maxattempts"]),
    of("idempotencyKey", &["idempotencykey"]),
    of("consentAt", &["consentat"]),
    of("consentRef", &["consentref"]),
    of("consentExpiresAt", &["consentexpiresat"]),
];

const fn of(field: &'static str, own: &'static [&'static str]) -> Known {
    Known {
        field,
        own,
        alike: &[],
    }
}

/// A name without case, spaces and signs.
pub(crate) fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

impl Known {
    pub(crate) fn is_own(&self, name: &str) -> bool {
        self.own.contains(&plain(name).as_str())
    }

    pub(crate) fn is_alike(&self, name: &str) -> bool {
        self.alike.contains(&plain(name).as_str())
    }

    /// The column for this field among those not claimed yet.
    pub(crate) fn find(
        &self,
        header: &[String],
        is_free: impl Fn(usize) -> bool,
    ) -> Result<Option<usize>, Error> {
        let named = |is_named: &dyn Fn(&str) -> bool| {
            let columns = header.iter().enumerate();
            let named = columns.filter(|(at, name)| is_free(*at) && is_named(name));
            named.map(|(at, _)| at).collect::<Vec<_>>()
        };
        let own = named(&|name| self.is_own(name));
        let found = if own.is_empty() {
            named(&|name| self.is_alike(name))
        } else {
            own
        };
        match *found {
            [] => Ok(None),
            [at] => Ok(Some(at)),
            [first, ..] => {
                let columns = found.iter().filter_map(|at| header.get(*at));
                let columns: Vec<String> = columns.map(|name| format!("{name:?}")).collect();
                let first = header.get(first).map_or("", String::as_str);
                let field = self.field;
                Err(Error::new(format!(
                    "several columns could be {field:?}: {}",
                    columns.join(", ")
                ))
                .hint(format!(
                    "say which with --map \"{first}={field}\"; given several times, the first that is not empty counts"
                )))
            }
        }
    }
}

/// The column a person named: exactly, else without case, spaces and signs.
pub(crate) fn column(header: &[String], name: &str) -> Result<usize, Error> {
    let exact = header.iter().position(|column| column == name);
    let alike = || {
        header
            .iter()
            .position(|column| plain(column) == plain(name))
    };
    exact.or_else(alike).ok_or_else(|| {
        let names: Vec<String> = header.iter().map(|name| format!("{name:?}")).collect();
        Error::new(format!("--map: there is no column {name:?}"))
            .hint(format!("the columns are {}", names.join(", ")))
    })
}
