//! Whose credentials a finding is about.
//!
//! The type of the user and the prefixes of the ids must agree. Where they do not, or where an id is not one, the
//! identity is unknown and Quell does less: a wrong guess would lock out someone else.

use super::error::cut;
use super::subject::SubjectKind;
use crate::id::{AccessKeyId, AccountId, KeyLife, RoleName, SessionName, UniqueId, UserName};
use serde::Deserialize;

/// `accessKeyDetails`. All four may be absent, null or empty, and GuardDuty documents no values for the type.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Credentials {
    pub access_key_id: Option<String>,
    pub principal_id: Option<String>,
    pub user_name: Option<String>,
    pub user_type: Option<String>,
}

/// The same, without the empty texts.
#[derive(Clone, Copy)]
struct Told<'a> {
    key: Option<&'a str>,
    principal: Option<&'a str>,
    name: Option<&'a str>,
    user_type: Option<&'a str>,
}

enum Key {
    None,
    LongTerm(AccessKeyId),
    Temporary(AccessKeyId),
    /// A placeholder, a prefix that nobody has seen yet, or no key id at all.
    Odd,
}

/// Tells whose credentials these are; nothing where nothing is told.
pub(super) fn identity(credentials: &Credentials, account: &AccountId) -> Option<SubjectKind> {
    let Credentials { access_key_id, principal_id, user_name, user_type } = credentials;
    let [key, principal, name, user_type] = [access_key_id, principal_id, user_name, user_type]
        .map(|text| text.as_deref().filter(|text| !text.trim().is_empty()));
    let told = Told { key, principal, name, user_type };
    let nothing = [key, principal, name, user_type].iter().all(Option::is_none);
    (!nothing).then(|| told.known(account).unwrap_or_else(|| told.unknown()))
}

impl Told<'_> {
    fn known(self, account: &AccountId) -> Option<SubjectKind> {
        // Findings write AssumedRole, the anomaly profiles ASSUMED_ROLE, and EKS findings Role.
        match self.user_type.unwrap_or_default().to_ascii_lowercase().replace('_', "").as_str() {
            "iamuser" => self.user(),
            "assumedrole" | "role" => self.role_session(),
            "root" => self.root(account),
            "federateduser" => Some(SubjectKind::FederatedUser { name: cut(self.federated_name()?, LONGEST) }),
            "awsaccount" => self.other_account(account),
            "awsservice" => Some(SubjectKind::AwsService { name: cut(self.name.or(self.principal)?, LONGEST) }),
            "" => self.untyped_root(account),
            _ => None,
        }
    }

    fn user(self) -> Option<SubjectKind> {
        let user = UserName::try_from(self.name?).ok()?;
        if self.principal.is_some_and(|principal| !is_id(principal, "AIDA")) {
            return None;
        }
        match self.key() {
            Key::LongTerm(key) => Some(SubjectKind::UserKey { user, key }),
            Key::Temporary(key) => Some(SubjectKind::UserSession { user, key: Some(key) }),
            // A sign-in to the console has no key; then the principal at least must say that it is a user.
            Key::None => self.principal.map(|_| SubjectKind::UserSession { user, key: None }),
            Key::Odd => None,
        }
    }

    fn role_session(self) -> Option<SubjectKind> {
        let (role_id, session) = self.principal?.split_once(':')?;
        let key = match self.key() {
            Key::Temporary(key) => Some(key),
            Key::None => None,
            Key::LongTerm(_) | Key::Odd => return None,
        };
        Some(SubjectKind::RoleSession {
            // The finding calls it userName; it is the role's.
            role: RoleName::try_from(self.name?).ok()?,
            role_id: UniqueId::try_from(role_id).ok().filter(|id| is_id(id.as_str(), "AROA"))?,
            session: SessionName::try_from(session).ok()?,
            key,
        })
    }

    fn root(self, account: &AccountId) -> Option<SubjectKind> {
        match self.principal {
            Some(user_or_role) if user_or_role.starts_with("AIDA") || user_or_role.starts_with("AROA") => None,
            Some(principal) => {
                let account = AccountId::try_from(principal).unwrap_or_else(|_| account.clone());
                Some(SubjectKind::Root { account })
            }
            None => Some(SubjectKind::Root { account: account.clone() }),
        }
    }

    /// Root without its type, told by the principal, which is then the account.
    ///
    /// The name alone does not make root: a user may be called so, and would escape what is done to users.
    fn untyped_root(self, account: &AccountId) -> Option<SubjectKind> {
        let named = self.principal.is_none() && self.name.is_some_and(|name| name.eq_ignore_ascii_case("root"));
        let is_root = named || self.principal == Some(account.as_str());
        is_root.then(|| SubjectKind::Root { account: account.clone() })
    }

    /// The principal of a federated user is `account:name`.
    fn federated_name(&self) -> Option<&str> {
        self.name.or_else(|| Some(self.principal?.split_once(':')?.1))
    }

    fn other_account(self, account: &AccountId) -> Option<SubjectKind> {
        let principal = match (self.name, self.principal) {
            (Some(own), _) if own == account.as_str() => return None,
            (Some(name), Some(principal)) => format!("{} ({})", cut(principal, LONGEST), cut(name, LONGEST)),
            (name, principal) => cut(name.or(principal)?, LONGEST),
        };
        Some(SubjectKind::OtherAccount { principal })
    }

    fn key(self) -> Key {
        let Some(text) = self.key else { return Key::None };
        let Ok(key) = AccessKeyId::try_from(text) else { return Key::Odd };
        match key.life() {
            KeyLife::LongTerm => Key::LongTerm(key),
            KeyLife::Temporary => Key::Temporary(key),
            KeyLife::Unknown => Key::Odd,
        }
    }

    fn unknown(self) -> SubjectKind {
        let parts = [("", self.user_type), ("", self.name), ("principal ", self.principal), ("key ", self.key)];
        let texts = parts.into_iter().filter_map(|(what, text)| Some(format!("{what}{}", cut(text?, LONGEST))));
        SubjectKind::UnknownIdentity { text: texts.collect::<Vec<_>>().join(", ") }
    }
}

fn is_id(text: &str, prefix: &str) -> bool {
    text.starts_with(prefix) && UniqueId::try_from(text).is_ok()
}

/// The longest text of an identity that is told.
const LONGEST: usize = 128;
