//! The shell at a terminal: lines with history and completion, what they come to, and the questions before a commit and
//! before changes are lost. What holds a secret is not kept in the history. It knows no database.

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context as Line, Editor, Helper};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use super::complete;
use super::context::Context;
use super::language::{Ended, Language, Later};
use super::request::{Answer, Ask, Asker, Wish};
use super::table::{Look, plain, say};
use super::trouble::told;
use super::{Problem, fill_ids, summary_text};
use crate::kind::Kind;
use crate::reports::mask;

/// How many lines are kept.
const KEPT: usize = 5_000;

/// What is said at the start.
const GREETING: &str = "help says what can be said; Tab completes; exit leaves.";

/// How the shell talks with a person.
pub struct Terminal {
    /// Where lines are kept, if they are.
    pub history: Option<PathBuf>,
    /// How values look.
    pub look: Look,
    /// In whose name, for the prompt.
    pub who: Option<String>,
    /// Whether each statement is committed.
    pub direct: bool,
}

/// Why something is not read.
type Result<T, E = Problem> = std::result::Result<T, E>;

impl Terminal {
    /// Reads and runs until somebody leaves.
    ///
    /// # Errors
    /// When the terminal cannot be used.
    pub fn run(&self, language: &mut Language, asker: &Asker) -> Result<()> {
        let config = Config::builder()
            .max_history_size(KEPT)?
            .history_ignore_dups(true)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .build();
        let mut editor: Editor<Assistant, DefaultHistory> = Editor::with_config(config)?;
        editor.set_helper(Some(Assistant { asker: asker.clone() }));
        self.load(&mut editor);
        say(&format!("{GREETING} {}\n", if self.direct { DIRECT } else { SANDBOX }));
        let mut pending = 0;
        loop {
            let line = match editor.readline(&self.prompt(pending)) {
                Ok(line) => line,
                Err(ReadlineError::Interrupted) => continue,
                Err(ReadlineError::Eof) => "exit".to_owned(),
                Err(error) => return Err(error.into()),
            };
            if line.trim().is_empty() {
                continue;
            }
            self.keep(&mut editor, &line);
            match language.run(&line) {
                Ok(ended) => {
                    let leaves = self.end(asker, ended, &mut pending)?;
                    if leaves {
                        return Ok(());
                    }
                }
                Err(problem) => eprintln!("{problem}"),
            }
        }
    }

    fn prompt(&self, pending: usize) -> String {
        let who = self.who.as_ref().map(|who| format!("{who}@")).unwrap_or_default();
        let state = match pending {
            0 if self.direct => "!".to_owned(),
            0 => String::new(),
            _ => format!("[{pending}]"),
        };
        plain(&format!("{who}virtapi{state}> "))
    }

    /// Shows what a statement has come to, and does what it wants done; says whether that is to leave.
    fn end(&self, asker: &Asker, ended: Ended, pending: &mut usize) -> Result<bool> {
        *pending = ended.pending;
        let mut value = ended.value;
        if self.direct && *pending > 0 {
            match asker.ask(Ask::Commit(None)) {
                Ok(Answer::Committed(_, ids)) => fill_ids(&mut value, &ids),
                Ok(_) => {}
                Err(trouble) => {
                    eprintln!("{}", told(&trouble));
                    asker.ask(Ask::RollBack).map_err(|trouble| told(&trouble))?;
                    *pending = 0;
                    return Ok(false);
                }
            }
            *pending = 0;
        }
        say(&self.look.show(&value));
        for later in ended.later {
            match later {
                Later::Changes if *pending == 0 => say("there is nothing to commit\n"),
                Later::Changes => {
                    tell_changes(asker);
                }
                Later::Commit(why) => commit(asker, why, pending)?,
                Later::RollBack => {
                    let answer = asker.ask(Ask::RollBack).map_err(|trouble| told(&trouble))?;
                    say(&format!("{} forgotten\n", changes_in_words(*pending)));
                    *pending = if let Answer::Pending(number) = answer { number } else { 0 };
                }
                Later::Leave if *pending == 0 => return Ok(true),
                Later::Leave => {
                    let question = format!("{} not committed. Forget and leave? [y/N] ", changes_in_words(*pending));
                    // Who ends the input has left already.
                    if confirms(&question)?.unwrap_or(true) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    fn load(&self, editor: &mut Editor<Assistant, DefaultHistory>) {
        let Some(file) = &self.history else { return };
        if file.exists()
            && let Err(error) = editor.load_history(file)
        {
            eprintln!("the history cannot be read from {}: {error}", file.display());
        }
    }

    /// Keeps a line, for its owner alone, unless it seems to hold a secret.
    fn keep(&self, editor: &mut Editor<Assistant, DefaultHistory>, line: &str) {
        if mask::text(line) != line {
            return;
        }
        let kept = editor.add_history_entry(line).and_then(|added| match &self.history {
            Some(file) if added => {
                let dir = file.parent().unwrap_or(file);
                std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
                editor.append_history(file)
            }
            _ => Ok(()),
        });
        if let Err(error) = kept {
            tracing::debug!("a line is not kept: {error}");
        }
    }
}

const SANDBOX: &str = "Nothing is changed before you commit.";
const DIRECT: &str = "Each statement is committed at once (--commit).";

/// `1 change`, `2 changes`
pub fn changes_in_words(number: usize) -> String {
    if number == 1 { "1 change".into() } else { format!("{number} changes") }
}

/// Says what a commit would do; whether it can be done.
fn tell_changes(asker: &Asker) -> bool {
    match asker.ask(Ask::Summary) {
        Ok(Answer::Summary(summary)) => {
            say(&summary_text(&summary));
            true
        }
        Ok(_) => false,
        Err(trouble) => {
            eprintln!("{}", told(&trouble));
            false
        }
    }
}

/// Commits, if that is what somebody wants who knows what it does.
fn commit(asker: &Asker, why: Option<String>, pending: &mut usize) -> Result<()> {
    if *pending == 0 {
        say("there is nothing to commit\n");
        return Ok(());
    }
    if !tell_changes(asker) {
        return Ok(());
    }
    if !confirms("Commit? [y/N] ")?.unwrap_or(false) {
        say("not committed\n");
        return Ok(());
    }
    match asker.ask(Ask::Commit(why)) {
        Ok(Answer::Committed(changes, _)) => {
            say(&format!("{} committed\n", changes_in_words(changes)));
            *pending = 0;
        }
        Ok(_) => {}
        Err(trouble) => eprintln!("{}", told(&trouble)),
    }
    Ok(())
}

/// Whether somebody says yes; nothing if the input has ended.
fn confirms(question: &str) -> Result<Option<bool>> {
    match Editor::<(), DefaultHistory>::new()?.readline(question) {
        Ok(said) => Ok(Some(matches!(said.trim(), "y" | "Y" | "yes"))),
        Err(ReadlineError::Interrupted) => Ok(Some(false)),
        Err(ReadlineError::Eof) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Helps with a line that is being typed.
struct Assistant {
    asker: Asker,
}

impl Assistant {
    /// What objects are called; nothing where that is not to be known.
    fn names(&self, kind: &'static dyn Kind, beginning: &str) -> Vec<String> {
        self.asker.interrupt.begin();
        let asked = self.asker.ask(Ask::Do(Wish::Names { kind, beginning: beginning.to_owned() }));
        let ended = self.asker.ask(Ask::End { keep: false });
        match (asked, ended) {
            // What would end the quotes, or is no text for a terminal, has to be typed.
            (Ok(Answer::Names(names)), Ok(_)) => names
                .into_iter()
                .filter(|name| !name.contains(|c: char| c == '"' || c == '\\' || c.is_control()))
                .collect(),
            _ => vec![],
        }
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Line<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = line.get(..pos).unwrap_or_default();
        let complete::Offer { start, words } = complete::offer(typed, |kind, beginning| self.names(kind, beginning));
        Ok((start, words.into_iter().map(|word| Pair { display: word.clone(), replacement: word }).collect()))
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let is_incomplete = Context::of(context.input()).is_incomplete();
        Ok(if is_incomplete { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Hinter for Assistant {
    type Hint = String;
}
impl Highlighter for Assistant {}
impl Helper for Assistant {}
