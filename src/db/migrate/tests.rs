//! What can be tested of migrations without a database.

use std::{collections::BTreeSet, fs, path::Path};

use super::*;

#[test]
fn releases_compare_as_numbers() {
    assert!(is_newer("0.10.0", "0.9.9"));
    assert!(!is_newer("0.1.0", "0.1.0"));
    assert!(!is_newer("0.1.0", "0.1.1"));
}

#[test]
fn every_file_of_functions_and_migrations_is_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let stems = |folder: &str| -> BTreeSet<String> {
        fs::read_dir(root.join(folder))
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    };
    let listed: BTreeSet<String> = FUNCTIONS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let there: BTreeSet<String> = ["rules", "flow", "views"]
        .iter()
        .flat_map(|folder| {
            stems(&format!("sql/{folder}"))
                .into_iter()
                .map(move |s| format!("{folder}/{s}"))
        })
        .collect();
    assert_eq!(listed, there);
    let migrations: BTreeSet<String> = MIGRATIONS.iter().map(|m| m.name.to_owned()).collect();
    assert_eq!(migrations, stems("migrations"));
    let versions: Vec<i32> = MIGRATIONS.iter().map(|m| m.version).collect();
    assert!(versions.windows(2).all(|pair| pair[0] < pair[1]));
    for migration in MIGRATIONS {
        let number = format!("{:04}_", migration.version);
        assert!(migration.name.starts_with(&number), "{}", migration.name);
    }
}
