//! The things a finding can be about.

use crate::id::{
    AccessKeyId, AccountId, BucketName, GroupId, InstanceId, InterfaceId, Place, RoleName, SessionName, UniqueId,
    UserName, VpcId,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing the finding is about, and the account and region it lives in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    pub at: Place,
    pub kind: SubjectKind,
}

/// What the subject is. Strings are untrusted text, for people only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SubjectKind {
    /// A long-term key (`AKIA…`) of an IAM user. Whose it really is must be asked of the account.
    UserKey {
        user: UserName,
        key: AccessKeyId,
    },
    /// Temporary credentials (`ASIA…`) of an IAM user: console or GetSessionToken.
    UserSession {
        user: UserName,
        key: Option<AccessKeyId>,
    },
    /// Temporary credentials of a role. `role_id` and `session` together are `aws:userid`.
    RoleSession {
        role: RoleName,
        role_id: UniqueId,
        session: SessionName,
        key: Option<AccessKeyId>,
    },
    /// GetFederationToken's, limited by the IAM user who issued it.
    FederatedUser {
        name: String,
    },
    Root {
        account: AccountId,
    },
    AwsService {
        name: String,
    },
    /// A principal of an account other than the finding's.
    OtherAccount {
        principal: String,
    },
    /// An identity that cannot be told apart safely; `text` is what the finding says.
    UnknownIdentity {
        text: String,
    },

    /// An instance. The rest is what the finding saw of it: hints of what to read, never of what to change.
    Instance {
        id: InstanceId,
        groups: Vec<GroupId>,
        #[serde(default)]
        interfaces: Vec<InterfaceId>,
        #[serde(default)]
        vpcs: Vec<VpcId>,
    },
    Bucket {
        name: BucketName,
    },
    Object {
        bucket: BucketName,
        key: String,
    },
    /// A container or a pod, inside whatever runs it.
    Container {
        name: String,
    },
    EcsTask {
        arn: String,
    },
    EksCluster {
        name: String,
    },
    Function {
        name: String,
    },
    Database {
        name: String,
    },
    DatabaseUser {
        database: String,
        user: String,
    },
    Volume {
        id: String,
    },
    Snapshot {
        id: String,
    },
    Image {
        id: String,
    },
    /// A resource that nobody has seen yet.
    Unknown {
        resource_type: String,
    },
}

impl SubjectKind {
    /// Whether both are the same thing. What a finding saw of it (groups, the key of a session) changes from one state of the
    /// finding to the next.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Instance { id, .. }, Self::Instance { id: other, .. }) => id == other,
            (
                Self::RoleSession { role, role_id, session, key: _ },
                Self::RoleSession { role: other_role, role_id: other_id, session: other_session, key: _ },
            ) => (role, role_id, session) == (other_role, other_id, other_session),
            (one, other) => one == other,
        }
    }
}

impl fmt::Display for SubjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserKey { user, key } => write!(f, "access key {key} of user {user}"),
            Self::UserSession { user, key: Some(key) } => write!(f, "session {key} of user {user}"),
            Self::UserSession { user, key: None } => write!(f, "a session of user {user}"),
            Self::RoleSession { role, session, .. } => write!(f, "session {session} of role {role}"),
            Self::FederatedUser { name } => write!(f, "federated user {name}"),
            Self::Root { account } => write!(f, "the root user of account {account}"),
            Self::AwsService { name } => write!(f, "AWS service {name}"),
            Self::OtherAccount { principal } => write!(f, "principal {principal} of another account"),
            Self::UnknownIdentity { text } => write!(f, "unknown identity {text}"),
            Self::Instance { id, .. } => write!(f, "instance {id}"),
            Self::Bucket { name } => write!(f, "bucket {name}"),
            Self::Object { bucket, key } => write!(f, "object {key} in bucket {bucket}"),
            Self::Container { name } => write!(f, "container {name}"),
            Self::EcsTask { arn } => write!(f, "ECS task {arn}"),
            Self::EksCluster { name } => write!(f, "EKS cluster {name}"),
            Self::Function { name } => write!(f, "Lambda function {name}"),
            Self::Database { name } => write!(f, "database {name}"),
            Self::DatabaseUser { database, user } => write!(f, "user {user} of database {database}"),
            Self::Volume { id } => write!(f, "volume {id}"),
            Self::Snapshot { id } => write!(f, "snapshot {id}"),
            Self::Image { id } => write!(f, "image {id}"),
            Self::Unknown { resource_type } => write!(f, "unknown resource {resource_type}"),
        }
    }
}
