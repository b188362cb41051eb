//! The outside phone company.
