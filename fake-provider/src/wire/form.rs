//! Forms, in bodies and queries.

use hyper::body::Bytes;

use crate::dialect::Webhook;

/// Fields in their order; a name may come several times.
#[derive(Debug, Clone, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn read(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of this name, unless it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields();
        let (_, value) = fields.find(|(one, _)| *one == name)?;
        Some(value).filter(|value| !value.is_empty())
    }

    /// Every value of this name.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.fields().filter(|(one, _)| *one == name);
        named.map(|(_, value)| value).collect()
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let fields = self.0.iter();
        fields.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Adds a field.
    pub(super) fn put(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }

    /// Without any field of these names.
    pub(super) fn without(mut self, names: &[&str]) -> Self {
        self.0.retain(|(name, _)| !names.contains(&name.as_str()));
        self
    }

    pub(super) fn encoded(&self) -> String {
        let mut text = form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(&self.0).finish()
    }
}

impl Webhook {
    /// A form as body.
    pub(super) fn form(event_id: String, form: &Form, is_last: bool) -> Self {
        Self {
            event_id,
            content_type: "application/x-www-form-urlencoded; charset=UTF-8",
            body: Bytes::from(form.encoded()),
            is_last,
            pauses: None,
        }
    }
}
