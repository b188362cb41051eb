//! The numbers of one person.

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, ObjectBuilder, OneOfBuilder, RefOr, Schema, Type},
};

/// One number to ring, or several of one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Numbers {
    /// As in `+14155550100`.
    One(String),
    /// 1 to 10, in the order in which they are rung.
    Several(Vec<String>),
}

/// By hand: the derived one has no limits of variants.
impl PartialSchema for Numbers {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(Type::String)
            .examples(["+14155550100"])
            .max_length(Some(250))
            .pattern(Some(r"^[^\u0000]*$"))
            .build();
        let several = ArrayBuilder::new()
            .items(number.clone())
            .min_items(Some(1))
            .max_items(Some(10));
        OneOfBuilder::new().item(number).item(several).into()
    }
}

impl ToSchema for Numbers {}

impl<S: Into<String>> From<S> for Numbers {
    fn from(number: S) -> Self {
        Self::One(number.into())
    }
}
