//! What can be said in the language: a collection of objects for each kind, objects, and words besides. It asks for what
//! is said, and knows no database.

use rhai::{Array, Dynamic, Engine, EvalAltResult, ImmutableString, Map, Module, Position};
use std::cell::RefCell;
use std::rc::Rc;

use super::help;
use super::language::{Later, Printed};
use super::request::{Answer, Ask, Asker, Item, Trouble, Wish};
use super::table::{self, Look};
use super::value::{self, Collection};
use crate::change::Action;
use crate::error::Error;
use crate::kind::Kind;
use crate::query::MAX_LIMIT;
use crate::resources;

type Fault = Box<EvalAltResult>;
type Result<T, E = Fault> = std::result::Result<T, E>;

/// A collection by its name, also within functions, and what it can be asked.
pub fn add_collections(engine: &mut Engine, asker: &Asker, printed: &Rc<Printed>) {
    let mut names = Module::new();
    for kind in resources::readable() {
        names.set_var(value::name(kind), Collection(kind));
    }
    engine.register_global_module(names.into());
    engine.register_type_with_name::<Collection>("collection");
    engine.register_fn("to_string", |c: &mut Collection| value::name(c.0));
    engine.register_fn("to_debug", |c: &mut Collection| value::name(c.0));

    for (method, all) in [("list", false), ("all", true)] {
        let (asks, out) = (asker.clone(), printed.clone());
        let list = move |kind: &'static dyn Kind, asked: &Map| -> Result<Array> {
            let mut pairs = value::pairs(asked).map_err(wrong)?;
            if all && !asked.contains_key("limit") {
                pairs.push(("limit".into(), MAX_LIMIT.to_string()));
            }
            match wish(&asks, Wish::List { kind, pairs, all })? {
                Answer::Items { items, more } => {
                    if more && !asked.contains_key("limit") {
                        let (shown, called) = (items.len(), value::name(kind));
                        out.add(&format!("the first {shown}: more follow, with limit and cursor, or {called}.all()\n"));
                    }
                    Ok(items.into_iter().map(Dynamic::from).collect::<Array>())
                }
                _ => Err(wrong(ODD).into()),
            }
        };
        let plain = list.clone();
        engine.register_fn(method, move |c: &mut Collection| plain(c.0, &Map::new()));
        engine.register_fn(method, move |c: &mut Collection, asked: Map| list(c.0, &asked));
    }
    let asks = asker.clone();
    let count = move |kind: &'static dyn Kind, asked: &Map| -> Result<i64> {
        match wish(&asks, Wish::Count { kind, pairs: value::pairs(asked).map_err(wrong)? })? {
            Answer::Number(number) => Ok(number),
            _ => Err(wrong(ODD).into()),
        }
    };
    let plain = count.clone();
    engine.register_fn("count", move |c: &mut Collection| plain(c.0, &Map::new()));
    engine.register_fn("count", move |c: &mut Collection, asked: Map| count(c.0, &asked));

    let asks = asker.clone();
    engine.register_fn("find", move |c: &mut Collection, key: Dynamic| find(&asks, c.0, &key, &Map::new()));
    let asks = asker.clone();
    engine.register_fn("find", move |c: &mut Collection, key: Dynamic, asked: Map| find(&asks, c.0, &key, &asked));
    let asks = asker.clone();
    engine.register_fn("create", move |c: &mut Collection, body: Dynamic| {
        change(&asks, c.0, Action::Create, None, &body)
    });
    for (method, action) in [("update", Action::Update), ("replace", Action::Replace)] {
        let asks = asker.clone();
        engine.register_fn(method, move |c: &mut Collection, key: Dynamic, body: Dynamic| {
            change(&asks, c.0, action, Some(&key), &body)
        });
    }
    let asks = asker.clone();
    engine.register_fn("delete", move |c: &mut Collection, key: Dynamic| {
        change(&asks, c.0, Action::Delete, Some(&key), &Dynamic::UNIT)
    });
}

/// An object with its fields, and what it can be asked.
pub fn add_objects(engine: &mut Engine, asker: &Asker) {
    engine.register_type_with_name::<Item>("object");
    engine.register_fn("to_string", |item: &mut Item| format!("{} {}", value::name(item.kind), item.key));
    engine.register_fn("to_debug", |item: &mut Item| format!("{} {}", value::name(item.kind), item.key));
    engine.register_fn("==", |a: &mut Item, b: Item| a.kind.name() == b.kind.name() && a.reference() == b.reference());
    engine.register_fn("!=", |a: &mut Item, b: Item| a.kind.name() != b.kind.name() || a.reference() != b.reference());
    // A field that is not there is a mistake, and not nothing.
    engine.register_indexer_get(|item: &mut Item, name: ImmutableString| match item.value.get(name.as_str()) {
        Some(field) => Ok(value::to_dynamic(field)),
        None => Err(Fault::from(wrong(format!("{} {} shows no field {name:?}", value::name(item.kind), item.key)))),
    });
    let asks = asker.clone();
    engine.register_fn("update", move |item: &mut Item, body: Dynamic| {
        change(&asks, item.kind, Action::Update, Some(&Dynamic::from(item.clone())), &body)
    });
    let asks = asker.clone();
    engine.register_fn("delete", move |item: &mut Item| {
        change(&asks, item.kind, Action::Delete, Some(&Dynamic::from(item.clone())), &Dynamic::UNIT)
    });
    let asks = asker.clone();
    engine
        .register_fn("load", move |item: &mut Item| find(&asks, item.kind, &Dynamic::from(item.clone()), &Map::new()));
}

/// What can be said by itself.
pub fn add_words(engine: &mut Engine, asker: &Asker, look: Look, printed: &Rc<Printed>) {
    let out = printed.clone();
    engine.on_print(move |text| out.add(&format!("{text}\n")));
    engine.on_debug(|text, _, at| eprintln!("{}", table::plain(&format!("{at}: {text}"))));
    engine.register_fn("json", |shown: Dynamic| table::json(&shown).trim_end().to_owned());
    let out = printed.clone();
    engine.register_fn("help", move || out.add(&help::overview(look)));
    let out = printed.clone();
    engine.register_fn("help", move |c: Collection| out.add(&help::of(look, c.0)));
    let out = printed.clone();
    engine.register_fn("ls", move || out.add(&help::collections(look)));
    let (out, asks) = (printed.clone(), asker.clone());
    engine.register_fn("ls", move |c: Collection| -> Result<()> {
        if let Answer::Items { items, more } = wish(&asks, Wish::List { kind: c.0, pairs: vec![], all: false })? {
            let end = if more { "more follow\n" } else { "" };
            out.add(&(look.show(&items.into_iter().map(Dynamic::from).collect::<Array>().into()) + end));
        }
        Ok(())
    });
    let (out, asks) = (printed.clone(), asker.clone());
    engine.register_fn("show", move |shown: Dynamic| -> Result<()> {
        // Of an object, all that there is by now.
        let item = shown.read_lock::<Item>().map(|item| item.clone());
        let shown = match item {
            Some(item) => Dynamic::from(find(&asks, item.kind, &shown, &Map::new())?),
            None => shown,
        };
        out.add(&look.show(&shown));
        Ok(())
    });
}

/// What becomes of changes, to be done when the statement has ended.
pub fn add_transactions(engine: &mut Engine, later: &Rc<RefCell<Vec<Later>>>, is_script: bool) {
    let keep = {
        let later = later.clone();
        move |what: Later| -> Result<()> {
            if is_script {
                return Err(
                    wrong("is asked at a terminal; what a script changes is committed at its end by --commit").into()
                );
            }
            later.borrow_mut().push(what);
            Ok(())
        }
    };
    let asks = keep.clone();
    engine.register_fn("changes", move || asks(Later::Changes));
    let asks = keep.clone();
    engine.register_fn("commit", move || asks(Later::Commit(None)));
    let asks = keep.clone();
    engine.register_fn("commit", move |why: ImmutableString| asks(Later::Commit(Some(why.to_string()))));
    engine.register_fn("rollback", move || keep(Later::RollBack));
    let later = later.clone();
    engine.register_fn("exit", move || -> Result<()> {
        later.borrow_mut().push(Later::Leave);
        Err(EvalAltResult::Exit(Dynamic::UNIT, Position::NONE).into())
    });
}

fn find(asks: &Asker, kind: &'static dyn Kind, key: &Dynamic, asked: &Map) -> Result<Item> {
    let (key, pairs) = (value::key(key).map_err(wrong)?, value::pairs(asked).map_err(wrong)?);
    match wish(asks, Wish::Find { kind, key, pairs })? {
        Answer::Item(item) => Ok(item),
        _ => Err(wrong(ODD).into()),
    }
}

/// A change, and the object that it leaves.
fn change(
    asks: &Asker,
    kind: &'static dyn Kind,
    action: Action,
    key: Option<&Dynamic>,
    body: &Dynamic,
) -> Result<Dynamic> {
    let key = key.map(value::key).transpose().map_err(wrong)?;
    let body = value::body(body).map_err(wrong)?;
    match wish(asks, Wish::Write { kind, action, key, body })? {
        Answer::Item(item) => Ok(Dynamic::from(item)),
        _ => Ok(Dynamic::UNIT),
    }
}

/// What should not come back.
pub const ODD: &str = "this was answered with something else";

fn wish(asks: &Asker, wish: Wish) -> Result<Answer> {
    asks.ask(Ask::Do(wish)).map_err(|trouble| match trouble {
        // Which a script cannot catch.
        Trouble::Interrupted => EvalAltResult::ErrorTerminated(trouble.to_string().into(), Position::NONE).into(),
        trouble => {
            if let Trouble::Refused(Error::Internal(source)) = &trouble {
                tracing::error!(error = &**source, "internal error");
            }
            EvalAltResult::ErrorRuntime(value::to_dynamic(&trouble.problem()), Position::NONE).into()
        }
    })
}

fn wrong(what: impl Into<String>) -> EvalAltResult {
    EvalAltResult::ErrorRuntime(what.into().into(), Position::NONE)
}
