//! Finding the server binaries.
//!
//! The first place that holds both `initdb` and `postgres`, recent enough, wins. The order goes from an
//! explicit setting, over what a shell would run, to where packages install: Debian, for example, keeps
//! `initdb` off the `PATH`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Environment,
    error::{Error, Missing, TooOld},
};
use crate::db::OLDEST_POSTGRES;

/// Where packages install server binaries: parent folder, prefix before the version, folder after it.
const PACKAGED: [(&str, &str, &str); 9] = [
    ("usr/lib/postgresql", "", "bin"),          // Debian, Ubuntu
    ("usr", "pgsql-", "bin"),                   // RHEL, Fedora (PGDG)
    ("usr/lib", "postgresql", "bin"),           // SUSE
    ("usr/libexec", "postgresql", ""),          // Alpine
    ("opt/homebrew/opt", "postgresql@", "bin"), // Homebrew, Apple silicon
    ("usr/local/opt", "postgresql@", "bin"),    // Homebrew, Intel
    ("home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"), // Homebrew, Linux
    ("Applications/Postgres.app/Contents/Versions", "", "bin"), // Postgres.app
    ("Library/PostgreSQL", "", "bin"),          // EDB installer
];

/// Commands that install a server, by package manager.
const INSTALLERS: [(&str, &str); 4] = [
    ("apt-get", "apt-get install -y postgresql"),
    ("dnf", "dnf install -y postgresql-server"),
    ("apk", "apk add postgresql17"),
    ("brew", "brew install postgresql@17"),
];

/// Server binaries to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) folder: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Binaries to use, or the error with the remedies.
pub(super) fn find(environment: &Environment) -> Result<Binaries, Error> {
    let root = Path::new("/");
    if let Some(path) = &environment.pg_bindir {
        let named = choose(std::slice::from_ref(path), version_of);
        return named.map_err(|_too_old| Error::Bindir { path: path.clone() });
    }
    choose(&places(environment, root), version_of).map_err(|too_old| {
        let sudo = !rustix::process::geteuid().is_root();
        Error::Missing(missing(environment, sudo, too_old))
    })
}

/// The first place with recent enough binaries, or all that are too old.
fn choose(
    places: &[PathBuf],
    version_of: impl Fn(&Path) -> Option<u32>,
) -> Result<Binaries, Vec<TooOld>> {
    let mut too_old: Vec<TooOld> = Vec::new();
    for folder in places.iter().filter_map(|place| real_folder(place)) {
        match version_of(&folder.join("postgres")) {
            Some(major) if major >= OLDEST_POSTGRES => return Ok(Binaries { folder, major }),
            Some(major) if too_old.iter().all(|known| known.folder != folder) => {
                too_old.push(TooOld { folder, major });
            }
            Some(_) | None => {}
        }
    }
    Err(too_old)
}

/// The folder that really holds both programs: `postgres` finds its libraries relative to itself, not to a
/// link.
fn real_folder(place: &Path) -> Option<PathBuf> {
    let initdb = fs::canonicalize(place.join("initdb")).ok()?;
    let folder = initdb.parent()?;
    folder.join("postgres").is_file().then(|| folder.to_owned())
}

/// Folders to search, in order.
fn places(environment: &Environment, root: &Path) -> Vec<PathBuf> {
    let mut places = on_path(environment);
    places.extend(told_by_pg_config(&places));
    for (parent, prefix, below) in PACKAGED {
        let mut found = versions_in(&root.join(parent), prefix);
        found.sort_by(|one, other| other.0.cmp(&one.0));
        places.extend(found.into_iter().map(|(_, folder)| folder.join(below)));
    }
    places
}

fn on_path(environment: &Environment) -> Vec<PathBuf> {
    environment
        .path
        .as_ref()
        .map(|path| env::split_paths(path).collect())
        .unwrap_or_default()
}

/// `pg_config` knows the folder even if it is not on the `PATH`.
fn told_by_pg_config(path: &[PathBuf]) -> Option<PathBuf> {
    let program = path
        .iter()
        .map(|folder| folder.join("pg_config"))
        .find(|program| program.is_file())?;
    let output = Command::new(program).arg("--bindir").output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    output
        .status
        .success()
        .then(|| PathBuf::from(folder.trim_end()))
}

/// Folders of a parent whose name is the prefix and a version, with that version.
fn versions_in(parent: &Path, prefix: &str) -> Vec<(Vec<u32>, PathBuf)> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let version = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        Some((numbers(name.strip_prefix(prefix)?)?, entry.path()))
    };
    entries.filter_map(Result::ok).filter_map(version).collect()
}

/// `9.6` as numbers, so that 17 sorts above 9.6; none if it is not a version.
fn numbers(version: &str) -> Option<Vec<u32>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

fn version_of(postgres: &Path) -> Option<u32> {
    let output = Command::new(postgres).arg("--version").output().ok()?;
    major_version(&String::from_utf8_lossy(&output.stdout))
}

/// Major version in the output of `postgres --version`.
fn major_version(text: &str) -> Option<u32> {
    let starts_with_digit = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let version = text.split_whitespace().find(starts_with_digit)?;
    version
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

fn missing(environment: &Environment, not_root: bool, too_old: Vec<TooOld>) -> Missing {
    let path = on_path(environment);
    let present = |program: &str| path.iter().any(|folder| folder.join(program).is_file());
    let known = INSTALLERS.into_iter().find(|(program, _)| present(program));
    let (program, install) =
        known.unwrap_or(("", "install the PostgreSQL server package of this system"));
    let sudo = not_root && known.is_some() && program != "brew"; // Homebrew refuses root
    Missing {
        install,
        sudo,
        too_old,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::Scratch, *};

    #[test]
    fn the_major_version_is_read_from_every_kind_of_build() {
        for (text, major) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", 15),
            ("postgres (PostgreSQL) 18beta1\n", 18),
            ("postgres (PostgreSQL) 19devel", 19),
            ("postgres (PostgreSQL) 9.6.24", 9),
            (
                "postgres (PostgreSQL) 17.0 - Percona Server for PostgreSQL 17.0.1",
                17,
            ),
        ] {
            assert_eq!(major_version(text), Some(major), "{text}");
        }
        assert_eq!(major_version("postgres: command not found"), None);
    }

    #[test]
    fn the_path_comes_before_packages_and_newer_packages_before_older_ones() {
        let root = Scratch::new();
        for folder in ["9.6", "15", "17", "readme"] {
            root.folder(&format!("usr/lib/postgresql/{folder}/bin"));
        }
        root.folder("opt/homebrew/opt/postgresql@18/bin");
        let environment = Environment {
            path: Some("/a:/b".into()),
            ..Environment::default()
        };
        let places = places(&environment, root.path());
        let expected = [
            PathBuf::from("/a"),
            PathBuf::from("/b"),
            root.path().join("usr/lib/postgresql/17/bin"),
            root.path().join("usr/lib/postgresql/15/bin"),
            root.path().join("usr/lib/postgresql/9.6/bin"),
            root.path().join("opt/homebrew/opt/postgresql@18/bin"),
        ];
        assert_eq!(places, expected);
    }

    #[test]
    fn the_first_folder_with_both_programs_new_enough_wins() {
        let root = Scratch::new();
        let folders = ["half", "old", "new", "newer"].map(|name| root.folder(name));
        for (folder, program) in folders
            .iter()
            .flat_map(|folder| [(folder, "initdb"), (folder, "postgres")])
        {
            if !(folder.ends_with("half") && program == "postgres") {
                fs::write(folder.join(program), "").unwrap();
            }
        }
        let version = |postgres: &Path| {
            Some(if postgres.starts_with(root.path().join("old")) {
                13
            } else {
                17
            })
        };
        let found = choose(&folders, version).unwrap();
        assert_eq!(
            found,
            Binaries {
                folder: root.path().join("new"),
                major: 17
            }
        );
        let too_old = choose(&folders[..2], version).unwrap_err();
        assert_eq!(
            too_old.iter().map(|old| old.major).collect::<Vec<_>>(),
            [13]
        );
    }

    #[test]
    fn a_link_to_initdb_leads_to_the_folder_that_holds_both() {
        let root = Scratch::new();
        let (bin, real) = (root.folder("bin"), root.folder("real"));
        for program in ["initdb", "postgres"] {
            fs::write(real.join(program), "").unwrap();
        }
        std::os::unix::fs::symlink(real.join("initdb"), bin.join("initdb")).unwrap();
        assert_eq!(real_folder(&bin), Some(real));
    }

    #[test]
    fn a_named_folder_without_binaries_is_refused_and_not_passed_over() {
        let root = Scratch::new();
        let environment = Environment {
            pg_bindir: Some(root.path().to_owned()),
            ..Environment::default()
        };
        let error = find(&environment).unwrap_err();
        assert!(matches!(error, Error::Bindir { .. }), "{error}");
    }

    #[test]
    fn the_error_names_three_ways_out_and_the_install_line_of_this_system() {
        let root = Scratch::new();
        fs::write(root.folder("bin").join("dnf"), "").unwrap();
        let environment = Environment {
            path: Some(root.path().join("bin").into()),
            ..Environment::default()
        };
        let old = TooOld {
            folder: PathBuf::from("/old"),
            major: 13,
        };
        let text = missing(&environment, true, vec![old]).to_string();
        for part in [
            "DATABASE_URL=",
            "sudo dnf install -y postgresql-server",
            "docker compose up",
            "13 in /old",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }
}
