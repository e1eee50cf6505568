//! What of the account is Quell itself.

use crate::id::{RoleName, UserName};
use crate::setting::Principal;

/// What Quell must not turn against: who it is in the subject's account, and what it is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    /// Who acts there: the function's role, the member role, or the operator who runs the command.
    pub principal: Option<Principal>,
    /// The id (an ARN) of the stack that Quell was deployed with. A name would not do: anybody may give the same name
    /// to a stack in another region, and be left alone.
    pub stack: Option<String>,
}

impl Own {
    /// Reads who acts off the ARN that `GetCallerIdentity` gives. None for root, and for what is neither user nor role.
    #[must_use]
    pub fn principal_of(caller: &str) -> Option<Principal> {
        let resource = caller.splitn(6, ':').nth(5)?;
        match *resource.split('/').collect::<Vec<_>>().as_slice() {
            ["assumed-role", role, _session] => RoleName::try_from(role).ok().map(Principal::Role),
            ["user", .., user] => UserName::try_from(user).ok().map(Principal::User),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_acts_is_read_off_the_callers_arn() {
        let told = |arn| Own::principal_of(arn).map(|principal| principal.to_string());
        let role = "arn:aws:sts::111122223333:assumed-role/quell-QuellRole-1AB/quell-QuellFunction-2CD";
        assert_eq!(told(role).as_deref(), Some("role quell-QuellRole-1AB"));
        assert_eq!(told("arn:aws:iam::111122223333:user/secops/ann").as_deref(), Some("user ann"));
        for other in ["arn:aws:iam::111122223333:root", "arn:aws:sts::111122223333:federated-user/ann", "", "a:b"] {
            assert_eq!(told(other), None, "{other}");
        }
    }
}
