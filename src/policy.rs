//! Who may do what: the one place that decides it. It is asked for every change in `change`, for every read of a kind,
//! and for every document. It knows actors and kinds, and neither requests nor tables.

use crate::auth::{Actor, Authority, Scope};
use crate::error::{Error, Result};
use crate::kind::Kind;

/// What a kind is part of: that decides who may write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Realm {
    /// The inventory: operators write it.
    Fleet,
    /// Who may do what: only administrators write it.
    Access,
}

/// Whether the actor is one of those who see the inventory: all kinds alike, for a page or a search shows many at once.
///
/// # Errors
/// [`Error::Forbidden`].
pub fn staff(actor: &Actor) -> Result<()> {
    match (actor.scope(), actor.authority()) {
        (Scope::All | Scope::Read, Authority::Administrator | Authority::Operator | Authority::Auditor)
        | (_, Authority::System) => Ok(()),
        _ => Err(Error::Forbidden),
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
        | (Scope::All, Authority::Operator, Realm::Fleet) => Ok(()),
        _ => Err(Error::Forbidden),
    }
}

/// Whether the actor may read the documents of this node. A node that is not the actor's does not exist for it.
///
/// # Errors
/// [`Error::Forbidden`] for who reads no documents at all, else not found.
pub fn document(actor: &Actor, fqdn: &str) -> Result<()> {
    match actor.authority() {
        Authority::System | Authority::Administrator => Ok(()),
        Authority::Node(own) if own == fqdn => Ok(()),
        Authority::Compiler(serves) if serves.includes(fqdn) => Ok(()),
        Authority::Node(_) | Authority::Compiler(_) => Err(Error::NotFound),
        Authority::Operator | Authority::Auditor | Authority::Nothing => Err(Error::Forbidden),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Serves;
    use crate::resource::Resource;
    use crate::resources::{Node, Token};

    /// Every authority and scope: what of read, write of the fleet, write of access, document of `a`, document of `b`.
    #[test]
    fn who_may_do_what() {
        use Authority::{Administrator, Auditor, Compiler, Node as OfNode, Nothing, Operator, System};
        let listed = || Compiler(Serves::Listed(["a".to_owned()].into()));
        for (authority, scope, expected) in [
            (System, Scope::All, [true; 5]),
            (Administrator, Scope::All, [true; 5]),
            (Administrator, Scope::Read, [true, false, false, true, true]),
            (Administrator, Scope::Documents, [false, false, false, true, true]),
            (Operator, Scope::All, [true, true, false, false, false]),
            (Operator, Scope::Read, [true, false, false, false, false]),
            (Operator, Scope::Documents, [false; 5]),
            (Auditor, Scope::All, [true, false, false, false, false]),
            (Auditor, Scope::Read, [true, false, false, false, false]),
            (Auditor, Scope::Documents, [false; 5]),
            (OfNode("a".into()), Scope::All, [false, false, false, true, false]),
            (OfNode("a".into()), Scope::Documents, [false, false, false, true, false]),
            (listed(), Scope::All, [false, false, false, true, false]),
            (listed(), Scope::Documents, [false, false, false, true, false]),
            (Compiler(Serves::All), Scope::Documents, [false, false, false, true, true]),
            (Nothing, Scope::All, [false; 5]),
        ] {
            let actor = Actor::new("x", authority.clone(), scope, None);
            let may = [
                staff(&actor).is_ok(),
                write(&actor, Node::KIND).is_ok(),
                write(&actor, Token::KIND).is_ok(),
                document(&actor, "a").is_ok(),
                document(&actor, "b").is_ok(),
            ];
            assert_eq!(may, expected, "{authority:?} {scope:?}");
        }
    }
}
