//! The top level of `crossmill --help`: commands in groups, and old names that
//! answer with the new one.

use clap::Command;
use std::fmt::Write as _;

/// The groups in the order in which a newcomer meets them.
const GROUPS: [(&str, &str); 5] = [
    ("Build", "build submit plan fetch check ci"),
    ("Results", "report diff compare bisect reduce watch shell env log reproduce timeline runs"),
    ("Release", "package publish install upgrade remove record"),
    ("Debug information", "sframe btf inline-btf"),
    ("Setup", "doctor targets store cache completions recipe"),
];

/// Commands of earlier versions, each with what replaces it.
const RENAMED: [(&str, &str); 1] = [("prove", "record")];

/// Returns the new name of a command that was renamed.
pub fn renamed(word: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(old, _)| *old == word).map(|(_, new)| *new)
}

/// Lists the subcommands of `command` in groups, each with its one-line summary.
///
/// clap has one heading for all subcommands; the template takes its place.
pub fn grouped(command: Command) -> Command {
    let template = template(&command);
    command.help_template(template)
}

fn template(command: &Command) -> String {
    let names = || command.get_subcommands().map(Command::get_name);
    let width = names().map(str::len).max().unwrap_or(0);
    let mut text = String::from("{about-with-newline}\n{usage-heading} {usage}\n");
    for (heading, members) in GROUPS {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{heading}:\n");
        for member in members.split(' ') {
            let Some(found) = command.find_subcommand(member) else { continue };
            let about = found.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {member:width$}  {about}");
        }
    }
    text.push_str("\nOptions:\n{options}{after-help}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn every_command_is_in_one_group() {
        let command = super::super::Cli::command();
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, members)| members.split(' ')).collect();
        let mut commands: Vec<&str> =
            command.get_subcommands().filter(|found| !found.is_hide_set()).map(Command::get_name).collect();
        grouped.sort_unstable();
        commands.sort_unstable();
        assert_eq!(grouped, commands);
    }

    #[test]
    fn a_renamed_command_is_no_command() {
        let command = super::super::Cli::command();
        for (old, new) in RENAMED {
            assert!(command.find_subcommand(old).is_none() && command.find_subcommand(new).is_some(), "{old}");
        }
    }
}
