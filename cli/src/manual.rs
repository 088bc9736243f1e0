//! `nemeses completions` and `nemeses man`: written from the declarations in
//! `args`, so that packages need no texts of their own.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::args::Cli;
use crate::tools::print;

/// `nemeses completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// `nemeses man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write nemeses.1, nemeses-up.1 and so on there; the folder must exist
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Writes completions to standard output.
///
/// # Errors
/// What writing reports.
pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<()> {
    print(&completions_of(args.shell)?)
}

fn completions_of(shell: Shell) -> anyhow::Result<String> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "nemeses", &mut text);
    String::from_utf8(text).context("the completions are no text")
}

/// Writes the man page, or all of them.
///
/// # Errors
/// What writing reports.
pub(crate) fn man(args: &ManArgs) -> anyhow::Result<()> {
    let Some(folder) = &args.folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        return print(&String::from_utf8(page).context("the man page is no text")?);
    };
    clap_mangen::generate_to(Cli::command(), folder)
        .with_context(|| format!("the man pages cannot be written to {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_is_offered_every_command() {
        for shell in Shell::value_variants() {
            let text = completions_of(*shell).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(text.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }

    #[test]
    fn every_command_has_a_man_page() {
        let folder = tempfile::tempdir().unwrap();
        man(&ManArgs { folder: Some(folder.path().to_owned()) }).unwrap();
        let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        for command in Cli::command().get_subcommands() {
            assert!(page(&format!("nemeses-{}.1", command.get_name())).starts_with(".ie"));
        }
        assert!(page("nemeses.1").contains("nemeses\\-up(1)"));
        let missing = folder.path().join("missing");
        man(&ManArgs { folder: Some(missing) }).unwrap_err();
    }
}
