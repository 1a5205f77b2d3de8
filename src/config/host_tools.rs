//! The host tools that builds need, from `recipes/host-tools.toml`. This code knows no tool,
//! package or package manager by name.

use super::file::SourceFile;
use crate::base::{Diagnostic, Version, suggest};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// All tools and how to install them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostTools {
    /// In the file's order.
    pub tools: Vec<Tool>,
    /// In the file's order: the first found on a machine is used.
    pub managers: Vec<Manager>,
}

/// A tool or library that builds need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// How it is found.
    pub find: Find,
    /// What of it is part of the keys of stages that name it.
    pub identity: Option<Identity>,
    /// For a compiler cache: the compilers it wraps.
    pub cache: Option<Cache>,
    /// Its purpose, as text.
    pub why: String,
    /// The packages that provide it, by package manager.
    pub packages: BTreeMap<String, Vec<String>>,
}

/// What of a tool is part of keys. Never a path, a time or a number of this machine alone: machines of one image have the
/// same keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The first line that the program prints when it is asked for its version.
    Version,
    /// The first line that a shell command prints, for a library.
    Command(String),
}

/// The compilers that a compiler cache wraps. It changes no result and no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// The programs, by name.
    pub wraps: Vec<String>,
    /// The environment variable that names the cache directory.
    pub variable: String,
    /// The environment variable that names the base directory below which paths are made relative: the work
    /// directories are there.
    pub base_variable: Option<String>,
}

/// How a tool is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Find {
    /// A program on PATH.
    Program {
        /// Acceptable names in order of preference; at least one.
        names: Vec<String>,
        /// Arguments that print its version; empty if the version does not matter.
        version_args: Vec<String>,
        /// The oldest supported version.
        minimum: Option<Version>,
        /// A shell command that prints its path, run in the caller's environment.
        locate: Option<String>,
    },
    /// A header or library: a C program that must compile and link.
    Compile {
        /// The C program.
        source: String,
        /// Additional linker arguments.
        link: Vec<String>,
    },
}

/// A package manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    /// Its name, as in the tools' `packages`.
    pub name: String,
    /// The program whose presence identifies it.
    pub program: String,
    /// The install command; packages are appended.
    pub install: Vec<String>,
}

impl HostTools {
    /// Reads a file, whose tools may name the package managers of `below` too.
    pub fn parse(file: &SourceFile, below: &Self) -> Result<Self, Diagnostic> {
        let raw: RawFile = file.parse()?;
        let managers: Vec<Manager> = in_order(raw.manager)
            .into_iter()
            .map(|(name, raw)| {
                let raw = raw.into_inner();
                Manager { name, program: raw.program, install: raw.install }
            })
            .collect();
        let names: Vec<&str> = managers.iter().chain(&below.managers).map(|it| it.name.as_str()).collect();
        let tools = in_order(raw.tool)
            .into_iter()
            .map(|(name, raw)| {
                let at = file.location(raw.span());
                raw.into_inner().check(&name, &names).map_err(|problem| problem.at(at))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { tools, managers })
    }

    /// Adds the tools and package managers of another file, which replace those of the same name.
    pub fn extend(&mut self, other: Self) {
        for tool in other.tools {
            match self.tools.iter_mut().find(|below| below.name == tool.name) {
                Some(below) => *below = tool,
                None => self.tools.push(tool),
            }
        }
        for manager in other.managers {
            match self.managers.iter_mut().find(|below| below.name == manager.name) {
                Some(below) => *below = manager,
                None => self.managers.push(manager),
            }
        }
    }

    /// Returns the tools of these names, in the file's order.
    pub fn named<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = &'a Tool> {
        self.tools.iter().filter(|tool| names.contains(&tool.name))
    }

    /// Returns the compiler cache, if one is described.
    pub fn cache(&self) -> Option<(&Tool, &Cache)> {
        self.tools.iter().find_map(|tool| Some((tool, tool.cache.as_ref()?)))
    }

    /// Returns the tools of which something belongs to the keys of stages, and what.
    pub fn identity(&self) -> impl Iterator<Item = (&Tool, &Identity)> {
        self.tools.iter().filter_map(|tool| Some((tool, tool.identity.as_ref()?)))
    }
}

fn wrong(message: String, hint: &str) -> Result<Tool, Diagnostic> {
    Err(Diagnostic::new(message).hint(hint))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    tool: BTreeMap<String, Spanned<RawTool>>,
    #[serde(default)]
    manager: BTreeMap<String, Spanned<RawManager>>,
}

/// The tables in the order of the file; the TOML parser sorts them by name.
fn in_order<T>(tables: BTreeMap<String, Spanned<T>>) -> Vec<(String, Spanned<T>)> {
    let mut tables: Vec<_> = tables.into_iter().collect();
    tables.sort_by_key(|(_, table)| table.span().start);
    tables
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawTool {
    program: Option<String>,
    #[serde(default)]
    any_of: Vec<String>,
    compile: Option<String>,
    #[serde(default)]
    link: Vec<String>,
    #[serde(default)]
    version_args: Vec<String>,
    minimum: Option<Version>,
    locate: Option<String>,
    #[serde(default)]
    identity: bool,
    identity_command: Option<String>,
    #[serde(default)]
    wraps: Vec<String>,
    cache_variable: Option<String>,
    base_variable: Option<String>,
    why: String,
    packages: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManager {
    program: String,
    install: Vec<String>,
}

impl RawTool {
    fn check(self, name: &str, managers: &[&str]) -> Result<Tool, Diagnostic> {
        if let Some(other) = self.packages.keys().find(|manager| !managers.contains(&manager.as_str())) {
            let problem = Diagnostic::new(format!("tool `{name}` names the unknown package manager `{other}`"));
            let hints = suggest::hints(other, "package managers", managers.iter().copied());
            return Err(hints.into_iter().fold(problem, Diagnostic::hint));
        }
        let base_variable = self.base_variable;
        let cache = match (self.wraps, self.cache_variable) {
            (wraps, None) if wraps.is_empty() && base_variable.is_none() => None,
            (wraps, Some(variable)) if !wraps.is_empty() => Some(Cache { wraps, variable, base_variable }),
            _ => {
                return wrong(
                    format!("tool `{name}` is only a part of a compiler cache"),
                    "a compiler cache needs both `wraps` and `cache-variable`; `base-variable` is one more of it",
                );
            }
        };
        let identity = match (self.identity, self.identity_command) {
            (true, Some(_)) => {
                return wrong(
                    format!("tool `{name}` has both `identity` and `identity-command`"),
                    "remove one of them: `identity` takes what `version-args` print",
                );
            }
            (true, None) => Some(Identity::Version),
            (false, command) => command.map(Identity::Command),
        };
        let names: Vec<String> = self.program.into_iter().chain(self.any_of).collect();
        let find = match (self.compile, names.is_empty()) {
            (Some(_), false) => {
                return wrong(format!("tool `{name}` has both a program and `compile`"), "make two tools of it");
            }
            (None, true) => {
                return wrong(
                    format!("tool `{name}` does not specify how to find it"),
                    "add one of `program`, `any-of`, `compile`",
                );
            }
            (Some(_), true) if !self.version_args.is_empty() || self.minimum.is_some() || self.identity => {
                return wrong(
                    format!("tool `{name}` is compiled, so it has no version to ask for"),
                    "remove `version-args`, `minimum` and `identity`; `identity-command` can ask for it",
                );
            }
            (Some(_), true) if self.locate.is_some() => {
                return wrong(format!("tool `{name}` is compiled, so there is nothing to locate"), "remove `locate`");
            }
            (Some(source), true) => Find::Compile { source, link: self.link },
            (None, false) if !self.link.is_empty() => {
                return wrong(format!("tool `{name}` has `link` without `compile`"), "remove `link`");
            }
            (None, false) if self.version_args.is_empty() && (self.minimum.is_some() || self.identity) => {
                return wrong(
                    format!("tool `{name}` cannot be asked for its version"),
                    "add `version-args = [\"--version\"]`",
                );
            }
            (None, false) => {
                Find::Program { names, version_args: self.version_args, minimum: self.minimum, locate: self.locate }
            }
        };
        Ok(Tool { name: name.to_owned(), find, identity, cache, why: self.why, packages: self.packages })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANAGERS: &str = "\n[manager.apt]\nprogram = \"apt-get\"\ninstall = [\"apt-get\", \"install\"]\n";

    fn parse(text: &str) -> Result<HostTools, Diagnostic> {
        let file = SourceFile::from_text(std::path::Path::new("recipes/host-tools.toml"), text.to_owned());
        HostTools::parse(&file, &HostTools::default())
    }

    fn refused(tool: &str) -> String {
        let text = format!("{tool}{MANAGERS}");
        parse(&text).unwrap_err().to_string()
    }

    fn committed() -> HostTools {
        parse(include_str!("../../recipes/host-tools.toml")).unwrap()
    }

    #[test]
    fn every_committed_tool_can_be_installed_everywhere() {
        let tools = committed();
        // Alpine's package of C-Vise is not known; only `reduce` runs it.
        let unknown = [("cvise", "apk")];
        for tool in &tools.tools {
            for manager in &tools.managers {
                if unknown.contains(&(tool.name.as_str(), manager.name.as_str())) {
                    continue;
                }
                let packages = tool.packages.get(&manager.name);
                assert!(packages.is_some_and(|names| !names.is_empty()), "{} with {}", tool.name, manager.name);
            }
        }
        let identity: Vec<_> = tools.identity().map(|(tool, _)| tool.name.as_str()).collect();
        let named =
            ["cc", "cxx", "clang", "clangxx", "libc-headers", "cargo", "rustc", "ld", "pahole", "xz", "zstd", "gzip"];
        assert_eq!(identity, named);
    }

    #[test]
    fn tools_are_found_by_name_in_the_order_of_the_file() {
        let names = ["pahole", "make", "none"].map(str::to_owned);
        let tools = committed();
        let found: Vec<_> = tools.named(&names).map(|tool| tool.name.as_str()).collect();
        assert_eq!(found, ["make", "pahole"]);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        insta::assert_snapshot!("unknown_key", refused("[tool.bison]\nprogramm = \"bison\"\n"));
        insta::assert_snapshot!(
            "nothing_to_find",
            refused("[tool.bison]\nwhy = \"x\"\npackages = { apt = [\"b\"] }\n")
        );
        insta::assert_snapshot!(
            "unknown_manager",
            refused("[tool.bison]\nprogram = \"bison\"\nwhy = \"x\"\npackages = { atp = [\"b\"] }\n")
        );
        insta::assert_snapshot!(
            "no_version",
            refused("[tool.b]\nprogram = \"b\"\nminimum = \"3.0\"\nwhy = \"x\"\npackages = {}\n")
        );
        let both = refused(
            "[tool.b]\nprogram = \"b\"\nversion-args = [\"-v\"]\nidentity = true\nidentity-command = \"b -v\"\n\
             why = \"x\"\npackages = {}\n",
        );
        assert!(both.contains("has both `identity` and `identity-command`"), "{both}");
        insta::assert_snapshot!(
            "half_a_cache",
            refused("[tool.b]\nprogram = \"b\"\nwraps = [\"cc\"]\nwhy = \"x\"\npackages = {}\n")
        );
        let base = refused("[tool.b]\nprogram = \"b\"\nbase-variable = \"B\"\nwhy = \"x\"\npackages = {}\n");
        assert!(base.to_string().contains("is only a part of a compiler cache"), "{base}");
        insta::assert_snapshot!(
            "both",
            refused("[tool.b]\nprogram = \"b\"\ncompile = \"int x;\"\nwhy = \"x\"\npackages = {}\n")
        );
        insta::assert_snapshot!(
            "nothing_to_locate",
            refused("[tool.b]\nlocate = \"which b\"\ncompile = \"int x;\"\nwhy = \"x\"\npackages = {}\n")
        );
        insta::assert_snapshot!(
            "bad_version",
            refused(
                "[tool.b]\nprogram = \"b\"\nversion-args = [\"-v\"]\nminimum = \"new\"\nwhy = \"x\"\npackages = {}\n"
            )
        );
    }
}
