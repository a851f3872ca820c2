//! `?embed=node,interfaces.addresses`: which related objects a client wants to see whole. A relation is a reference of
//! the kind itself, one of its lists, or the objects of another kind that refer to it.

use crate::column::Column;
use crate::kind::Kind;
use crate::resources::KINDS;

/// What to show whole, as a tree.
#[derive(Default)]
pub struct Embed(pub Vec<Branch>);

/// One relation, and what to show whole of the objects behind it.
pub struct Branch {
    /// What the client calls it: the field of the answer.
    pub name: String,
    /// How it is found.
    pub relation: Relation,
    /// What of the related objects.
    pub below: Embed,
}

/// How related objects are found.
#[derive(Clone, Copy)]
pub enum Relation {
    /// By a reference or a list of the object itself.
    Column(&'static Column),
    /// Objects of this kind whose column refers to the object.
    Reverse(&'static dyn Kind, &'static Column),
}

/// How deep a path may go.
pub const MAX_DEPTH: usize = 4;

impl Embed {
    /// Reads the parameter.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(kind: &'static dyn Kind, value: &str) -> Result<Self, String> {
        let mut embed = Self::default();
        for path in value.split(',') {
            if path.split('.').count() > MAX_DEPTH {
                return Err(format!("{path:?} is more than {MAX_DEPTH} steps deep"));
            }
            embed.add(kind, path)?;
        }
        Ok(embed)
    }

    fn add(&mut self, kind: &'static dyn Kind, path: &str) -> Result<(), String> {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let relation = relation(kind, name).ok_or_else(|| format!("{} have no relation {name:?}", kind.name()))?;
        if !self.0.iter().any(|branch| branch.name == name) {
            self.0.push(Branch { name: name.to_owned(), relation, below: Self::default() });
        }
        match (rest, self.branch(name)) {
            (Some(rest), Some(branch)) => branch.below.add(relation.kind().unwrap_or(kind), rest),
            _ => Ok(()),
        }
    }

    fn branch(&mut self, name: &str) -> Option<&mut Branch> {
        self.0.iter_mut().find(|branch| branch.name == name)
    }

    /// What to show of the objects behind this column, if they are to be shown whole.
    pub fn of_column(&self, column: &Column) -> Option<&Self> {
        let same = |branch: &&Branch| matches!(branch.relation, Relation::Column(c) if c.name == column.name);
        self.0.iter().find(same).map(|branch| &branch.below)
    }
}

impl Relation {
    /// What is behind it.
    pub fn kind(self) -> Option<&'static dyn Kind> {
        match self {
            Self::Column(column) => column.any_target(),
            Self::Reverse(kind, _) => Some(kind),
        }
    }
}

fn relation(kind: &'static dyn Kind, name: &str) -> Option<Relation> {
    let own = Column::named(kind.columns(), name).filter(|column| column.any_target().is_some());
    own.map(Relation::Column)
        .or_else(|| reverse(kind).into_iter().find(|(n, ..)| n == name).map(|(_, k, c)| Relation::Reverse(k, c)))
}

/// The kinds that refer to this one: the relation's name, the kind, its column. Where a kind refers to it by several
/// columns, the name says by which.
pub fn reverse(target: &'static dyn Kind) -> Vec<(String, &'static dyn Kind, &'static Column)> {
    let mut found = Vec::new();
    for &kind in KINDS {
        let refers = |column: &&'static Column| column.target().is_some_and(|k| k.name() == target.name());
        let columns: Vec<_> = kind.columns().iter().filter(refers).collect();
        let several = columns.len() > 1;
        let collection = kind.name().replace('-', "_");
        found.extend(columns.into_iter().map(|column| {
            let name = if several { format!("{collection}_by_{}", column.name) } else { collection.clone() };
            (name, kind, column)
        }));
    }
    found
}
