//! The language: Rhai, with the vocabulary of the registry, and limits that a statement does not get past. It keeps what
//! was said so far, and knows neither the database nor the terminal.

use rhai::{AST, Dynamic, Engine, Scope};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::request::{Answer, Ask, Asker};
use super::table::{self, Look};
use super::trouble::{explained, told};
use super::vocabulary::{self, ODD};
use super::{help, value};

/// What a statement wants done when it has ended.
pub enum Later {
    /// Say what would change.
    Changes,
    /// Commit, and say why.
    Commit(Option<String>),
    /// Forget the changes.
    RollBack,
    /// Leave the shell.
    Leave,
}

/// What a statement has come to.
pub struct Ended {
    /// What it is worth.
    pub value: Dynamic,
    /// What it wants done.
    pub later: Vec<Later>,
    /// How many changes wait for a commit.
    pub pending: usize,
}

/// The language, with what was said so far.
pub struct Language {
    engine: Engine,
    scope: Scope<'static>,
    /// The functions that were written so far.
    library: AST,
    asker: Asker,
    time_limit: Duration,
    deadline: Rc<Cell<Option<Instant>>>,
    later: Rc<RefCell<Vec<Later>>>,
    printed: Rc<Printed>,
}

/// What a statement prints is shown when it has ended: who reads it slowly must not keep what it has locked.
#[derive(Default)]
pub struct Printed(RefCell<String>);

/// More than this is shown at once.
const MOST_PRINTED: usize = 1 << 20;

/// How many operations are done between two looks at the clock.
const BETWEEN_LOOKS: u64 = 1024;

impl Printed {
    /// Adds something, which is shown as text.
    pub fn add(&self, text: &str) {
        let mut printed = self.0.borrow_mut();
        printed.push_str(&table::plain(text));
        if printed.len() > MOST_PRINTED {
            drop(printed);
            self.show();
        }
    }

    fn show(&self) {
        table::say(&std::mem::take(&mut *self.0.borrow_mut()));
    }
}

impl Language {
    /// One in which nothing was said. In a script, nothing waits for a person.
    pub fn new(asker: Asker, look: Look, time_limit: Duration, is_script: bool) -> Self {
        let (later, printed) = (Rc::<RefCell<Vec<Later>>>::default(), Rc::<Printed>::default());
        let deadline = Rc::<Cell<Option<Instant>>>::default();
        let mut engine = Engine::new();
        limit(&mut engine, &asker, &deadline);
        vocabulary::add_collections(&mut engine, &asker, &printed);
        vocabulary::add_objects(&mut engine, &asker);
        vocabulary::add_words(&mut engine, &asker, look, &printed);
        vocabulary::add_transactions(&mut engine, &later, is_script);
        let (scope, library) = (Scope::new(), AST::empty());
        Self { engine, scope, library, asker, time_limit, deadline, later, printed }
    }

    /// Runs a statement, or a whole script: all that it changes stays, or nothing of it.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn run(&mut self, text: &str) -> Result<Ended, String> {
        let text = spelled_out(text);
        let ast = self.engine.compile(&*text).map_err(|error| table::plain(&error.to_string()))?;
        let ast = self.library.merge(&ast);
        self.asker.interrupt.begin();
        self.deadline.set(Instant::now().checked_add(self.time_limit));
        self.later.borrow_mut().clear();
        let done = self.engine.eval_ast_with_scope::<Dynamic>(&mut self.scope, &ast);
        let later = std::mem::take(&mut *self.later.borrow_mut());
        let done = done.map_err(|error| explained(&error));
        let ended = self.asker.ask(Ask::End { keep: done.is_ok() });
        self.printed.show();
        let value = done?;
        match ended.map_err(|trouble| told(&trouble))? {
            Answer::Pending(pending) => {
                self.library = ast;
                self.library.clear_statements();
                Ok(Ended { value, later, pending })
            }
            _ => Err(ODD.into()),
        }
    }
}

/// Neither a loop without an end, nor a list without one, nor a function that calls itself, stops the shell.
fn limit(engine: &mut Engine, asker: &Asker, deadline: &Rc<Cell<Option<Instant>>>) {
    engine.set_max_call_levels(64).set_max_expr_depths(128, 64).set_max_variables(10_000).set_max_functions(1_000);
    engine.set_max_string_size(16 << 20).set_max_array_size(200_000).set_max_map_size(100_000);
    let (interrupt, deadline) = (asker.interrupt.clone(), deadline.clone());
    engine.on_progress(move |operations| {
        if interrupt.is_pressed() {
            return Some("interrupted".into());
        }
        let is_late = || deadline.get().is_some_and(|deadline| Instant::now() > deadline);
        (operations % BETWEEN_LOOKS == 0 && is_late()).then(|| "it takes longer than is allowed (--time-limit)".into())
    });
}

/// What people say in words, as the language has it: `ls ceph-osds` is `ls(ceph_osds)`.
fn spelled_out(text: &str) -> Cow<'_, str> {
    let line = text.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let word = if word == "quit" { "exit" } else { word };
    let rest = rest.trim().trim_end_matches(';');
    let is_word = help::WORDS.iter().any(|(name, ..)| *name == word);
    if !is_word || rest.starts_with(['=', '.', '(', '+', '-', '*', '/', '<', '>', '!']) || line.contains('\n') {
        return Cow::Borrowed(text);
    }
    let rest = value::kind(rest).map_or_else(|| rest.to_owned(), value::name);
    Cow::Owned(format!("{word}({rest})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_at_the_prompt_are_calls() {
        for (said, meant) in [
            ("ls", "ls()"),
            ("ls ceph-osds", "ls(ceph_osds)"),
            (" help vms ", "help(vms)"),
            ("commit \"a new rack\"", "commit(\"a new rack\")"),
            ("quit", "exit()"),
            ("show vms.find(\"web-1\")", "show(vms.find(\"web-1\"))"),
            ("ls(vms)", "ls(vms)"),
            ("show = 3", "show = 3"),
            ("vms.list()", "vms.list()"),
            ("let show = 3", "let show = 3"),
        ] {
            assert_eq!(spelled_out(said), meant);
        }
    }
}
