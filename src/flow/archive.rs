//! archive, unarchive, `delete_group`: put a campaign or trunk out of sight, bring it back, or remove it.

use super::{
    Error, Queue,
    groups::{ChangeError, GroupKind},
};

/// What is done with a campaign or trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It stays in reports, is left out of lists, and takes no calls.
    Archive,
    /// It is in the lists again, and paused.
    Unarchive,
    /// It is gone, if it never had a call.
    Delete,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// As wanted.
    Done,
    /// There is none of this name.
    NotFound,
    /// These are in the way.
    InUse(Vec<String>),
}

impl Queue {
    /// Archives, unarchives or deletes a campaign or trunk.
    pub async fn remove_group(
        &self,
        removal: Removal,
        kind: GroupKind,
        name: &str,
        by: &str,
        why: Option<&str>,
    ) -> Result<Removed, ChangeError> {
        let sql = match removal {
            Removal::Archive => "select verdict, used_by from pgdial.archive($1, $2, $3, $4)",
            Removal::Unarchive => "select verdict, used_by from pgdial.unarchive($1, $2, $3, $4)",
            Removal::Delete => "select verdict, used_by from pgdial.delete_group($1, $2, $3, $4)",
        };
        let (verdict, used_by): (String, Vec<String>) = sqlx::query_as(sql)
            .bind(kind.as_str())
            .bind(name)
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await
            .map_err(ChangeError::of)?;
        match verdict.as_str() {
            "archived" | "unarchived" | "deleted" => Ok(Removed::Done),
            "not_found" => Ok(Removed::NotFound),
            "in_use" => Ok(Removed::InUse(used_by)),
            _ => Err(Error::Contract {
                verb: "remove_group",
                got: verdict,
            }
            .into()),
        }
    }
}
