//! Who may do what: the one place that decides it. It is asked for every change in `change`, for every read of a kind,
//! and for every document. It knows actors and kinds, and neither requests nor tables.

use crate::auth::{Actor, Authority, Scope, Serves};
use crate::column::Column;
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::resource::Resource;
use crate::resources::User;

/// What a kind is part of: that decides who may write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Realm {
    /// The inventory: operators write it, and customers do not see it.
    Fleet,
    /// What there is to choose from: operators write it, and everybody reads it.
    Catalog,
    /// What operators attach to a customer's objects: the customer reads it.
    Attached,
    /// What customers order: they write their own, and operators all.
    Customer,
    /// Customers themselves: administrators write them, and their members read what is their own.
    Tenant,
    /// What is in an organization: administrators write it, and who owns the organization.
    Organization,
    /// Who may do what: only administrators write it.
    Access,
}

/// Whether the actor reads objects at all, staff or customer: for what is about no kind, and for many at once.
///
/// # Errors
/// [`Error::Forbidden`].
pub fn enter(actor: &Actor) -> Result<()> {
    match (actor.scope(), actor.authority()) {
        (
            Scope::All | Scope::Read,
            Authority::Administrator | Authority::Operator | Authority::Auditor | Authority::Customer(_),
        )
        | (_, Authority::System) => Ok(()),
        _ => Err(Error::Forbidden),
    }
}

/// Whether the actor may read objects of this kind. Which of them exist for a customer is decided by the database
/// (`migrations/…_organizations`): no statement can forget to ask.
///
/// # Errors
/// [`Error::Forbidden`].
pub fn read(actor: &Actor, kind: &dyn Kind) -> Result<()> {
    enter(actor)?;
    match (actor.authority(), kind.realm()) {
        (Authority::Customer(_), Realm::Fleet | Realm::Access) => Err(Error::Forbidden),
        _ => Ok(()),
    }
}

/// Whether the actor may change objects of this kind.
///
/// # Errors
/// [`Error::Forbidden`].
pub fn write(actor: &Actor, kind: &dyn Kind) -> Result<()> {
    match (actor.scope(), actor.authority(), kind.realm()) {
        (_, Authority::System, _)
        | (Scope::All, Authority::Administrator, _)
        | (Scope::All, Authority::Operator, Realm::Fleet | Realm::Catalog | Realm::Attached | Realm::Customer)
        | (Scope::All, Authority::Customer(_), Realm::Customer | Realm::Organization) => Ok(()),
        _ => Err(Error::Forbidden),
    }
}

/// Whether the actor may set the password of the user with this name: its own, or, for who writes users, anybody's.
///
/// # Errors
/// [`Error::Forbidden`].
pub fn set_password(actor: &Actor, name: &str) -> Result<()> {
    let own = actor.scope() == Scope::All && actor.user() == Some(name);
    if own { Ok(()) } else { write(actor, User::KIND) }
}

/// Whether customers are told what becomes of objects of this kind, where those are their own: of what they read.
#[must_use]
pub fn tells_customers(kind: &dyn Kind) -> bool {
    !matches!(kind.realm(), Realm::Fleet | Realm::Access)
}

/// Whether there is any use in offering the actor to change objects of this kind.
#[must_use]
pub fn writes(actor: &Actor, kind: &dyn Kind) -> bool {
    !kind.is_read_only() && write(actor, kind).is_ok()
}

/// Whether the actor may read the documents of this node. A node that is not the actor's does not exist for it. Whether
/// a filter matches this node is asked only when the answer depends on it.
///
/// # Errors
/// [`Error::Forbidden`] for who reads no documents at all, else [`Error::Hidden`]; or why the question has no answer.
pub async fn document(actor: &Actor, fqdn: &str, matches: impl AsyncFnOnce(&str) -> Result<bool>) -> Result<()> {
    let may = match actor.authority() {
        Authority::System | Authority::Administrator | Authority::Compiler(Serves::All) => true,
        Authority::Node(own) => own == fqdn,
        Authority::Compiler(Serves::Listed(names)) => names.contains(fqdn),
        Authority::Compiler(Serves::Matching(filter)) => matches(filter).await?,
        Authority::Operator | Authority::Auditor | Authority::Customer(_) | Authority::Nothing => {
            return Err(Error::Forbidden);
        }
    };
    if may { Ok(()) } else { Err(Error::Hidden(fqdn.to_owned())) }
}

/// Of which nodes the actor hears that their documents may have changed: of those whose documents it reads, or, who reads
/// the inventory, of all.
///
/// # Errors
/// [`Error::Forbidden`].
pub fn events(actor: &Actor) -> Result<Serves> {
    match (actor.authority(), actor.scope()) {
        (Authority::System | Authority::Administrator, _)
        | (Authority::Operator | Authority::Auditor, Scope::All | Scope::Read) => Ok(Serves::All),
        (Authority::Node(own), _) => Ok(Serves::Listed([own.clone()].into())),
        (Authority::Compiler(serves), _) => Ok(serves.clone()),
        (Authority::Operator | Authority::Auditor, Scope::Documents)
        | (Authority::Customer(_) | Authority::Nothing, _) => Err(Error::Forbidden),
    }
}

/// Whether the actor is told what a change would make of the documents of nodes: who may change the fleet, and so reads
/// all that a document is made of. A customer is not.
#[must_use]
pub fn foresees(actor: &Actor) -> bool {
    matches!(actor.authority(), Authority::System | Authority::Administrator | Authority::Operator)
        && actor.scope() == Scope::All
}

/// Whether the actor may report what happened on this node: who reads its documents, unless its token only reads.
///
/// # Errors
/// As [`document`].
pub async fn report(actor: &Actor, fqdn: &str, matches: impl AsyncFnOnce(&str) -> Result<bool>) -> Result<()> {
    if actor.scope() == Scope::Read {
        return Err(Error::Forbidden);
    }
    document(actor, fqdn, matches).await
}

/// Whether the actor may set this field. A customer may set what its objects are, and not where and how they run.
#[must_use]
pub fn sets(actor: &Actor, column: &Column) -> bool {
    !(column.by_operators && matches!(actor.authority(), Authority::Customer(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{Environment, Node, Token, Vm};

    /// Every authority and scope: what of read of a node, of a VM, of a token; write of a node, of a VM, of an
    /// environment, of a token; document of `a`, document of `b`; events of `a`, events of `b`.
    #[rocket::async_test]
    async fn who_may_do_what() {
        use Authority::{Administrator, Auditor, Compiler, Customer, Node as OfNode, Nothing, Operator, System};
        let listed = || Compiler(Serves::Listed(["a".to_owned()].into()));
        for (authority, scope, expected) in [
            (System, Scope::All, "nvt nvet ab ab"),
            (Administrator, Scope::All, "nvt nvet ab ab"),
            (Administrator, Scope::Read, "nvt ---- ab ab"),
            (Administrator, Scope::Documents, "--- ---- ab ab"),
            (Operator, Scope::All, "nvt nv-- -- ab"),
            (Operator, Scope::Read, "nvt ---- -- ab"),
            (Operator, Scope::Documents, "--- ---- -- --"),
            (Auditor, Scope::All, "nvt ---- -- ab"),
            (Auditor, Scope::Read, "nvt ---- -- ab"),
            (Auditor, Scope::Documents, "--- ---- -- --"),
            (Customer(1), Scope::All, "-v- -ve- -- --"),
            (Customer(1), Scope::Read, "-v- ---- -- --"),
            (Customer(1), Scope::Documents, "--- ---- -- --"),
            (OfNode("a".into()), Scope::All, "--- ---- a- a-"),
            (OfNode("a".into()), Scope::Documents, "--- ---- a- a-"),
            (listed(), Scope::All, "--- ---- a- a-"),
            (listed(), Scope::Documents, "--- ---- a- a-"),
            (Compiler(Serves::All), Scope::Documents, "--- ---- ab ab"),
            (Compiler(Serves::Matching("a".into())), Scope::Documents, "--- ---- a- a-"),
            (Nothing, Scope::All, "--- ---- -- --"),
        ] {
            let actor = Actor::new("x", authority.clone(), scope, None);
            let reads = |kind| read(&actor, kind).is_ok();
            let writes = |kind| write(&actor, kind).is_ok();
            // The filters of this test are names.
            let of = |fqdn: &'static str| document(&actor, fqdn, async move |filter: &str| Ok(filter == fqdn));
            let hears = |fqdn: &str| match events(&actor) {
                Ok(Serves::All) => true,
                Ok(Serves::Listed(names)) => names.contains(fqdn),
                Ok(Serves::Matching(filter)) => filter == fqdn,
                Err(_) => false,
            };
            let may = [
                ("n", reads(Node::KIND)),
                ("v", reads(Vm::KIND)),
                ("t ", reads(Token::KIND)),
                ("n", writes(Node::KIND)),
                ("v", writes(Vm::KIND)),
                ("e", writes(Environment::KIND)),
                ("t ", writes(Token::KIND)),
                ("a", of("a").await.is_ok()),
                ("b ", of("b").await.is_ok()),
                ("a", hears("a")),
                ("b", hears("b")),
            ];
            let told = may.map(|(letter, may)| if may { letter.to_owned() } else { letter.replace(|c| c != ' ', "-") });
            assert_eq!(told.concat(), expected, "{authority:?} {scope:?}");
        }
    }

    #[test]
    fn a_customer_leaves_to_operators_what_is_theirs() {
        let customer = Actor::new("x", Authority::Customer(1), Scope::All, None);
        let operator = Actor::new("x", Authority::Operator, Scope::All, None);
        let column = |name| Column::named(Vm::KIND.columns(), name).expect("a column");
        assert!(sets(&customer, column("cores")) && sets(&operator, column("hypervisor")));
        assert!(!sets(&customer, column("hypervisor")));
    }
}
