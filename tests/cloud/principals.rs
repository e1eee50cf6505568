//! Who signs a call, and whether AWS would still let them.
//!
//! moto accepts every key: an inactive one, one of a user who is denied everything, one that never existed. The
//! proxy asks moto what it knows about the caller and refuses as AWS does. That is the proof that an attacker's
//! key stopped working.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use hyper::Response;
use hyper::body::Bytes;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::denial::{Caller, denies};
use super::moto::{Moto, Service};
use super::naming::Asked;
use super::refusal::Refusal;

/// Who owns a key is asked in any account: moto searches them all.
const ANY_ACCOUNT: &str = "000000000000";

/// The keys that the proxy has seen being issued, and a way to ask about the others.
pub struct Principals {
    moto: Moto,
    issued: Mutex<HashMap<String, Standing>>,
}

#[derive(Clone)]
enum Standing {
    /// The instrument's own and the function's: never refused, so that they cost no look-ups.
    Trusted {
        account: String,
        secret: String,
    },
    Watched(Principal),
}

/// A caller, as policies see it.
#[derive(Clone)]
struct Principal {
    account: String,
    owner: Owner,
    userid: String,
    issued: Option<Timestamp>,
}

#[derive(Clone)]
enum Owner {
    User(String),
    Role(String),
}

impl Principals {
    pub fn new(moto: Moto) -> Principals {
        Principals { moto, issued: Mutex::default() }
    }

    /// Lets this key do everything in this account from now on.
    pub fn trust(&self, key: &str, secret: &str, account: &str) {
        self.note(key, Standing::Trusted { account: account.to_owned(), secret: secret.to_owned() });
    }

    /// The secret that this key signs with, where it is known.
    pub fn secret(&self, key: &str) -> Option<String> {
        match self.issued.lock().expect("no holder panics").get(key)? {
            Standing::Trusted { secret, .. } => Some(secret.clone()),
            Standing::Watched(_) => None,
        }
    }

    /// Says which account a key acts in, or why AWS would refuse it.
    pub async fn admit(&self, key: &str) -> Result<String, Refusal> {
        let standing = self.issued.lock().expect("no holder panics").get(key).cloned();
        let principal = match standing {
            Some(Standing::Trusted { account, .. }) => return Ok(account),
            Some(Standing::Watched(principal)) => principal,
            None => self.user_with_key(key).await?,
        };
        let caller = Caller { userid: &principal.userid, issued: principal.issued };
        let denied = self.policies(&principal).await.iter().any(|document| denies(document, &caller));
        if denied { Err(Refusal::Denied) } else { Ok(principal.account) }
    }

    /// Learns a session from the result of `AssumeRole` that handed it out.
    pub fn learn(&self, session: &Value) {
        let role = &session["AssumedRoleUser"];
        // arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION
        let arn = text(role, "Arn");
        let parts: Vec<&str> = arn.split([':', '/']).collect();
        let principal = Principal {
            account: parts[4].to_owned(),
            owner: Owner::Role(parts[6].to_owned()),
            userid: text(role, "AssumedRoleId"),
            issued: Some(Timestamp::now()),
        };
        self.note(&text(&session["Credentials"], "AccessKeyId"), Standing::Watched(principal));
    }

    /// Issues the session that `GetSessionToken` asks for. moto hands every caller the same key.
    pub async fn session_token(&self, asked: &Asked) -> Response<Bytes> {
        let user = self.user_with_key(&asked.key).await.expect("only a user's admitted key asks for a session");
        let number = self.issued.lock().expect("no holder panics").len();
        let key = format!("ASIAQUELLSESSION{number:04}");
        self.note(&key, Standing::Watched(Principal { issued: Some(Timestamp::now()), ..user }));
        let body = format!(
            "<GetSessionTokenResponse><GetSessionTokenResult><Credentials><AccessKeyId>{key}</AccessKeyId>\
             <SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>\
             <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></GetSessionTokenResult></GetSessionTokenResponse>"
        );
        Response::builder().header("content-type", "text/xml").body(body.into()).expect("a well-formed answer")
    }

    fn note(&self, key: &str, standing: Standing) {
        self.issued.lock().expect("no holder panics").insert(key.to_owned(), standing);
    }

    async fn user_with_key(&self, key: &str) -> Result<Principal, Refusal> {
        let by_key = [("AccessKeyId", key)];
        let last_use = self.moto.service("iam", ANY_ACCOUNT).attempt("GetAccessKeyLastUsed", &by_key).await;
        let name = text(&last_use.map_err(|_| Refusal::BadKey)?, "UserName");
        let account = text(&self.moto.service("sts", ANY_ACCOUNT).call("GetAccessKeyInfo", &by_key).await, "Account");

        let iam = self.moto.service("iam", &account);
        let by_name = [("UserName", name.as_str())];
        let keys = iam.call("ListAccessKeys", &by_name).await;
        let is_active = |listed: &Value| listed["AccessKeyId"] == key && listed["Status"] == "Active";
        if !entries(&keys, "AccessKeyMetadata").iter().any(is_active) {
            return Err(Refusal::BadKey);
        }
        let userid = text(&iam.call("GetUser", &by_name).await["User"], "UserId");
        Ok(Principal { account, owner: Owner::User(name), userid, issued: None })
    }

    /// The inline policies of whoever owns the key.
    async fn policies(&self, principal: &Principal) -> Vec<Value> {
        let iam = self.moto.service("iam", &principal.account);
        let policies = match &principal.owner {
            Owner::User(name) => inline_policies(&iam, "User", name).await,
            Owner::Role(name) => inline_policies(&iam, "Role", name).await,
        };
        policies.into_values().collect()
    }
}

/// The inline policies of a user or role, by name.
pub async fn inline_policies(iam: &Service, kind: &str, name: &str) -> BTreeMap<String, Value> {
    let field = format!("{kind}Name");
    let listed = iam.call(&format!("List{kind}Policies"), &[(&field, name)]).await;
    let mut policies = BTreeMap::new();
    for policy in entries(&listed, "PolicyNames").iter().filter_map(Value::as_str) {
        let found = iam.call(&format!("Get{kind}Policy"), &[(&field, name), ("PolicyName", policy)]).await;
        policies.insert(policy.to_owned(), document(&text(&found, "PolicyDocument")));
    }
    policies
}

/// IAM returns documents URL-encoded.
pub fn document(encoded: &str) -> Value {
    let text = percent_decode_str(encoded).decode_utf8_lossy();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("not a policy document ({error}): {text}"))
}

/// The entries of a list in an answer; an empty list comes without entries.
pub fn entries<'a>(answer: &'a Value, field: &str) -> &'a [Value] {
    answer[field].as_array().map_or(&[], Vec::as_slice)
}

/// A text field of an answer that must be there.
pub fn text(answer: &Value, field: &str) -> String {
    answer[field].as_str().unwrap_or_else(|| panic!("no {field} in {answer}")).to_owned()
}
